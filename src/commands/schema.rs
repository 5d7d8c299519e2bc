//! `portscope schema`: the JSON Schema of the documents that portscope writes.

use crate::context::Context;
use crate::error::{Error, ExitStatus};
use crate::render::audit::AuditReport;
use crate::render::json;
use crate::render::report::Report;
use crate::render::report_info::InfoReport;
use crate::render::report_services::ServicesReport;
use crate::render::report_spaces::SpacesReport;
use crate::render::report_usage::UsageReport;

/// Print the JSON Schema of a JSON document
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which document: the report of a listing, or the answer of `info`, `usage`, `services`, `spaces` or `audit`
    #[arg(value_name = "DOCUMENT", value_parser = ["report", "info", "usage", "services", "spaces", "audit"], default_value = "report")]
    document: String,
}

pub fn run(args: &Args, context: &mut Context) -> Result<ExitStatus, Error> {
    match args.document.as_str() {
        "info" => json::write_schema::<InfoReport<'_>>(&mut context.stdout)?,
        "usage" => json::write_schema::<UsageReport<'_>>(&mut context.stdout)?,
        "services" => json::write_schema::<ServicesReport<'_>>(&mut context.stdout)?,
        "spaces" => json::write_schema::<SpacesReport<'_>>(&mut context.stdout)?,
        "audit" => json::write_schema::<AuditReport<'_>>(&mut context.stdout)?,
        _ => json::write_schema::<Report<'_>>(&mut context.stdout)?,
    }
    Ok(ExitStatus::Yes)
}
