//! `portscope snapshot`: everything that can be seen of this host, in a file.

use std::path::{Path, PathBuf};

use crate::cli::{SourceArgs, StrictArgs};
use crate::context::Context;
use crate::error::{Error, ExitStatus};
use crate::model::{Gap, Need, Snapshot, SpaceChoice};
use crate::render::document::json;
use crate::render::words::summary;
use crate::system::file;
use crate::{join, select};

/// Save everything that is open now, to inspect or compare later
///
/// With `--from FILE`, every command that reads this machine reads the snapshot instead; `diff` compares
/// two of them.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file to write, readable only by you; standard output if omitted or -
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,

    /// Leave out peers, users, command lines, scripts, projects, and working folders
    ///
    /// They are null in the snapshot. Names of files, units, and containers are kept, though a user's name may be part
    /// of them.
    #[arg(long)]
    redact: bool,

    /// Include command lines, with the usual secrets masked
    #[arg(long, conflicts_with = "redact")]
    argv: bool,

    #[command(flatten)]
    strictness: StrictArgs,

    #[command(flatten)]
    source: SourceArgs,
}

pub fn run(args: &Args, context: &mut Context) -> Result<ExitStatus, Error> {
    let catalogue = context.configuration.catalogue(&[], &context.environment)?;
    let need = args.source.asked(Need {
        argv: args.argv,
        belonging: true,
        runs: true,
        project: true,
        exe: true,
        executables: true,
        spaces: SpaceChoice::All,
        ..Need::default()
    });
    let mut snapshot = super::snapshot(&need, &args.source, context)?;
    if args.redact {
        redact(&mut snapshot);
    }
    let mut listing = join::listing(&snapshot, Some(&catalogue));
    join::add_counterparts(&mut listing);
    select::in_default_order(&mut listing.rows);
    let program = context.program.clone();
    match args.file.as_deref().filter(|path| *path != Path::new("-")) {
        None => json::write_report(&mut context.stdout, &listing, program.as_deref(), false)?,
        Some(path) => {
            let mut text = Vec::new();
            json::write_report(&mut text, &listing, program.as_deref(), false)?;
            file::replace(path, &text, file::Mode::Private)
                .map_err(|error| Error::Write { path: path.to_owned(), error })?;
        }
    }
    context.stdout.flush()?;
    super::tell_gaps(&listing, context);
    Ok(args.strictness.status(&listing, ExitStatus::Yes))
}

/// Takes out what tells of people: who is connected, who runs what.
fn redact(snapshot: &mut Snapshot) {
    for socket in &mut snapshot.sockets {
        socket.peer = None;
        socket.uid = None;
    }
    for process in snapshot.processes.values_mut() {
        (process.uid, process.account) = (None, None);
        process.argv = None;
        (process.runs, process.project, process.cwd) = (None, None, None);
    }
    snapshot.users.clear();
    snapshot.gaps.iter_mut().for_each(Gap::redact);
    snapshot.gaps.extend([Gap::RedactedPeers, Gap::RedactedUsers]);
    snapshot.warnings.push(summary::REDACTED.to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redacted_snapshot_has_no_number_of_a_user() {
        let mut snapshot = crate::testing::snapshot();
        redact(&mut snapshot);
        let Gap::HiddenOwners { coverage: Some(coverage), .. } = &snapshot.gaps[0] else { panic!("{snapshot:?}") };
        assert_eq!((coverage.refused, coverage.uid), (70, None));
        assert!(snapshot.sockets.iter().all(|socket| (socket.uid, socket.peer) == (None, None)));
        assert!(snapshot.users.is_empty() && snapshot.processes.values().all(|process| process.uid.is_none()));
        let missing: Vec<&str> = snapshot.gaps.iter().map(|gap| gap.missing().name()).collect();
        assert_eq!(missing, ["owners", "peers", "users"]);
    }
}
