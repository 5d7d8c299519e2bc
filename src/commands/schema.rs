//! `portscope schema`: the JSON Schema of the documents that portscope writes.

use std::io::{self, Write};

use clap::builder::PossibleValuesParser;

use crate::context::Context;
use crate::error::{Error, ExitStatus};
use crate::render::document::audit::AuditReport;
use crate::render::document::check::CheckReport;
use crate::render::document::diff::DiffReport;
use crate::render::document::events::EventReport;
use crate::render::document::free::FreeReport;
use crate::render::document::group::GroupsReport;
use crate::render::document::info::InfoReport;
use crate::render::document::json;
use crate::render::document::listing::Report;
use crate::render::document::services::ServicesReport;
use crate::render::document::spaces::SpacesReport;
use crate::render::document::usage::UsageReport;
use crate::render::document::wait::WaitReport;

/// Writes one schema.
type Writer = fn(&mut dyn Write) -> io::Result<()>;

/// Every document: the report of a listing, and what commands answer with `--json`.
const DOCUMENTS: &[(&str, Writer)] = &[
    ("report", |out| json::write_schema::<Report<'_>>(out)),
    ("group", |out| json::write_schema::<GroupsReport<'_>>(out)),
    ("info", |out| json::write_schema::<InfoReport<'_>>(out)),
    ("check", |out| json::write_schema::<CheckReport<'_>>(out)),
    ("free", |out| json::write_schema::<FreeReport<'_>>(out)),
    ("usage", |out| json::write_schema::<UsageReport<'_>>(out)),
    ("diff", |out| json::write_schema::<DiffReport<'_>>(out)),
    ("audit", |out| json::write_schema::<AuditReport<'_>>(out)),
    ("events", |out| json::write_line_schema::<EventReport<'_>>(out)),
    ("services", |out| json::write_schema::<ServicesReport<'_>>(out)),
    ("spaces", |out| json::write_schema::<SpacesReport<'_>>(out)),
    ("wait", |out| json::write_schema::<WaitReport<'_>>(out)),
];

/// Print the JSON Schema of a JSON document
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The document: `report` is the listing; the others are named after their command
    #[arg(value_name = "DOCUMENT", value_parser = PossibleValuesParser::new(DOCUMENTS.iter().map(|(name, _)| *name)), default_value = "report")]
    document: String,
}

pub fn run(args: &Args, context: &mut Context) -> Result<ExitStatus, Error> {
    let (_, write) = DOCUMENTS.iter().find(|(name, _)| *name == args.document).expect("known");
    write(&mut context.stdout)?;
    Ok(ExitStatus::Yes)
}
