//! `portscope check`: could a program bind this port, and if not, why, and what then?

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::analyse::cause::{Checked, Verdict};
use crate::analyse::check::{Question, USUAL};
use crate::cli::{BackendArgs, JsonArgs, ProtocolArgs, StyleArgs};
use crate::collect::probe;
use crate::config;
use crate::context::Context;
use crate::error::{Error, ExitStatus};
use crate::join;
use crate::model::{Bind, Caller, Listing, Need, Platform, Port, PortRange, SpaceChoice, Uid};
use crate::render::document::check::CheckReport;
use crate::render::document::json;
use crate::render::page::check;

/// Check whether a program can bind a port; if not, show why and how to fix it
///
/// Each protocol and address is judged by the sockets that are open, and then tried for real: a socket is bound for a
/// moment, nothing is sent. Without --address these are 0.0.0.0, ::, 127.0.0.1 and ::1, as far as the host has them.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Ports, and ranges LOW-HIGH
    #[arg(value_name = "PORT", required = true, value_parser = parse_ports)]
    ports: Vec<PortRange>,

    #[command(flatten)]
    protocols: ProtocolArgs,

    /// Of the usual addresses only those of IPv4
    #[arg(short = '4', long, conflicts_with = "addresses")]
    ipv4: bool,

    /// Of the usual addresses only those of IPv6
    #[arg(short = '6', long, conflicts_with = "addresses")]
    ipv6: bool,

    /// The address to bind, instead of the usual ones: ADDR, or ADDR%INTERFACE for a link-local one
    #[arg(short = 'a', long = "address", value_name = "ADDR", value_delimiter = ',', value_parser = parse_address)]
    addresses: Vec<Address>,

    /// With IPV6_V6ONLY: an IPv6 bind leaves IPv4 alone
    #[arg(long)]
    v6only: bool,

    /// With SO_REUSEADDR, as most servers do
    #[arg(long)]
    reuseaddr: bool,

    /// With SO_REUSEPORT, which shares a port among sockets of one user
    #[arg(long)]
    reuseport: bool,

    /// Bound to an interface (SO_BINDTODEVICE)
    #[arg(long, value_name = "INTERFACE")]
    device: Option<String>,

    /// As this user, by number, without any capability unless it is 0
    #[arg(long, value_name = "UID", value_parser = parse_uid)]
    user: Option<Uid>,

    /// Judge by the open sockets only, and bind nothing to the port
    #[arg(long)]
    no_probe: bool,

    /// Print nothing: the exit code is the answer
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
    let catalogue = config::catalogue(&args.style.labels, &context.environment)?;
    let caller = probe::caller();
    let binds = args.binds(caller)?;
    let need = args.need();
    let can_ask = binds.first().is_some_and(probe::can_ask_as);
    let question = Question {
        binds: &binds,
        is_usual: args.addresses.is_empty(),
        is_tried: can_ask && !args.no_probe,
        caller,
        kernel: super::KERNEL,
    };
    let mut round = 1;
    loop {
        let snapshot = context.source.snapshot(&need)?;
        let listing = join::listing(&snapshot, Some(&catalogue));
        let mut seen = BTreeSet::new();
        let ports = args.numbers().filter(|port| seen.insert(*port));
        let checked = question.at(ports, &listing, &catalogue);
        let verdicts = || checked.iter().flat_map(|port| &port.verdicts);
        // A socket may have come or gone between the table and the bind: only what stays is a disagreement.
        if round < 3 && verdicts().any(|verdict| verdict.agrees() == Some(false)) {
            round += 1;
            continue;
        }
        let is_good = verdicts().all(Verdict::is_good);
        if let (Some(Uid(user)), false, false) = (args.user, args.no_probe, can_ask) {
            context.note(&format!("not tried as uid {user}: only root on Linux may; judged by the open sockets alone"));
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
    super::pager::show(&text, !args.style.no_pager, context)
}

impl Args {
    fn need(&self) -> Need {
        self.backend.asked(Need {
            protocols: self.protocols.protocols(),
            ports: Some(self.numbers().collect()),
            belonging: true,
            exe: self.document.json,
            spaces: SpaceChoice::All,
            ..Need::default()
        })
    }

    /// The ports that are asked for, as often as they are.
    fn numbers(&self) -> impl Iterator<Item = Port> {
        self.ports.iter().flat_map(|range| range.first().get()..=range.last().get()).map(Port::new)
    }

    /// The binds that are asked for, for each of the ports; the port itself is still missing.
    fn binds(&self, caller: Caller) -> Result<Vec<Bind>, Error> {
        let is_wanted = |address: &IpAddr| self.ipv4 == self.ipv6 || address.is_ipv4() == self.ipv4;
        let usual = USUAL.into_iter().filter(is_wanted).map(|address| Address { address, interface: None });
        let addresses: Vec<Address> = if self.addresses.is_empty() { usual.collect() } else { self.addresses.clone() };
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
                reuseaddr: self.reuseaddr,
                reuseport: self.reuseport,
                device: self.device.clone().or(of_scope),
                user: self.user,
                ..Bind::plain(protocol, wanted.address, Port::new(0))
            })
        };
        let protocols = self.protocols.protocols();
        protocols.iter().flat_map(|protocol| addresses.iter().map(|wanted| with(*protocol, wanted))).collect()
    }
}

fn unknown_interface(name: &str) -> Error {
    Error::Usage(format!("--address: `{name}` is not an interface here: `ip link` lists them"))
}

fn parse_ports(text: &str) -> Result<PortRange, String> {
    // Of a colon alone the colon is named.
    let ports = text.strip_prefix(':').filter(|ports| !ports.is_empty()).unwrap_or(text);
    ports.parse().map_err(|error: crate::model::PortError| error.to_string())
}

fn parse_uid(text: &str) -> Result<Uid, String> {
    // The highest number stands for "no change" in setresuid(2).
    let number = text.parse().ok().filter(|number| *number != u32::MAX);
    number.map(Uid).ok_or_else(|| format!("`{text}` is not a user number: expected 0-4294967294"))
}

fn parse_address(text: &str) -> Result<Address, String> {
    let (address, interface) = match text.split_once('%') {
        Some((address, interface)) => (address, Some(interface.to_owned())),
        None => (text, None),
    };
    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
    let expected = || format!("`{text}` is not an address: expected an IPv4 or IPv6 address, such as 127.0.0.1 or ::1");
    let address: IpAddr = bare.parse().map_err(|_| expected())?;
    match (&interface, scope_in_words(address)) {
        (None, Some(scope)) => Err(format!("`{text}` is {scope}: expected its interface too, such as {address}%eth0")),
        (Some(_), None) => Err(format!("`{text}`: only a link-local address has an interface; see --device")),
        (Some(name), Some(_)) if name.is_empty() => Err(expected()),
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
