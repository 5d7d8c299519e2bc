//! `portscope check`: could a program bind this port, and if not, why, and what then?

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::ports;
use crate::analyse::cause::{Checked, Verdict};
use crate::analyse::check::{Question, USUAL};
use crate::catalogue::Catalogue;
use crate::cli::{BackendArgs, JsonArgs, ProtocolArgs, StyleArgs};
use crate::collect::probe;
use crate::context::Context;
use crate::error::{Error, ExitStatus};
use crate::join;
use crate::model::{Bind, Caller, Listing, Need, Platform, Port, Protocol, SpaceChoice, Uid};
use crate::render::document::check::CheckReport;
use crate::render::document::json;
use crate::render::page::check;
use crate::render::words::{mistake, verdict};
use crate::select::{self, Place, TargetList};

/// Check whether a program can bind a port; if not, show why and how to fix it
///
/// Judges each protocol and address by the open sockets, then tries a real bind for a moment; nothing is sent. Without
/// --address, checks 0.0.0.0, ::, 127.0.0.1, and ::1, if the host has them.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Ports: 8080, 53/udp, 8000-8010, 127.0.0.1:8080, or the name of a service
    #[arg(value_name = "PORT", required = true)]
    ports: Vec<TargetList>,

    #[command(flatten)]
    protocols: ProtocolArgs,

    /// Only the default IPv4 addresses
    #[arg(short = '4', long, conflicts_with = "addresses")]
    ipv4: bool,

    /// Only the default IPv6 addresses
    #[arg(short = '6', long, conflicts_with = "addresses")]
    ipv6: bool,

    /// Check this address instead of the default ones: ADDR, or ADDR%INTERFACE for a link-local one
    #[arg(short = 'a', long = "address", value_name = "ADDR", value_delimiter = ',', value_parser = parse_address)]
    addresses: Vec<Address>,

    /// Check a bind with IPV6_V6ONLY, which does not include IPv4
    #[arg(long)]
    v6only: bool,

    /// Check a bind with SO_REUSEADDR for UDP too, which can take another program's datagrams
    #[arg(long)]
    reuseaddr: bool,

    /// Check a TCP bind without SO_REUSEADDR, which most servers set
    #[arg(long, conflicts_with = "reuseaddr")]
    no_reuseaddr: bool,

    /// Check a bind with SO_REUSEPORT, which shares a port among the sockets of one user
    #[arg(long)]
    reuseport: bool,

    /// Check a bind to an interface (SO_BINDTODEVICE)
    #[arg(long, value_name = "INTERFACE")]
    device: Option<String>,

    /// Check for this user ID, without capabilities unless it is 0
    #[arg(long, value_name = "UID", value_parser = parse_uid)]
    user: Option<Uid>,

    /// Do not try a real bind; judge only by the open sockets
    #[arg(long)]
    no_probe: bool,

    /// Print nothing; the exit status is the answer
    #[arg(short = 'q', long, conflicts_with = "json")]
    quiet: bool,

    #[command(flatten)]
    document: JsonArgs,

    #[command(flatten)]
    backend: BackendArgs,

    #[command(flatten)]
    style: StyleArgs,
}

/// An address with its interface, as it is typed.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Address {
    address: IpAddr,
    interface: Option<String>,
}

pub fn run(args: &Args, context: &mut Context) -> Result<ExitStatus, Error> {
    let catalogue = context.configuration.catalogue(&args.style.labels, &context.environment)?;
    let caller = probe::caller();
    let groups = args.groups(&catalogue, caller)?;
    let need = args.need(&groups);
    let can_ask = groups.iter().flat_map(|group| &group.binds).next().is_some_and(probe::can_ask_as);
    let is_tried = can_ask && !args.no_probe;
    let mut round = 1;
    loop {
        let snapshot = context.source.snapshot(&need)?;
        let listing = join::listing(&snapshot, Some(&catalogue));
        let check = |group: &Group| {
            let Group { binds, is_usual, ports } = group;
            let question = Question { binds, is_usual: *is_usual, is_tried, caller, kernel: super::KERNEL };
            question.at(ports.iter().copied(), &listing, &catalogue)
        };
        let checked: Vec<Checked<'_>> = groups.iter().flat_map(check).collect();
        let verdicts = || checked.iter().flat_map(|port| &port.verdicts);
        // A socket may have come or gone between the table and the bind: only what stays is a disagreement.
        if round < 3 && verdicts().any(|verdict| verdict.agrees() == Some(false)) {
            round += 1;
            continue;
        }
        let is_good = verdicts().all(Verdict::is_good);
        if let (Some(Uid(user)), false, false) = (args.user, args.no_probe, can_ask) {
            context.note(&verdict::not_tried_as(user));
        }
        show(args, &checked, &listing, caller, context)?;
        return Ok(if is_good { ExitStatus::Yes } else { ExitStatus::No });
    }
}

fn show(
    args: &Args,
    checked: &[Checked<'_>],
    listing: &Listing<'_>,
    caller: Caller,
    context: &mut Context,
) -> Result<(), Error> {
    if args.quiet {
        return Ok(());
    }
    if args.document.json {
        let report = CheckReport::new(checked, listing, caller, context.program.as_deref());
        return Ok(json::write(&mut context.stdout, &report, context.terminal.is_tty)?);
    }
    let style = args.style.style(context);
    let mut text = Vec::new();
    check::write(&mut text, checked, listing, caller, style)?;
    super::pager::show(&text, !args.style.no_pager, context).map(|_| ())
}

/// Ports at which the same binds are checked.
struct Group {
    /// The binds, each still without its port.
    binds: Vec<Bind>,
    /// Whether the addresses are only the usual ones, or several that a name stands for.
    is_usual: bool,
    ports: Vec<Port>,
}

impl Args {
    fn need(&self, groups: &[Group]) -> Need {
        let protocols: BTreeSet<Protocol> =
            groups.iter().flat_map(|group| &group.binds).map(|bind| bind.protocol).collect();
        self.backend.asked(Need {
            protocols: protocols.into_iter().collect(),
            ports: Some(groups.iter().flat_map(|group| group.ports.iter().copied()).collect()),
            belonging: true,
            runs: true,
            project: true,
            exe: self.document.json,
            spaces: SpaceChoice::All,
            ..Need::default()
        })
    }

    /// The binds that are asked for, and at which ports; each port once for each address.
    fn groups(&self, catalogue: &Catalogue, caller: Caller) -> Result<Vec<Group>, Error> {
        let mut groups: Vec<(Option<&select::Address>, Vec<Protocol>, Vec<Port>)> = Vec::new();
        let asked = ports::look_up(TargetList::all(&self.ports), &self.protocols.of_servers(), catalogue)?;
        for asked in &asked {
            if asked.address.is_some() && !self.addresses.is_empty() {
                return Err(Error::Usage(mistake::two_addresses(&asked.target.text)));
            }
            let mut by_port: Vec<(Port, Vec<Protocol>)> = Vec::new();
            for (port, protocol) in &asked.ports {
                match by_port.iter_mut().find(|(known, _)| known == port) {
                    Some((_, protocols)) => protocols.push(*protocol),
                    None => by_port.push((*port, vec![*protocol])),
                }
            }
            for (port, protocols) in by_port {
                match groups.iter_mut().find(|group| (group.0, &group.1) == (asked.address, &protocols)) {
                    Some((_, _, ports)) if ports.contains(&port) => {}
                    Some((_, _, ports)) => ports.push(port),
                    None => groups.push((asked.address, protocols, vec![port])),
                }
            }
        }
        let group = |(address, protocols, ports): (Option<&select::Address>, Vec<Protocol>, Vec<Port>)| {
            let (addresses, is_usual) = self.addresses(address)?;
            Ok(Group { binds: self.binds(&protocols, &addresses, caller)?, is_usual, ports })
        };
        groups.into_iter().map(group).collect()
    }

    /// The addresses to bind, and whether one of them may be missing on this host.
    fn addresses(&self, asked: Option<&select::Address>) -> Result<(Vec<Address>, bool), Error> {
        let is_wanted = |address: &IpAddr| self.ipv4 == self.ipv6 || address.is_ipv4() == self.ipv4;
        let plain = |address| Address { address, interface: None };
        let usual = |test: fn(&IpAddr) -> bool| {
            let addresses = USUAL.into_iter().filter(is_wanted).filter(test).map(plain);
            (addresses.collect(), true)
        };
        Ok(match asked {
            None if self.addresses.is_empty() => usual(|_| true),
            None => (self.addresses.clone(), false),
            Some(address) => match address.place {
                Place::Wildcard => usual(IpAddr::is_unspecified),
                Place::Localhost => usual(IpAddr::is_loopback),
                Place::Exactly(ip) => {
                    (vec![of_link(ip, address.interface.clone(), &address.to_string()).map_err(Error::Usage)?], false)
                }
            },
        })
    }

    /// The binds of each protocol to each address; the port itself is still missing.
    fn binds(&self, protocols: &[Protocol], addresses: &[Address], caller: Caller) -> Result<Vec<Bind>, Error> {
        let with = |protocol, wanted: &Address| {
            let scope = match &wanted.interface {
                Some(name) => probe::scope_of(name).ok_or_else(|| unknown_interface(name))?,
                None => 0,
            };
            // The kernel binds the socket of a link-local address to its interface.
            let of_scope = wanted.interface.clone().filter(|_| caller.platform == Platform::Linux);
            Ok(Bind {
                scope,
                v6only: self.v6only && wanted.address.is_ipv6(),
                // One of both options is what is asked for; servers of TCP set the first unless told otherwise.
                reuseaddr: self.reuseaddr || (protocol == Protocol::Tcp && !self.no_reuseaddr && !self.reuseport),
                reuseport: self.reuseport,
                device: self.device.clone().or(of_scope),
                user: self.user,
                ..Bind::plain(protocol, wanted.address, Port::new(0))
            })
        };
        protocols.iter().flat_map(|protocol| addresses.iter().map(|wanted| with(*protocol, wanted))).collect()
    }
}

fn unknown_interface(name: &str) -> Error {
    Error::Usage(mistake::unknown_interface(name))
}

fn parse_uid(text: &str) -> Result<Uid, String> {
    // The highest number stands for "no change" in setresuid(2).
    let number = text.parse().ok().filter(|number| *number != u32::MAX);
    number.map(Uid).ok_or_else(|| mistake::not_a_uid(text))
}

fn parse_address(text: &str) -> Result<Address, String> {
    let (address, interface) = match text.split_once('%') {
        Some((address, interface)) => (address, Some(interface.to_owned())),
        None => (text, None),
    };
    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
    let expected = || mistake::not_an_address(text);
    let address: IpAddr = bare.parse().map_err(|_| expected())?;
    if interface.as_ref().is_some_and(String::is_empty) {
        return Err(expected());
    }
    of_link(address, interface, text)
}

/// An address of one link needs its interface, and no other one has any.
fn of_link(address: IpAddr, interface: Option<String>, text: &str) -> Result<Address, String> {
    match (&interface, scope_in_words(address)) {
        (None, Some(scope)) => Err(mistake::no_interface(text, scope, &address)),
        (Some(_), None) => Err(mistake::needless_interface(text)),
        _ => Ok(Address { address, interface }),
    }
}

/// The scope of an address that means something on one interface only.
///
/// Source: RFC 4291, sections 2.5.6 and 2.7; Linux, `__ipv6_addr_needs_scope_id`.
fn scope_in_words(address: IpAddr) -> Option<&'static str> {
    let IpAddr::V6(address) = address else { return None };
    match (address.is_multicast(), address.segments()[0] & 0xf) {
        (true, 1) => Some("interface-local"),
        (true, 2) => Some("link-local"),
        _ => address.is_unicast_link_local().then_some("link-local"),
    }
}
