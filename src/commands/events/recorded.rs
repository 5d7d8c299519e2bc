//! What a record of events says: who held a port from when to when, and who failed to get it.

use std::path::Path;

use super::Shown;
use crate::analyse::history::{History, StillOpen};
use crate::collect::Recorded;
use crate::context::Context;
use crate::error::{Error, ExitStatus};
use crate::join;
use crate::model::Event;
use crate::render::document;
use crate::render::page::events;
use crate::render::text::style::Style;
use crate::render::words::event;

pub(super) fn run(
    path: &Path,
    shown: &mut Shown<'_>,
    style: Style,
    context: &mut Context,
) -> Result<ExitStatus, Error> {
    let mut record = Recorded::open(path)?;
    let mut history = History::default();
    let mut open = StillOpen::default();
    while !shown.is_full()
        && let Some(changes) = record.next()?
    {
        let listing = join::listing(&changes.snapshot, Some(shown.catalogue));
        let wanted = shown.wanted(&changes, &listing)?;
        let is_wanted = |index: usize, _: &Event| wanted.get(index) == Some(&true);
        if shown.args.summary {
            history.add(&changes, &listing, &wanted, |row| event::program(row, style.charset));
        } else if shown.is_json() {
            document::events::write(&mut context.stdout, &changes, &listing, is_wanted)?;
        } else {
            shown.lines.write(&mut context.stdout, &changes, &listing, is_wanted)?;
            open.add(&changes, &listing, &wanted, |row| event::holding(row, style.charset));
        }
    }
    if shown.args.summary {
        events::write_summary(&mut context.stdout, &history, style)?;
    } else if !shown.is_json() {
        events::write_open(&mut context.stdout, open.in_order())?;
    }
    context.stdout.flush()?;
    if record.strange > 0 {
        context.note(&event::strange(record.strange));
    }
    Ok(ExitStatus::Yes)
}
