//! `portscope services`: what port numbers are assigned to.

use super::pager;
use crate::catalogue::Catalogue;
use crate::cli::{HeaderArgs, JsonArgs, OnlyProtocolArgs, StyleArgs, one_of};
use crate::context::Context;
use crate::error::{Error, ExitStatus};
use crate::model::{PortRange, Protocol, Registered};
use crate::render::document::json;
use crate::render::document::services::{self as document, ServicesReport};
use crate::render::page::services::{self, Form};
use crate::render::text::paragraph;
use crate::render::words::mistake;
use crate::render::words::registered;

/// Print the well-known ports, or look up a port or service in the whole registry
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A port, a range LOW-HIGH, a name or part of one, or words from a description
    #[arg(value_name = "QUERY")]
    query: Option<String>,

    /// Print the whole registry: IANA, /etc/services, and your labels
    #[arg(long, conflicts_with = "query")]
    all: bool,

    #[command(flatten)]
    protocols: OnlyProtocolArgs,

    /// Output format
    #[arg(short = 'o', long = "output", value_name = "FORMAT", value_parser = one_of(&Form::ALL, Form::name), default_value = "table", conflicts_with = "json")]
    form: Form,

    #[command(flatten)]
    document: JsonArgs,

    #[command(flatten)]
    header: HeaderArgs,

    #[command(flatten)]
    style: StyleArgs,
}

pub fn run(args: &Args, context: &mut Context) -> Result<ExitStatus, Error> {
    let catalogue = context.configuration.catalogue(&args.style.labels, &context.environment)?;
    let mut entries = found(args, &catalogue)?;
    let protocols = args.protocols.protocols();
    entries.retain(|entry| protocols.contains(&entry.protocol));
    let form = if args.document.json { Form::Json } else { args.form };
    let style = args.style.style(context);
    let mut text = Vec::new();
    let is_overview = args.query.is_none();
    match form {
        Form::Json => {
            let host = context.source.host()?;
            json::write(&mut text, &ServicesReport::new(&entries, &host), context.terminal.is_tty)?;
        }
        Form::Csv => document::write_records(&mut text, &entries, b',', args.header.no_header, style)?,
        Form::Tsv => document::write_records(&mut text, &entries, b'\t', args.header.no_header, style)?,
        Form::Table | Form::Markdown => {
            services::write(&mut text, &entries, form, is_overview, args.header.no_header, style)?;
        }
    }
    if entries.is_empty() && form == Form::Table {
        let query = args.query.as_deref().unwrap_or_default();
        let status = query.parse().ok().and_then(|port| Catalogue::status(port, Protocol::Tcp));
        let line = registered::nothing(query, status, style.charset);
        paragraph::sentence(&mut text, &line, style.width)?;
    }
    pager::show_table(
        &text,
        usize::from(!args.header.no_header),
        form == Form::Table && !args.style.no_pager,
        context,
    )?;
    Ok(if entries.is_empty() { ExitStatus::No } else { ExitStatus::Yes })
}

fn found<'a>(args: &Args, catalogue: &'a Catalogue) -> Result<Vec<Registered<'a>>, Error> {
    match &args.query {
        None if args.all => Ok(catalogue.all().collect()),
        None => Ok(Catalogue::well_known().collect()),
        Some(query) => match ports(query)? {
            Some(ports) => Ok(catalogue.all().filter(|entry| ports.contains(entry.port)).collect()),
            None => Ok(catalogue.search(query)),
        },
    }
}

/// Reads a query of digits as ports.
fn ports(query: &str) -> Result<Option<PortRange>, Error> {
    let looks_like_ports = query.starts_with(|first: char| first.is_ascii_digit())
        && query.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    if query.is_empty() {
        return Err(Error::Usage(mistake::EMPTY_QUERY.to_owned()));
    }
    if looks_like_ports { query.parse().map(Some).map_err(|error| Error::Usage(format!("{error}"))) } else { Ok(None) }
}
