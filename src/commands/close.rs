//! `portscope close`: ends sockets and leaves their processes alone.

use std::collections::BTreeMap;
use std::io::Write;

use super::choose;
use super::confirm::{charset, confirm};
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
use crate::render::words::{absence, socket};
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
    can_destroy().map_err(|error| Error::Unable(error.to_string()))?;
    let Some(ports) = choose::ports(&args.ports, args.protocols, "close", context)? else {
        context.say("nothing was done")?;
        return Ok(ExitStatus::No);
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
        let (what, instead) = if args.wants_connections() {
            ("no such connection is", Vec::new())
        } else {
            (
                "nothing is listening",
                targets.wildcards(&listing).into_iter().map(|row| absence::wildcard(row, charset)).collect(),
            )
        };
        let line = [vec![format!("{what} on {}", targets.names())], instead].concat().join("; ");
        context.note(&line);
        return Ok(ExitStatus::No);
    }
    for row in &chosen {
        context.say(&socket::socket_and_holders(row, charset))?;
    }
    context.stdout.flush()?;
    let noun = if chosen.len() == 1 { "socket" } else { "sockets" };
    if !confirm(args.dry_run, args.yes, &format!("Destroy {} {noun}?", chosen.len()), context)? {
        return Ok(if args.dry_run { ExitStatus::Yes } else { ExitStatus::No });
    }
    let is_whole = destroy_all(&chosen, charset, context)?;
    Ok(if is_whole { ExitStatus::Yes } else { ExitStatus::No })
}

/// Destroys each, and says afterwards what the table shows of it; whether all were destroyed.
fn destroy_all(chosen: &[&Row<'_>], charset: Charset, context: &mut Context) -> Result<bool, Error> {
    let mut is_whole = true;
    let mut destroyed = Vec::new();
    for row in chosen {
        match destroy(row.socket) {
            Ok(()) => destroyed.push(*row),
            Err(ControlError::Gone) => {
                context.say(&format!("{}: was closed meanwhile", socket::socket(row, charset)))?;
            }
            Err(ControlError::Refused) => {
                context.note(&refused(context));
                return Ok(false);
            }
            Err(ControlError::Unsupported(why)) if destroyed.is_empty() && is_whole => {
                return Err(Error::Unable(why.to_owned()));
            }
            Err(error) => {
                context.note(&format!("{} was not destroyed: {error}", socket::socket(row, charset)));
                is_whole = false;
            }
        }
    }
    let now = context.source.sockets(&PortTargets::need(false))?;
    let now: BTreeMap<Option<u64>, &Socket> = now.iter().map(|socket| (socket.cookie, socket)).collect();
    for row in destroyed {
        let line = format!("{}: destroyed", socket::socket(row, charset));
        // A connection that was destroyed leaves nothing; what was bound by number stays bound.
        let kept = now.get(&row.socket.cookie).filter(|socket| is_bound(&socket.local));
        match kept {
            Some(socket) => context.say(&format!(
                "{line}; {} keeps {} bound until it closes its descriptor or ends",
                socket::all(row, charset),
                socket::end(socket.local, socket.device.as_deref(), charset)
            ))?,
            None => context.say(&line)?,
        }
    }
    Ok(is_whole)
}

fn is_bound(end: &Endpoint) -> bool {
    end.port.get() != 0
}

fn refused(context: &Context) -> String {
    let program = context.program.as_deref().map_or_else(|| "portscope".into(), |path| path.to_string_lossy());
    format!(
        "to destroy a socket takes root or CAP_NET_ADMIN, so nothing was done; the same as root: sudo {program} close ..."
    )
}
