//! `portscope kill`: stops who listens on a port, and nobody else.

mod handles;
mod managers;
mod outcome;

use std::io::Write;
use std::time::Duration;

use handles::Handles;

use super::choose;
use super::confirm::{self, charset, confirm};
use crate::analyse::kill::{self, Plan};
use crate::cli::{ProtocolArgs, parse_duration};
use crate::collect::control::{ControlError, Signal};
use crate::context::Context;
use crate::error::{Error, ExitStatus};
use crate::render::page::kill as page;
use crate::render::text::safe::Charset;
use crate::render::words::{absence, kill as words, socket};
use crate::select::TargetList;
use crate::{join, select};

/// Stop the processes that listen on a port
///
/// Shows which processes would be stopped and everything else they have open, and asks. Each process is held by a pidfd and
/// must still have the socket when it is signaled, so a reused process ID harms no other process. Then waits until the
/// port is free.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Ports: 8080, 53/udp, 8000-8100, 127.0.0.1:8080, or the name of a service; without one, choose from a list
    #[arg(value_name = "PORT")]
    ports: Vec<TargetList>,

    #[command(flatten)]
    protocols: ProtocolArgs,

    /// Also stop processes with any other socket on the port, and clients of the port on this host
    #[arg(long)]
    clients: bool,

    /// Only show what would be stopped
    #[arg(long)]
    dry_run: bool,

    /// Do not ask for confirmation
    #[arg(short = 'y', long)]
    yes: bool,

    /// Signal to send
    #[arg(long, value_name = "SIGNAL", default_value = "TERM")]
    signal: Signal,

    /// Send SIGKILL to processes that have not ended after this time
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    force_after: Option<Duration>,

    /// How long to wait for the port to be free after the last signal
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "10s")]
    timeout: Duration,

    /// Let systemd, Docker, or Podman stop the unit or container instead of sending a signal
    #[arg(long, conflicts_with_all = ["signal", "force_after", "clients"])]
    via_manager: bool,
}

pub fn run(args: &Args, context: &mut Context) -> Result<ExitStatus, Error> {
    let Some(ports) = choose::ports(&args.ports, args.protocols, "kill", context)? else {
        return confirm::declined(context);
    };
    let targets = super::port_targets(&ports, args.protocols, args.clients, context)?;
    let (snapshot, handles) = handles::look(&targets, context)?;
    let mut listing = join::listing(&snapshot, None);
    select::in_default_order(&mut listing.rows);
    let charset = charset(context);
    let mut is_whole = true;
    for missing in targets.missing(&listing) {
        context.note(&absence::line(&missing, &targets, charset));
        is_whole = false;
    }
    let meant = targets.chosen(&listing);
    let plan = kill::plan(&listing, &meant, &handles::known(&handles, &meant));
    if args.via_manager {
        return managers::run(args, plan, &meant, &handles, &targets, is_whole, context);
    }
    let style = context.style();
    page::write(&mut context.stdout, &plan, style)?;
    context.stdout.flush()?;
    is_whole &= note_refusals(&plan, charset, context);
    if plan.victims.is_empty() {
        if !meant.is_empty() && plan.refusals.is_empty() {
            context.note(&words::nobody_left(&targets.names()));
        }
        return Ok(ExitStatus::No);
    }
    let question = words::question(&plan, args.signal.name(), charset);
    if !confirm(args.dry_run, args.yes, &question, context)? {
        return Ok(if args.dry_run && is_whole { ExitStatus::Yes } else { ExitStatus::No });
    }
    is_whole &= send(args.signal, &plan, &handles, charset, context)?;
    let is_free = outcome::settle(args, &plan, &meant, &handles, &targets, charset, context)?;
    Ok(if is_free && is_whole { ExitStatus::Yes } else { ExitStatus::No })
}

/// Says what is left alone; whether nothing is.
fn note_refusals(plan: &Plan<'_, '_>, charset: Charset, context: &mut Context) -> bool {
    let program = context.program.clone();
    context.tell(plan.refusals.iter().map(|refusal| words::refusal(refusal, charset, program.as_deref())));
    plan.refusals.is_empty()
}

/// Signals each process that still has one of its sockets; whether all were.
fn send(
    signal: Signal,
    plan: &Plan<'_, '_>,
    handles: &Handles,
    charset: Charset,
    context: &mut Context,
) -> Result<bool, Error> {
    let mut is_whole = true;
    for victim in &plan.victims {
        let Some(Ok(handle)) = handles.get(&victim.pid).map(|known| known.handle.as_ref()) else { continue };
        let who = socket::process(victim.pid, victim.process, charset);
        // It was seen some time ago: meanwhile somebody has thought about it.
        let still_holds = victim.meant.iter().try_fold(false, |found, row| Ok(found || handle.holds(row.socket)?));
        let sent = still_holds.and_then(|holds| if holds { handle.send(signal).map(|()| true) } else { Ok(false) });
        match sent {
            Ok(true) => context.say(&words::sent(&who, signal.name()))?,
            Ok(false) if handle.has_ended_within(Duration::ZERO) => {
                context.say(&words::ended_by_itself(&who))?;
            }
            Ok(false) => context.say(&words::let_go(&who))?,
            Err(ControlError::Gone) => context.say(&words::ended_by_itself(&who))?,
            Err(error) => {
                context.note(&words::not_signaled(&who, &error));
                is_whole = false;
            }
        }
    }
    context.stdout.flush()?;
    Ok(is_whole)
}
