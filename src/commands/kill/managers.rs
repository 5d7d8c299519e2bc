//! `--via-manager`: units and containers are stopped by those who run them.

use std::io::Write;

use super::handles::Handles;
use super::{Args, charset, confirm, note_refusals, outcome};
use crate::analyse::kill::{Obstacle, Plan, activated};
use crate::analyse::targets::PortTargets;
use crate::collect::manager;
use crate::context::Context;
use crate::error::{Error, ExitStatus};
use crate::model::{Managed, Pid, Row};
use crate::render::page::kill as page;
use crate::render::text::safe::Charset;
use crate::render::words::{kill as words, socket};

/// Asks the managers whether the holders are theirs, and has them stopped.
pub fn run(
    args: &Args,
    plan: Plan<'_, '_>,
    chosen: &[&Row<'_>],
    handles: &Handles,
    targets: &PortTargets,
    is_whole: bool,
    context: &mut Context,
) -> Result<ExitStatus, Error> {
    let charset = charset(context);
    let style = context.style();
    page::write(&mut context.stdout, &plan, style)?;
    context.stdout.flush()?;
    let (plan, found) = match all(plan, handles, charset) {
        Ok(found) => found,
        Err(line) => {
            context.note(&line);
            return Ok(ExitStatus::No);
        }
    };
    if found.is_empty() {
        note_refusals(&plan, charset, context);
        return Ok(ExitStatus::No);
    }
    let is_whole = note_refusals(&plan, charset, context) && is_whole;
    if args.dry_run {
        context.say(&words::would_run(&found))?;
    }
    if !confirm(args.dry_run, args.yes, &words::run_question(&found), context)? {
        return Ok(if args.dry_run && is_whole { ExitStatus::Yes } else { ExitStatus::No });
    }
    for managed in &found {
        if let Err(problem) = manager::stop(managed) {
            context.note(&words::not_stopped(managed, &problem));
            return Ok(ExitStatus::No);
        }
        context.say(&words::stopped(managed))?;
    }
    context.stdout.flush()?;
    let is_free = outcome::settle(args, &plan, chosen, handles, targets, charset, context)?;
    Ok(if is_free && is_whole { ExitStatus::Yes } else { ExitStatus::No })
}

/// The units and containers of every holder, each once, and the plan without what they settle.
fn all<'r, 'a>(
    mut plan: Plan<'r, 'a>,
    handles: &Handles,
    charset: Charset,
) -> Result<(Plan<'r, 'a>, Vec<Managed>), String> {
    let mut found: Vec<Managed> = Vec::new();
    let mut add = |managed: &Managed| {
        if !found.contains(managed) {
            found.push(managed.clone());
        }
    };
    for victim in &plan.victims {
        let who = socket::process(victim.pid, victim.process, charset);
        let Some(managed) = &victim.managed else {
            return Err(words::unmanaged(&who));
        };
        add(verified(managed, victim.pid, &who, handles)?);
    }
    let mut refusals = Vec::new();
    for refusal in std::mem::take(&mut plan.refusals) {
        match (&refusal.obstacle, refusal.holder) {
            (Obstacle::Elsewhere(Some(managed)), Some((pid, process))) => {
                add(verified(managed, pid, &socket::process(pid, process, charset), handles)?);
            }
            // The runtime itself has told that the port leads to its container.
            (Obstacle::Proxy(Some(managed)) | Obstacle::Redirect(Some(managed)), _) => add(managed),
            (Obstacle::Init, _) if refusal.row.socket.activation().is_some() => {
                // So has systemd of its socket units.
                activated(refusal.row).iter().for_each(&mut add);
            }
            _ => refusals.push(refusal),
        }
    }
    Ok((Plan { refusals, ..plan }, found))
}

/// A path of a cgroup is only a hint: the manager must say that the process is its own.
fn verified<'m>(managed: &'m Managed, pid: Pid, who: &str, handles: &Handles) -> Result<&'m Managed, String> {
    let standing = handles.get(&pid).and_then(|held| held.standing.as_ref().ok());
    let cgroups = standing.map(|standing| &standing.cgroups[..]).unwrap_or_default();
    match manager::owns(managed, cgroups) {
        Ok(true) => Ok(managed),
        Ok(false) => Err(words::not_its_managers(who, managed)),
        Err(problem) => Err(words::manager_is_silent(who, managed, &problem)),
    }
}
