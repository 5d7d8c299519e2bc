//! `portscope free`: ports that are safe for your own service.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::exec;
use crate::analyse::free::{Allowed, OwnServer, Reason, Rules};
use crate::analyse::order::Order;
use crate::catalogue::Catalogue;
use crate::cli::{BackendArgs, JsonArgs};
use crate::collect::probe::{self, BoundSocket};
use crate::context::Context;
use crate::error::{Error, ExitStatus};
use crate::join;
use crate::model::{Category, Listing, Need, Port, PortRange, Snapshot, SpaceChoice};
use crate::render::document::free::{self as document, Answer};
use crate::render::document::json;
use crate::render::page::free;
use crate::render::text::safe::{Charset, Text};
use crate::render::words::mistake;
use crate::render::words::reason::Explained;
use crate::render::words::summary;

/// Print free ports for your own service
///
/// Skips ports that are registered (IANA, /etc/services, your labels), ephemeral, reserved, privileged, refused by
/// browsers, forwarded by the firewall, or used by a socket in any state. Each printed port was actually bound, with TCP
/// and UDP, IPv4 and IPv6. Prints only the ports, so PORT=$(portscope free) works, and nothing if there are not enough.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Number of ports to print
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..), conflicts_with = "explain")]
    count: u16,

    /// Print consecutive ports
    #[arg(long)]
    contiguous: bool,

    /// Choose from this range instead of 1024-49151
    #[arg(long, value_name = "LOW-HIGH")]
    range: Option<PortRange>,

    /// Prefer ports close to this one
    #[arg(long, value_name = "PORT", conflicts_with = "seed")]
    near: Option<Port>,

    /// Print the same port for the same text while it stays free; `.` or a path with a slash means that folder, which keeps its
    /// port while your own server runs there
    #[arg(long, value_name = "TEXT|PATH")]
    seed: Option<OsString>,

    /// Include ports that are registered for other services
    #[arg(long)]
    allow_registered: bool,

    /// Also print ports that the system hands out to clients
    #[arg(long)]
    allow_ephemeral: bool,

    /// Explain why a port is or is not offered
    #[arg(long, value_name = "PORT", conflicts_with_all = ["contiguous", "near", "seed", "exec"])]
    explain: Option<Port>,

    /// Run this command with {} replaced by the port, which is held until it starts; must be the last option
    #[arg(long, value_name = "CMD", num_args = 1.., allow_hyphen_values = true, conflicts_with = "json")]
    exec: Vec<OsString>,

    /// With --exec: pass the command a TCP listener on the port, as systemd does (LISTEN_FDS)
    #[arg(long, requires = "exec")]
    listen_fds: bool,

    /// With --listen-fds: the address to listen on instead of every address
    #[arg(long, value_name = "ADDR", requires = "listen_fds")]
    address: Option<IpAddr>,

    #[command(flatten)]
    document: JsonArgs,

    /// Label a port, such as 8080=web or 5353/udp=mdns; it is then not offered
    #[arg(long = "label", value_name = "PORT[/PROTO]=NAME")]
    labels: Vec<String>,

    #[command(flatten)]
    backend: BackendArgs,
}

pub fn run(args: &Args, context: &mut Context) -> Result<ExitStatus, Error> {
    args.check()?;
    let catalogue = context.configuration.catalogue(&args.labels, &context.environment)?;
    let folder = args.folder()?;
    let order = args.order(folder.as_deref());
    let snapshot = context.source.snapshot(&args.need())?;
    let listing = join::listing(&snapshot, Some(&catalogue));
    let own = folder.as_deref().filter(|_| args.exec.is_empty()).zip(probe::caller().uid);
    let own = own.map(|(folder, uid)| OwnServer { folder, uid });
    let rules = args.rules(own, &catalogue, &listing);
    if let Some(port) = args.explain {
        return explain(args, port, &rules, &listing, context);
    }
    // Held until the end, so that what is printed was free at that moment; the last ones serve --exec.
    let mut held: Vec<Vec<BoundSocket>> = Vec::new();
    let mut prove = |ports: &[Port]| match probe::hold_all(ports) {
        Ok(sockets) => {
            held.push(sockets);
            true
        }
        Err(_) => false,
    };
    let order = order.unwrap_or_else(|| any_order(&snapshot));
    let ports = rules.pick(order, args.count, args.contiguous, &mut prove);
    let is_enough = ports.len() == usize::from(args.count);
    if args.document.json {
        let own = ports.iter().copied().filter(|port| rules.own_server(*port).is_some()).collect();
        let answer = Answer { listing: &listing, range: args.range(), count: args.count, ports: &ports, own };
        let report = document::report(&answer, (!is_enough).then(|| rules.census()), None, context.program.as_deref());
        json::write(&mut context.stdout, &report, context.terminal.is_tty)?;
    } else if !is_enough {
        let census = rules.census();
        context.note(&free::not_enough(args.range(), args.count, args.contiguous, ports.len(), &census));
        if let Some(hint) = free::what_would_offer_more(&census) {
            context.hint(hint);
        }
    } else if args.exec.is_empty() {
        for port in &ports {
            writeln!(context.stdout, "{port}")?;
        }
        context.stdout.flush()?;
        for row in ports.iter().filter_map(|port| rules.own_server(*port)) {
            let charset = crate::render::text::style::charset(&context.environment, context.terminal);
            context.note(&free::own_server(row, charset));
        }
    } else {
        context.stdout.flush()?;
        let listener = args.listener(ports[0], &mut held)?;
        return exec::exec(&args.exec, ports[0], listener);
    }
    // JSON has it in `visibility`.
    if !args.document.json {
        let unread = summary::unread_rules(&snapshot, context.program.as_deref());
        context.tell(unread);
    }
    Ok(if is_enough { ExitStatus::Yes } else { ExitStatus::No })
}

fn explain(
    args: &Args,
    port: Port,
    rules: &Rules<'_>,
    listing: &Listing<'_>,
    context: &mut Context,
) -> Result<ExitStatus, Error> {
    let mut reasons = rules.reasons(port);
    if reasons.is_empty()
        && let Err((_, protocol, refusal)) = probe::hold_all(&[port])
    {
        reasons.push(Reason::Refused(protocol, refusal));
    }
    let explained = Explained { port, reasons: &reasons };
    if args.document.json {
        let answer = Answer { listing, range: args.range(), count: 0, ports: &[], own: Vec::new() };
        let report = document::report(&answer, None, Some(&explained), context.program.as_deref());
        json::write(&mut context.stdout, &report, context.terminal.is_tty)?;
    } else {
        let style = context.style();
        free::write_explained(&mut context.stdout, &explained, listing.snapshot, style)?;
    }
    Ok(if reasons.is_empty() { ExitStatus::Yes } else { ExitStatus::No })
}

impl Args {
    fn check(&self) -> Result<(), Error> {
        let range = self.range();
        let size = u32::from(range.last().get()) - u32::from(range.first().get()) + 1;
        if u32::from(self.count) > size {
            return Err(Error::Usage(mistake::too_many(self.count, size, range)));
        }
        if self.exec.is_empty() {
            return Ok(());
        }
        if self.count > 1 {
            return Err(Error::Usage(mistake::ONE_PORT.to_owned()));
        }
        if !self.listen_fds && !exec::mentions_port(&self.exec) {
            return Err(Error::Usage(mistake::no_placeholder(exec::PLACE)));
        }
        Ok(())
    }

    fn range(&self) -> PortRange {
        self.range.unwrap_or(Category::Registered.range())
    }

    fn need(&self) -> Need {
        let has_folder = self.seed.as_deref().is_some_and(looks_like_path);
        self.backend.asked(Need { spaces: SpaceChoice::Own, project: has_folder, runs: has_folder, ..Need::default() })
    }

    fn rules<'a>(&self, own: Option<OwnServer<'a>>, catalogue: &'a Catalogue, listing: &'a Listing<'a>) -> Rules<'a> {
        let allowed = Allowed { registered: self.allow_registered, ephemeral: self.allow_ephemeral };
        Rules::new(self.range(), allowed, own, catalogue, &listing.snapshot.spaces[0], listing)
    }

    /// The full name of the folder that the seed stands for, where it stands for one that is there.
    fn folder(&self) -> Result<Option<PathBuf>, Error> {
        let Some(seed) = &self.seed else { return Ok(None) };
        if seed.is_empty() {
            return Err(Error::Usage(mistake::EMPTY_SEED.to_owned()));
        }
        if !looks_like_path(seed) {
            return Ok(None);
        }
        let full = Path::new(seed).canonicalize().ok();
        if full.is_none() && (seed == "." || seed == "..") {
            let shown = Text::of_os(seed, Charset::Unicode);
            return Err(Error::Usage(mistake::no_directory(shown.as_str())));
        }
        Ok(full)
    }

    /// The order that is asked for, if any.
    fn order(&self, folder: Option<&Path>) -> Option<Order> {
        let Some(seed) = &self.seed else { return self.near.map(Order::Near) };
        let text = folder.map_or(seed.as_os_str(), Path::as_os_str);
        Some(Order::of_text(text.as_encoded_bytes()))
    }

    /// The listener for the command; the sockets that held the port for it make room.
    fn listener(&self, port: Port, held: &mut Vec<Vec<BoundSocket>>) -> Result<Option<BoundSocket>, Error> {
        if !self.listen_fds {
            return Ok(None);
        }
        held.clear();
        let listener = probe::listen(self.address, port).map_err(|refusal| {
            let address = self.address.as_ref().map(|address| address as &dyn std::fmt::Display);
            Error::Usage(mistake::cannot_listen(port, address, refusal.name()))
        })?;
        Ok(Some(listener))
    }
}

/// Only what looks like a path is one, so that a text means the same in every folder.
fn looks_like_path(seed: &OsStr) -> bool {
    seed == "." || seed == ".." || seed.as_encoded_bytes().contains(&b'/')
}

/// An order of this run's own, so that runs at the same moment do not choose the same port.
fn any_order(snapshot: &Snapshot) -> Order {
    let time = snapshot.host.captured_at.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    Order::of_text(format!("{time} {}", std::process::id()).as_bytes())
}
