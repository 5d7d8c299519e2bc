//! `portscope close`: ends sockets and leaves their processes alone.

use std::collections::BTreeMap;
use std::io::Write;
use std::num::NonZeroU64;

use super::choose;
use super::confirm::{self, charset, confirm};
use crate::analyse::kill;
use crate::analyse::targets::PortTargets;
use crate::cli::ProtocolArgs;
use crate::collect::control::ControlError;
use crate::collect::{can_destroy, destroy};
use crate::context::Context;
use crate::error::{Error, ExitStatus};
use crate::join;
use crate::model::{Endpoint, Listing, Row, Socket};
use crate::render::text::safe::Charset;
use crate::render::words::{close as words, socket};
use crate::select::{Peer, TargetList};

/// Destroy the sockets on a port and leave their processes running
///
/// Needs Linux (SOCK_DESTROY) and CAP_NET_ADMIN. The process gets ECONNABORTED from the socket, and a peer is sent a reset.
/// Without other options, the listeners are destroyed. A process that bound the port keeps it bound until it closes the
/// descriptor; that is checked afterwards and reported.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Ports: 8080, 53/udp, 8000-8100, 127.0.0.1:8080, or the name of a service; without one, choose from a list
    #[arg(value_name = "PORT")]
    ports: Vec<TargetList>,

    #[command(flatten)]
    protocols: ProtocolArgs,

    /// Destroy the connections on the port instead of its listeners
    #[arg(long)]
    clients: bool,

    /// Destroy the connections to this peer: ADDR, ADDR/BITS, ADDR:PORT, or :PORT
    #[arg(long = "peer", value_name = "PEER", value_delimiter = ',')]
    peers: Vec<Peer>,

    /// Only show what would be destroyed
    #[arg(long)]
    dry_run: bool,

    /// Do not ask for confirmation
    #[arg(short = 'y', long)]
    yes: bool,
}

impl Args {
    fn chosen<'r, 'a>(&self, targets: &PortTargets, listing: &'r Listing<'a>) -> Vec<&'r Row<'a>> {
        let of_peer = |row: &Row<'_>| self.peers.is_empty() || self.peers.iter().any(|peer| peer.matches(row.socket));
        let is_meant = |row: &&Row<'_>| {
            if self.wants_connections() { row.is_connection() && of_peer(row) } else { kill::waits(row) }
        };
        listing.rows.iter().filter(|row| targets.is_on_port(row)).filter(is_meant).collect()
    }

    fn wants_connections(&self) -> bool {
        self.clients || !self.peers.is_empty()
    }
}

pub fn run(args: &Args, context: &mut Context) -> Result<ExitStatus, Error> {
    match can_destroy() {
        // Before anything is chosen or asked.
        Err(ControlError::Refused) if !args.dry_run => return Ok(refused(&typed(args), context)),
        Err(ControlError::Refused) => {}
        answer => answer.map_err(|error| Error::Unable(error.to_string()))?,
    }
    let Some(ports) = choose::ports(&args.ports, args.protocols, "close", context)? else {
        return confirm::declined(context);
    };
    let targets = super::port_targets(&ports, args.protocols, false, context)?;
    let mut snapshot = context.source.snapshot(&PortTargets::need(false))?;
    if args.chosen(&targets, &join::listing(&snapshot, None)).is_empty() {
        // That nothing is there needs two agreeing looks.
        snapshot = context.source.snapshot(&PortTargets::need(false))?;
    }
    let listing = join::listing(&snapshot, None);
    let chosen = args.chosen(&targets, &listing);
    let charset = charset(context);
    if chosen.is_empty() {
        let instead = if args.wants_connections() { Vec::new() } else { targets.wildcards(&listing) };
        context.note(&words::nothing(&targets.names(), args.wants_connections(), &instead, charset));
        return Ok(ExitStatus::No);
    }
    for row in &chosen {
        context.say(&socket::socket_and_holders(row, charset))?;
    }
    context.stdout.flush()?;
    if !confirm(args.dry_run, args.yes, &words::question(chosen.len()), context)? {
        return Ok(if args.dry_run { ExitStatus::Yes } else { ExitStatus::No });
    }
    destroy_all(&chosen, &typed(args), charset, context)
}

/// Destroys each, and says afterwards what the table shows of it.
fn destroy_all(chosen: &[&Row<'_>], typed: &str, charset: Charset, context: &mut Context) -> Result<ExitStatus, Error> {
    let mut is_whole = true;
    let mut destroyed = Vec::new();
    for row in chosen {
        match destroy(row.socket) {
            Ok(()) => destroyed.push(*row),
            Err(ControlError::Gone) => context.say(&words::gone(row, charset))?,
            // The capability does not count for this port space.
            Err(ControlError::Refused) => return Ok(refused(typed, context)),
            Err(ControlError::Unsupported(why)) if destroyed.is_empty() && is_whole => {
                return Err(Error::Unable(why.to_owned()));
            }
            Err(error) => {
                context.note(&words::not_destroyed(row, &error, charset));
                is_whole = false;
            }
        }
    }
    let now = context.source.sockets(&PortTargets::need(false))?;
    let now: BTreeMap<Option<NonZeroU64>, &Socket> = now.iter().map(|socket| (socket.cookie, socket)).collect();
    for row in destroyed {
        // A connection that was destroyed leaves nothing; what was bound by number stays bound.
        let kept = now.get(&row.socket.cookie).filter(|socket| is_bound(&socket.local));
        let kept = kept.map(|socket| (socket.local, socket.device.as_deref()));
        context.say(&words::destroyed(row, kept, charset))?;
    }
    Ok(if is_whole { ExitStatus::Yes } else { ExitStatus::No })
}

fn refused(typed: &str, context: &mut Context) -> ExitStatus {
    let said = words::refused(typed, context.program.as_deref());
    context.tell([said]);
    ExitStatus::No
}

/// The targets as they were typed.
fn typed(args: &Args) -> String {
    TargetList::all(&args.ports).map(|target| target.text.as_str()).collect::<Vec<_>>().join(" ")
}

fn is_bound(end: &Endpoint) -> bool {
    end.port.get() != 0
}
