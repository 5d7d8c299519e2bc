//! The interfaces of a network namespace and their addresses, as rules see them.
//!
//! Source: rtnetlink(7), `linux/if_link.h`, `linux/if_addr.h`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::dump::{self, attribute};
use crate::model::Family;

/// The interfaces and addresses of a network namespace.
#[derive(Clone, Debug, Default)]
pub struct HostFacts {
    /// The interfaces but loopback.
    pub interfaces: Vec<Interface>,
    /// The addresses of all interfaces.
    pub addresses: Vec<IpAddr>,
}

/// An interface.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Who is behind it.
    pub side: Side,
    /// Its addresses, the one that the kernel takes first at the beginning.
    pub addresses: Vec<IpAddr>,
}

/// Who sends by an interface.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Side {
    /// Other hosts.
    Outside,
    /// Containers and virtual machines of this host: a bridge that no interface to other hosts is part of.
    Inner,
}

impl HostFacts {
    /// Whether the kernel redirects to this address what comes in by its interface.
    pub fn is_first_of_its_interface(&self, address: IpAddr) -> bool {
        let interface = self.interfaces.iter().find(|interface| interface.addresses.contains(&address));
        let family = Family::of(address);
        let is_like = |other: &&IpAddr| Family::of(**other) == family && is_of_a_link(**other) == is_of_a_link(address);
        interface.is_some_and(|interface| interface.addresses.iter().find(is_like) == Some(&address))
    }

    /// Reads them for the network namespace of the calling thread.
    pub fn read() -> io::Result<HostFacts> {
        let mut links = Vec::new();
        dump::dump(dump::ROUTE, GET_LINK, &[0; 16], |kind, payload| {
            if kind == NEW_LINK {
                links.extend(Link::of(payload));
            }
        })?;
        let mut addresses = Vec::new();
        dump::dump(dump::ROUTE, GET_ADDRESS, &[0; 8], |kind, payload| {
            if kind == NEW_ADDRESS {
                addresses.extend(address_of(payload));
            }
        })?;
        Ok(HostFacts::of(&links, &addresses))
    }

    fn of(links: &[Link], addresses: &[(u32, IpAddr)]) -> HostFacts {
        let interface = |link: &Link| {
            let parts = || links.iter().filter(|part| part.master == Some(link.index));
            let is_inner = link.kind == "bridge" && parts().all(|part| matches!(&*part.kind, "veth" | "tun" | "dummy"));
            Interface {
                name: link.name.clone(),
                side: if is_inner { Side::Inner } else { Side::Outside },
                addresses: addresses.iter().filter(|(index, _)| *index == link.index).map(|(_, is)| *is).collect(),
            }
        };
        // What is part of a bridge has no packets of its own.
        let is_listed = |link: &&Link| link.name != "lo" && link.master.is_none();
        HostFacts {
            interfaces: links.iter().filter(is_listed).map(interface).collect(),
            addresses: addresses.iter().map(|(_, address)| *address).collect(),
        }
    }
}

fn is_of_a_link(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

const NEW_LINK: u16 = 16;
const GET_LINK: u16 = 18;
const NEW_ADDRESS: u16 = 20;
const GET_ADDRESS: u16 = 22;
const LINK_NAME: u16 = 3;
const LINK_MASTER: u16 = 10;
const LINK_INFO: u16 = 18;
const INFO_KIND: u16 = 1;
const ADDRESS: u16 = 1;
const LOCAL: u16 = 2;

#[derive(Debug)]
struct Link {
    index: u32,
    name: String,
    kind: String,
    master: Option<u32>,
}

fn word(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

impl Link {
    fn of(payload: &[u8]) -> Option<Link> {
        let index = word(payload.get(4..)?)?;
        let all = payload.get(16..)?;
        let kind = attribute(all, LINK_INFO).and_then(|info| attribute(info, INFO_KIND));
        Some(Link {
            index,
            name: text(attribute(all, LINK_NAME)?),
            kind: kind.map(text).unwrap_or_default(),
            master: attribute(all, LINK_MASTER).and_then(word),
        })
    }
}

fn address_of(payload: &[u8]) -> Option<(u32, IpAddr)> {
    let index = word(payload.get(4..)?)?;
    let all = payload.get(8..)?;
    // That of a point-to-point link is the other end's.
    let bytes = attribute(all, LOCAL).or_else(|| attribute(all, ADDRESS))?;
    let address = match bytes.len() {
        4 => Ipv4Addr::from(*bytes.first_chunk::<4>()?).into(),
        16 => Ipv6Addr::from(*bytes.first_chunk::<16>()?).into(),
        _ => return None,
    };
    Some((index, address))
}
