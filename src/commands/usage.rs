//! `portscope usage`: are ports running out?

use super::pager;
use crate::analyse::health::{self, Limits};
use crate::analyse::usage::{self, SpaceUsage};
use crate::cli::{JsonArgs, SourceArgs, SpaceArgs, StrictArgs, StyleArgs, one_of};
use crate::context::Context;
use crate::error::{Error, ExitStatus};
use crate::join;
use crate::model::{Health, Listing, Need, Row, Snapshot};
use crate::render::document::usage::UsageReport;
use crate::render::document::{json, nagios};
use crate::render::page::usage as text;
use crate::render::page::usage::UsageOptions;
use crate::render::words::mistake;
use crate::render::words::summary;
use crate::render::words::usage::MARKED_ABOVE;

/// `--output`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Form {
    /// For people.
    Text,
    /// One document.
    Json,
    /// One line for Nagios, Icinga, Checkmk and the like.
    Nagios,
}

impl Form {
    const ALL: [Form; 3] = [Form::Text, Form::Json, Form::Nagios];

    const fn name(self) -> &'static str {
        match self {
            Form::Text => "text",
            Form::Json => "json",
            Form::Nagios => "nagios",
        }
    }
}

/// Show whether ports are running out, and which processes use the most
///
/// Incoming connections use up no ports: they share that of the listener. An outgoing TCP connection uses up a port for
/// one destination only (local address, peer address, and peer port), so the fullest destinations are shown.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Exit with status 1 if a category, a destination, UDP's ephemeral range, or an accept queue is above this
    #[arg(long, value_name = "PERCENT", value_parser = parse_share)]
    warn: Option<f64>,

    /// With -o nagios, the result is CRITICAL above this and WARNING above --warn, which defaults to 80% there
    #[arg(long, value_name = "PERCENT", value_parser = parse_share, default_value = "95%")]
    critical: f64,

    /// Number of destinations and queues to show for each port space
    #[arg(long, value_name = "NUMBER", default_value = "10", value_parser = parse_count)]
    top: usize,

    #[command(flatten)]
    space: SpaceArgs,

    /// Output format
    #[arg(short = 'o', long = "output", value_name = "FORMAT", value_parser = one_of(&Form::ALL, Form::name), default_value = "text", conflicts_with = "json")]
    form: Form,

    #[command(flatten)]
    document: JsonArgs,

    #[command(flatten)]
    strictness: StrictArgs,

    #[command(flatten)]
    source: SourceArgs,

    #[command(flatten)]
    style: StyleArgs,
}

pub fn run(args: &Args, context: &mut Context) -> Result<ExitStatus, Error> {
    // A label is of no use here, but a wrong one is still wrong.
    context.configuration.catalogue(&args.style.labels, &context.environment)?;
    let spaces = args.space.choice();
    let need = args.source.asked(Need { counters: true, spaces, ..Need::default() });
    let snapshot = super::snapshot(&need, &args.source, context)?;
    let mut listing = join::listing(&snapshot, None);
    let is_asked = |row: &Row<'_>| need.spaces.admits(row.space);
    listing.rows.retain(is_asked);
    let mut spaces = usage::usage(&listing);
    spaces.retain(|space| need.spaces.admits(space.space));
    if spaces.is_empty() {
        return Err(Error::Usage(unknown_space(&args.space.spaces, &snapshot)));
    }
    let program = context.program.clone();
    if args.form == Form::Nagios {
        let health = args.check(&listing, &spaces, context)?;
        return Ok(ExitStatus::Monitored(health));
    }
    if args.document.json || args.form == Form::Json {
        let report = UsageReport::new(&listing, &spaces, args.top, args.warn, program.as_deref());
        json::write(&mut context.stdout, &report, context.terminal.is_tty)?;
    } else {
        let above = args.warn.unwrap_or(MARKED_ABOVE);
        let options = UsageOptions { top: args.top, above, style: args.style.style(context) };
        let mut written = Vec::new();
        text::write(&mut written, &listing, &spaces, options)?;
        pager::show(&written, !args.style.no_pager, context)?;
        context.stdout.flush()?;
        super::tell_gaps(&listing, context);
    }
    let is_above = args.warn.is_some_and(|warn| spaces.iter().any(|space| !space.above(warn).is_empty()));
    Ok(args.strictness.status(&listing, if is_above { ExitStatus::No } else { ExitStatus::Yes }))
}

impl Args {
    /// Answers a monitoring system.
    fn check(&self, listing: &Listing<'_>, spaces: &[SpaceUsage<'_>], context: &mut Context) -> Result<Health, Error> {
        let limits = Limits { warning: self.warn.unwrap_or(MARKED_ABOVE), critical: self.critical };
        let (health, found) = health::of_usage(spaces, limits);
        let missing = summary::missing(listing.snapshot, context.program.as_deref());
        let unseen = missing.or_else(|| summary::unseen_spaces(listing.snapshot, context.program.as_deref()));
        let is_unsure = self.strictness.strict && listing.is_incomplete();
        let health = if is_unsure && health != Health::Critical { Health::Unknown } else { health };
        nagios::write_usage(
            &mut context.stdout,
            spaces,
            &found,
            limits,
            health,
            unseen.as_ref().map(|said| said.line.as_str()),
        )?;
        Ok(health)
    }
}

fn unknown_space(names: &[String], snapshot: &Snapshot) -> String {
    let known: Vec<&str> = snapshot.spaces.iter().map(|space| space.label.as_str()).collect();
    mistake::unknown_space(names, &known)
}

/// Reads `80%` or `80` as 0.8.
fn parse_share(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text);
    let is_plain = number.starts_with(|first: char| first.is_ascii_digit())
        && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let percent = number.parse().ok().filter(|percent| is_plain && (0.0..=100.0).contains(percent));
    percent.map(|percent: f64| percent / 100.0).ok_or_else(|| mistake::not_a_percentage(text))
}

fn parse_count(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| mistake::not_a_count(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_percentage_with_or_without_its_sign() {
        for (text, share) in [("80%", 0.8), ("80", 0.8), ("0", 0.0), ("100%", 1.0), ("99.5%", 0.995)] {
            assert!((parse_share(text).unwrap() - share).abs() < 1e-12, "{text}");
        }
        for text in ["", "%", "-1", "101%", "80%%", "inf", "nan", "1e1", "+5", ".5", "8O%"] {
            assert_eq!(
                parse_share(text).unwrap_err(),
                format!("`{text}` is not a percentage: expected 0% to 100%, such as 80%")
            );
        }
    }
}
