//! `portscope info`: everything about one number.

use std::collections::BTreeSet;
use std::io::Write;

use super::pager;
use crate::analyse::check::{Question, usual_binds};
use crate::analyse::dossier::Dossier;
use crate::catalogue::Catalogue;
use crate::cli::{JsonArgs, SourceArgs, StrictArgs, StyleArgs};
use crate::collect::probe;
use crate::config;
use crate::context::Context;
use crate::error::{Error, ExitStatus};
use crate::model::{Need, Port, Protocol, SpaceChoice};
use crate::render::document::info::InfoReport;
use crate::render::document::json;
use crate::render::page::check as check_text;
use crate::render::page::info as text;
use crate::render::text::safe::Text;
use crate::render::text::style::Style;
use crate::render::words::summary;
use crate::{join, select};

/// Show everything about a port, or everything that a process holds
///
/// A name is told port by port. Owners are told in full: what they descend from, unit, container, user, start, file,
/// folder and arguments, the usual secrets masked.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A port, or the name or alias of a service
    #[arg(value_name = "PORT|NAME", value_parser = parse_subject)]
    subject: Subject,

    #[command(flatten)]
    document: JsonArgs,

    /// Judge by the open sockets alone whether the port can be bound, and bind nothing to it
    #[arg(long)]
    no_probe: bool,

    #[command(flatten)]
    strictness: StrictArgs,

    #[command(flatten)]
    source: SourceArgs,

    #[command(flatten)]
    style: StyleArgs,
}

/// What the dossier is about.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Subject {
    Port(Port),
    Name(String),
}

/// Names may begin with a digit (`3gpp-cbsp`), so only what looks like a port in every letter is one.
fn parse_subject(text: &str) -> Result<Subject, String> {
    let number = text.strip_prefix(':').unwrap_or(text);
    if text.is_empty() {
        return Err("an empty name has no dossier: expected a port or the name of a service".to_owned());
    }
    if number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') || text.starts_with(':') {
        return number.parse().map(Subject::Port).map_err(|error| format!("{error}, or the name of a service"));
    }
    Ok(Subject::Name(text.to_owned()))
}

pub fn run(args: &Args, context: &mut Context) -> Result<ExitStatus, Error> {
    let catalogue = config::catalogue(&args.style.labels, &context.environment)?;
    let style = args.style.style(context);
    let ports: BTreeSet<Port> = match &args.subject {
        Subject::Port(port) => BTreeSet::from([*port]),
        Subject::Name(name) => catalogue.ports_named(name).into_iter().map(|(port, _)| port).collect(),
    };
    if let (Subject::Name(name), true) = (&args.subject, ports.is_empty()) {
        writeln!(context.stdout, "{}", unknown(name, &catalogue, style))?;
        return Ok(ExitStatus::No);
    }
    let need = args.source.asked(Need {
        ports: Some(ports.clone()),
        argv: true,
        belonging: true,
        exe: true,
        dossier: true,
        spaces: SpaceChoice::All,
        ..Need::default()
    });
    let mut snapshot = super::snapshot(&need, &args.source, context)?;
    if !snapshot.sockets.iter().any(|socket| need.wants_port(socket.local.port)) {
        // The kernel's table is not read in one moment; that nothing is there needs two agreeing looks.
        snapshot = context.source.snapshot(&need)?;
    }
    let mut listing = join::listing(&snapshot, Some(&catalogue));
    // A source may give more than was asked for.
    listing.rows.retain(|row| need.wants_port(row.socket.local.port));
    select::in_default_order(&mut listing.rows);
    let dossiers: Vec<Dossier<'_>> =
        ports.iter().map(|port| Dossier::new(*port, &snapshot, &listing.rows, &catalogue)).collect();
    // A saved report cannot be asked, and who would ask there is not known.
    let checked = match args.source.from {
        None => {
            let question = Question {
                binds: &usual_binds(),
                is_usual: true,
                is_tried: !args.no_probe,
                caller: probe::caller(),
                kernel: super::KERNEL,
            };
            question.at(ports.iter().copied(), &listing, &catalogue)
        }
        Some(_) => Vec::new(),
    };
    let program = context.program.clone();
    if args.document.json {
        let report = InfoReport::new(&listing, &dossiers, &checked, probe::caller(), program.as_deref());
        json::write(&mut context.stdout, &report, context.terminal.is_tty)?;
    } else {
        let mut written = Vec::new();
        for (index, dossier) in dossiers.iter().enumerate() {
            if index > 0 {
                writeln!(written)?;
            }
            text::write(&mut written, &listing, dossier, program.as_deref(), style)?;
            if let Some(checked) = checked.get(index) {
                writeln!(written)?;
                check_text::write_in_brief(&mut written, checked, style)?;
            }
        }
        pager::show(&written, !args.style.no_pager, context)?;
        context.stdout.flush()?;
        if let Some(line) = summary::hidden(&listing, program.as_deref()) {
            context.note(&line);
        }
    }
    Ok(args.strictness.status(&listing, ExitStatus::Yes))
}

/// Says that nothing has the name, and what comes near it.
fn unknown(name: &str, catalogue: &Catalogue, style: Style) -> String {
    const MOST: usize = 5;
    let mut near: Vec<String> = Vec::new();
    for entry in catalogue.search(name).iter().filter(|entry| entry.protocol == Protocol::Tcp).take(MOST) {
        near.push(format!("{} ({})", Text::of(entry.service.name, style.charset).as_str(), entry.port));
    }
    let name = Text::of(name, style.charset);
    let near = if near.is_empty() { String::new() } else { format!("; near it: {}", near.join(", ")) };
    format!("no service has the name {}{near}", name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_a_port_or_a_name() {
        let port = |number| Ok(Subject::Port(Port::new(number)));
        let name = |text: &str| Ok(Subject::Name(text.to_owned()));
        for (text, subject) in
            [("80", port(80)), (":8080", port(8080)), ("http", name("http")), ("3gpp-cbsp", name("3gpp-cbsp"))]
        {
            assert_eq!(parse_subject(text), subject, "{text}");
        }
        for text in ["", "0", "70000", "80-90", ":", ":x", "-", "99999999999"] {
            assert!(parse_subject(text).is_err(), "{text}");
        }
    }
}
