//! Whether ports could be bound: what the rule says and what the kernel answers, for each bind at each port.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::bind::{self, Facts};
use super::cause::{Checked, Probe, Verdict};
use crate::catalogue::Catalogue;
use crate::model::{Bind, BindError, Caller, Listing, Platform, Port, Protocol, Row};
use crate::select::{Address, Place};

/// The addresses that a program binds when it has no preference, and those of loopback.
pub const USUAL: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
];

/// The bind of a server: with `SO_REUSEADDR` for TCP, as servers set it, and plain for UDP, where that option would take
/// the datagrams of another. What `free` means everywhere: such a bind succeeds now.
pub fn server_bind(protocol: Protocol, address: IpAddr, port: Port) -> Bind {
    Bind { reuseaddr: protocol == Protocol::Tcp, ..Bind::plain(protocol, address, port) }
}

/// The binds of both protocols at the usual addresses, each still without its port.
pub fn usual_binds() -> Vec<Bind> {
    let bind = |protocol| USUAL.map(|address| server_bind(protocol, address, Port::new(0)));
    Protocol::REGISTERED.into_iter().flat_map(bind).collect()
}

/// How the kernel is asked.
#[derive(Clone, Copy)]
pub struct Kernel {
    /// Tries the bind and returns what the kernel says.
    pub bind: fn(&Bind) -> Probe,
    /// Tries the bind's address, at no particular port.
    pub address: fn(&Bind) -> Probe,
    /// The index of an interface.
    pub scope: fn(&str) -> Option<u32>,
}

impl Kernel {
    /// Why a server could not bind the port now, at the address or at every one. That a right may be missing does not
    /// count, since another user's server may have it; nor does a family that the system does not have.
    pub fn refuses_server(
        &self,
        address: Option<&Address>,
        port: Port,
        protocol: Protocol,
        platform: Platform,
    ) -> Option<BindError> {
        const EVERY: [IpAddr; 2] = [USUAL[0], USUAL[1]];
        const LOOPBACK: [IpAddr; 2] = [USUAL[2], USUAL[3]];
        let one;
        let (addresses, is_usual) = match address.map(|address| address.place) {
            None | Some(Place::Wildcard) => (&EVERY[..], true),
            Some(Place::Localhost) => (&LOOPBACK[..], true),
            Some(Place::Exactly(address)) => {
                one = [address];
                (&one[..], false)
            }
        };
        let device = address.and_then(|address| address.interface.clone());
        let refusal = |address: &IpAddr| {
            let scope = device.as_deref().filter(|_| address.is_ipv6()).and_then(self.scope).unwrap_or(0);
            let bind = Bind { scope, device: device.clone(), ..server_bind(protocol, *address, port) };
            match (self.bind)(&bind).err()? {
                BindError::NotAvailable | BindError::Family if is_usual => None,
                // On Windows it means that another socket has the port for itself, or that the system set it apart.
                BindError::Access if platform != Platform::Windows => None,
                refusal => Some(refusal),
            }
        };
        addresses.iter().find_map(refusal)
    }
}

/// What is asked at each port.
#[derive(Clone, Copy)]
pub struct Question<'q> {
    /// The binds, each still without its port.
    pub binds: &'q [Bind],
    /// Whether these are only the usual ones.
    pub is_usual: bool,
    /// Whether each bind is tried, not only judged by the open sockets.
    pub is_tried: bool,
    /// The process that would bind.
    pub caller: Caller,
    /// How the kernel is asked.
    pub kernel: Kernel,
}

impl Question<'_> {
    /// Judges and tries every bind at every port.
    pub fn at<'a>(
        &self,
        ports: impl Iterator<Item = Port>,
        listing: &'a Listing<'a>,
        catalogue: &'a Catalogue,
    ) -> Vec<Checked<'a>> {
        // Whether an address is there does not depend on the port.
        let binds: Vec<(&Bind, Option<BindError>)> =
            self.binds.iter().map(|bind| (bind, (self.kernel.address)(bind).err())).collect();
        let mut rows: HashMap<Port, Vec<&Row<'_>>> = HashMap::new();
        for row in &listing.rows {
            rows.entry(row.socket.local.port).or_default().push(row);
        }
        let protocols: BTreeSet<Protocol> = self.binds.iter().map(|bind| bind.protocol).collect();
        let of_port = |port: Port| {
            let verdict = |(bind, address): &(&Bind, Option<BindError>)| {
                let bind = Bind { port, ..(*bind).clone() };
                let space = &listing.snapshot.spaces[0];
                let rows = rows.get(&port).map_or(&[][..], Vec::as_slice);
                self.verdict(
                    bind,
                    rows,
                    &Facts {
                        space,
                        caller: self.caller,
                        address: address.as_ref(),
                        redirects: listing.snapshot.redirects_of(space.id),
                    },
                )
            };
            let service = |protocol: &Protocol| Some((*protocol, catalogue.service(port, *protocol)?));
            Checked {
                port,
                services: protocols.iter().filter_map(service).collect(),
                verdicts: binds.iter().map(verdict).collect(),
            }
        };
        ports.map(of_port).collect()
    }

    fn verdict<'a>(&self, bind: Bind, rows: &[&'a Row<'a>], facts: &Facts<'_>) -> Verdict<'a> {
        let judgement = bind::judge(&bind, rows, facts);
        let probe = self.kernel.bind;
        let tried = self.is_tried.then(|| probe(&bind));
        // One option at a time: Linux remembers a bind that had both after its end (`fastreuseport` of the port's
        // bucket), and lets the next one with SO_REUSEPORT through that it would have refused.
        let is_in_use = tried == Some(Err(BindError::InUse));
        let with = |reuseaddr, reuseport| probe(&Bind { reuseaddr, reuseport, ..bind.clone() });
        let with_reuseaddr = (is_in_use && !bind.reuseaddr && !bind.reuseport).then(|| with(true, false));
        let with_reuseport = (is_in_use && !bind.reuseport).then(|| with(false, true));
        let has_only_reuseaddr = bind.protocol == Protocol::Tcp && bind.reuseaddr && !bind.reuseport;
        let without_reuseaddr = (tried == Some(Ok(())) && has_only_reuseaddr).then(|| with(false, false));
        let verdict = Verdict::new(bind, judgement, tried, facts);
        Verdict { without_reuseaddr, with_reuseaddr, with_reuseport, is_usual: self.is_usual, ..verdict }
    }
}
