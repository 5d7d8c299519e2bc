//! `portscope usage`: will the numbers run out?

use super::pager;
use crate::analyse::usage;
use crate::cli::{JsonArgs, SourceArgs, SpaceArgs, StrictArgs, StyleArgs};
use crate::config;
use crate::context::Context;
use crate::error::{Error, ExitStatus};
use crate::join;
use crate::model::{Need, Row, Snapshot};
use crate::render::document::json;
use crate::render::document::usage::UsageReport;
use crate::render::page::usage as text;
use crate::render::page::usage::UsageOptions;
use crate::render::words::usage::MARKED_ABOVE;

/// Show whether ports are running out, and which processes use the most
///
/// Other computers use no ports of this host. A TCP client's port is used up only for one destination (local address, peer
/// address, peer port), so the fullest destinations are shown.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Exit with status 1 if a category, a destination, UDP's ephemeral range, or an accept queue is above this
    #[arg(long, value_name = "PERCENT", value_parser = parse_share)]
    warn: Option<f64>,

    /// Number of destinations and queues to show for each port space
    #[arg(long, value_name = "NUMBER", default_value = "10", value_parser = parse_count)]
    top: usize,

    #[command(flatten)]
    space: SpaceArgs,

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
    config::catalogue(&args.style.labels, &context.environment)?;
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
    if args.document.json {
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

fn unknown_space(names: &[String], snapshot: &Snapshot) -> String {
    let known: Vec<&str> = snapshot.spaces.iter().map(|space| space.label.as_str()).collect();
    format!("no port space is named `{}`: expected all or one of {}", names.join(","), known.join(", "))
}

/// Reads `80%` or `80` as 0.8.
fn parse_share(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text);
    let is_plain = number.starts_with(|first: char| first.is_ascii_digit())
        && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let percent = number.parse().ok().filter(|percent| is_plain && (0.0..=100.0).contains(percent));
    percent
        .map(|percent: f64| percent / 100.0)
        .ok_or_else(|| format!("`{text}` is not a percentage: expected 0% to 100%, such as 80%"))
}

fn parse_count(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| format!("`{text}` is not a count: expected 0 or more"))
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
