//! What comes of it: whether the port is really free, and else who has it.

use std::collections::BTreeSet;
use std::io::Write;
use std::time::Duration;

use super::super::KERNEL;
use super::Args;
use super::handles::Handles;
use crate::analyse::kill::Plan;
use crate::analyse::restart;
use crate::analyse::targets::PortTargets;
use crate::analyse::wait::Place;
use crate::collect::control::{ControlError, Signal};
use crate::collect::{ProcessHandle, probe};
use crate::context::Context;
use crate::error::Error;
use crate::join;
use crate::model::{Listing, Pid, Row, Snapshot, SocketIdentity};
use crate::render::text::safe::Charset;
use crate::render::words::wait::{freed, refused};
use crate::render::words::{kill as words, socket};

/// The time between two looks, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(250));

/// How long a port that is free is still looked at where something may start its process again: systemd and most
/// supervisors do so after a tenth of a second at most.
const MOMENT: Duration = Duration::from_millis(500);

/// How things stand after a look.
enum Look {
    /// Nothing keeps a server from the ports, and the sockets that were meant are gone.
    Free(usize),
    /// A socket that was not there before: which, and what would stop it for good.
    Taken(String, Option<String>),
    /// What was meant is still there, or the kernel refuses the port to a server.
    Held(String),
}

/// Waits for the ends of the processes, forces them where that is wanted, and says how the ports are then.
pub fn settle(
    args: &Args,
    plan: &Plan<'_, '_>,
    chosen: &[&Row<'_>],
    handles: &Handles,
    targets: &PortTargets,
    charset: Charset,
    context: &mut Context,
) -> Result<bool, Error> {
    let names: Vec<(Pid, String)> =
        plan.victims.iter().map(|victim| (victim.pid, socket::process(victim.pid, victim.process, charset))).collect();
    let handle = |pid: &Pid| handles.get(pid).and_then(|held| held.handle.as_ref().ok());
    let mut running: Vec<(String, &ProcessHandle)> =
        names.iter().filter_map(|(pid, name)| Some((name.clone(), handle(pid)?))).collect();
    let spared: BTreeSet<SocketIdentity> = plan.refusals.iter().map(|refusal| refusal.row.socket.identity()).collect();
    let mut meant: BTreeSet<SocketIdentity> = chosen.iter().map(|row| row.socket.identity()).collect();
    meant.retain(|identity| !spared.contains(identity));
    let spared_rows: Vec<&Row<'_>> =
        chosen.iter().copied().filter(|row| meant.contains(&row.socket.identity())).collect();
    let places = targets.places(&spared_rows);
    let is_restarted = plan.victims.iter().any(|victim| restart::restarter(victim, plan).is_some());
    let mut is_settled_at = None;
    let started = context.now();
    let mut force = args.force_after;
    let mut limit = args.timeout + args.force_after.unwrap_or_default();
    let mut pause = PAUSES.0;
    let mut was_free = false;
    let mut is_offered = false;
    loop {
        let gone = context.now().duration_since(started);
        let waited = pause.min(limit.saturating_sub(gone)).min(force.map_or(pause, |at| at.saturating_sub(gone)));
        match running.first() {
            Some((_, process)) => drop(process.has_ended_within(waited)),
            None => context.pause(waited),
        }
        running.retain(|(_, process)| !process.has_ended_within(Duration::ZERO));
        pause = (pause + pause / 2).min(PAUSES.1);
        let gone = context.now().duration_since(started);
        let snapshot = context.source.snapshot(&PortTargets::need(false))?;
        let look = look(&snapshot, plan, targets, &places, (&meant, &spared), charset);
        if let (Look::Free(left), true) = (&look, was_free) {
            let until = *is_settled_at.get_or_insert(context.now() + MOMENT);
            if !is_restarted || context.now() >= until {
                say_free(*left, &running, targets, context)?;
                return Ok(true);
            }
            pause = pause.min(MOMENT / 8);
        }
        was_free = matches!(look, Look::Free(_));
        if let (Look::Taken(by, for_good), true) = (&look, running.is_empty()) {
            context.note(&words::taken(&targets.names(), by, for_good.is_some()));
            if let Some(hint) = for_good {
                context.hint(hint);
            }
            return Ok(false);
        }
        if !was_free && force.is_some_and(|at| gone >= at) {
            force = None;
            limit = gone + args.timeout;
            pause = PAUSES.0;
            send_kill(&running, context)?;
        }
        if gone >= limit && !was_free && !is_offered && may_offer(args, &running, context) {
            is_offered = true;
            let names: Vec<&str> = running.iter().map(|(name, _)| name.as_str()).collect();
            if context.ask(&words::force_question(&names, args.timeout)) == Some(true) {
                force = Some(gone);
                continue;
            }
        }
        if gone >= limit && !was_free {
            say_held(&look, &running, args, targets, context);
            return Ok(false);
        }
    }
}

/// Whether somebody who was asked before can be asked for more.
fn may_offer(args: &Args, running: &[(String, &ProcessHandle)], context: &Context) -> bool {
    let is_asked = !args.yes && context.can_ask();
    is_asked && !running.is_empty() && args.force_after.is_none() && args.signal != Signal::Kill && !args.via_manager
}

fn look(
    snapshot: &Snapshot,
    plan: &Plan<'_, '_>,
    targets: &PortTargets,
    places: &[Place],
    (meant, spared): (&BTreeSet<SocketIdentity>, &BTreeSet<SocketIdentity>),
    charset: Charset,
) -> Look {
    let listing = join::listing(snapshot, None);
    let say = |row: &Row<'_>| format!("{} ({})", socket::all(row, charset), socket::socket(row, charset));
    // What was left alone stays, and was spoken of.
    let blocking: Vec<&Row<'_>> =
        targets.blocking(&listing).into_iter().filter(|row| !spared.contains(&row.socket.identity())).collect();
    let is_meant = |row: &&&Row<'_>| meant.contains(&row.socket.identity());
    if let Some(row) = blocking.iter().find(is_meant) {
        return Look::Held(say(row));
    }
    if let Some(row) = blocking.first() {
        return Look::Taken(say(row), words::for_good(row, plan, charset));
    }
    // Connections that were meant: without a process they are the kernel's and end by themselves.
    let still = listing.rows.iter().filter(|row| !row.processes.is_empty());
    match still.into_iter().find(|row| meant.contains(&row.socket.identity())) {
        Some(row) => Look::Held(say(row)),
        None => match refusal(places, &listing, charset) {
            Some(why) => Look::Held(why),
            None => Look::Free(targets.left(&listing)),
        },
    }
}

/// Why a server could not have one of the places now.
fn refusal(places: &[Place], listing: &Listing<'_>, charset: Charset) -> Option<String> {
    let platform = probe::caller().platform;
    places.iter().find_map(|place| {
        let refusal = KERNEL.refuses_server(place.address.as_ref(), place.port, place.protocol, platform)?;
        let rows: Vec<&Row<'_>> = listing.rows.iter().filter(|row| place.has(row.socket)).collect();
        Some(refused(&refusal, &rows, charset))
    })
}

fn send_kill(running: &[(String, &ProcessHandle)], context: &mut Context) -> Result<(), Error> {
    for (name, process) in running {
        match process.send(Signal::Kill) {
            Ok(()) => context.say(&words::forced(name))?,
            Err(ControlError::Gone) => {}
            Err(error) => context.note(&words::not_signaled(name, &error)),
        }
    }
    context.stdout.flush()?;
    Ok(())
}

fn say_free(
    left: usize,
    running: &[(String, &ProcessHandle)],
    targets: &PortTargets,
    context: &mut Context,
) -> Result<(), Error> {
    for (name, _) in running {
        context.say(&words::still_runs(name))?;
    }
    context.say(&freed(&targets.names(), left))?;
    Ok(())
}

fn say_held(
    look: &Look,
    running: &[(String, &ProcessHandle)],
    args: &Args,
    targets: &PortTargets,
    context: &mut Context,
) {
    let (Look::Held(by) | Look::Taken(by, _)) = look else { return };
    let names: Vec<&str> = running.iter().map(|(name, _)| name.as_str()).collect();
    let can_force = args.force_after.is_none() && args.signal != Signal::Kill && !args.via_manager;
    context.tell([words::held(&targets.names(), args.timeout, by, &names, can_force)]);
}
