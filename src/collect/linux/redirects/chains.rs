//! Whether there are rules at all that could forward ports, asked of the kernel itself.
//!
//! Source: `linux/netfilter.h`, `linux/netfilter/nfnetlink.h`, `linux/netfilter/nf_tables.h`,
//! `net/ipv4/netfilter/ip_tables.c`.

use std::fs;
use std::io;
use std::sync::LazyLock;

use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use crate::collect::linux::procfs;

/// Which kinds of rules have a NAT table.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Nat {
    /// nftables, also through today's iptables.
    pub by_nftables: bool,
    /// The older iptables for IPv4.
    pub by_older_ipv4: bool,
    /// The older iptables for IPv6.
    pub by_older_ipv6: bool,
}

impl Nat {
    /// Says whether any has.
    pub fn any(self) -> bool {
        self.by_nftables || self.by_older_ipv4 || self.by_older_ipv6
    }
}

/// The packets whose way the rules may change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Packets {
    /// Those that come in, and those that are sent here.
    All,
    /// Those that come in. The older iptables does not tell.
    Incoming,
}

/// Says who has NAT rules for such packets in the network namespace of the calling thread. It takes CAP_NET_ADMIN.
pub fn with_nat(packets: Packets) -> io::Result<Nat> {
    // Without it there would seem to be no such files.
    procfs::open()?;
    let has_table = |file: &str| match fs::read_to_string(format!("/proc/thread-self/net/{file}")) {
        Ok(names) => Ok(names.lines().any(|name| name == "nat")),
        // Without the module there is no such file.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    };
    let (by_older_ipv4, by_older_ipv6) = (has_table("ip_tables_names")?, has_table("ip6_tables_names")?);
    // Asking would load the module where nobody uses it.
    let by_nftables = *MAY_HAVE_NFTABLES && has_nat_chain(packets)?;
    Ok(Nat { by_nftables, by_older_ipv4, by_older_ipv6 })
}

/// The same in every namespace.
static MAY_HAVE_NFTABLES: LazyLock<bool> = LazyLock::new(nftables_may_be_loaded);

fn nftables_may_be_loaded() -> bool {
    let Ok(modules) = fs::read_to_string("/proc/modules") else { return true };
    if modules.lines().any(|line| line.starts_with("nf_tables ")) {
        return true;
    }
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    match fs::read_to_string(format!("/lib/modules/{release}/modules.builtin")) {
        Ok(builtin) => builtin.contains("/nf_tables.ko"),
        Err(_) => true,
    }
}

const REQUEST_DUMP: u16 = 0x301;
const GET_CHAINS: u16 = 10 << 8 | 4;
const NEW_CHAIN: u16 = 10 << 8 | 3;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_TYPE: u16 = 7;
/// How many rules a chain has, big-endian.
const CHAIN_USE: u16 = 6;
const HOOK_NUMBER: u16 = 1;
const PREROUTING: u32 = 0;
const OUTPUT: u32 = 3;
/// The header of netlink, and that of netfilter behind it.
const HEADERS: usize = 16 + 4;
/// The flags in the upper bits of an attribute's kind.
const KIND: u16 = 0x3fff;

fn has_nat_chain(packets: Packets) -> io::Result<bool> {
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, Some(netlink::NETFILTER))?;
    rustix::net::connect(&socket, &SocketAddrNetlink::new(0, 0))?;
    let patience = Some(std::time::Duration::from_secs(2));
    rustix::net::sockopt::set_socket_timeout(&socket, rustix::net::sockopt::Timeout::Recv, patience)?;
    let length = u32::try_from(HEADERS).unwrap_or_default();
    let request = [
        &length.to_ne_bytes()[..],
        &GET_CHAINS.to_ne_bytes(),
        &REQUEST_DUMP.to_ne_bytes(),
        &1u32.to_ne_bytes(),
        &[0; 8],
    ];
    rustix::net::send(&socket, &request.concat(), SendFlags::empty())?;
    let mut buffer = vec![0; 64 * 1024];
    let mut found = false;
    loop {
        let (length, _) = rustix::net::recv(&socket, &mut buffer[..], RecvFlags::empty())?;
        match answer(&buffer[..length], packets, &mut found) {
            Some(End::More) => {}
            Some(End::Done(0)) => return Ok(found),
            // A kernel without nftables.
            Some(End::Done(code)) if matches!(-code, libc::EINVAL | libc::EOPNOTSUPP | libc::ENOENT) => {
                return Ok(false);
            }
            Some(End::Done(code)) => return Err(io::Error::from_raw_os_error(-code)),
            None => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

#[derive(Debug, Eq, PartialEq)]
enum End {
    More,
    /// Below zero it is an error.
    Done(i32),
}

/// Looks through a datagram for chains that change where such packets go; nothing when its lengths lie.
fn answer(mut bytes: &[u8], packets: Packets, found: &mut bool) -> Option<End> {
    while !bytes.is_empty() {
        let length = usize::try_from(u32::from_ne_bytes(*bytes.first_chunk()?)).ok()?;
        let message = bytes.get(..length).filter(|_| length >= 16)?;
        let kind = half(message, 4)?;
        let code = || message.get(16..)?.first_chunk().map(|code| i32::from_ne_bytes(*code));
        match kind {
            DONE | ERROR => return Some(End::Done(code().unwrap_or(0))),
            NEW_CHAIN => *found |= is_nat(message.get(HEADERS..)?, packets),
            _ => {}
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(End::More)
}

/// Says whether the chain is one of NAT for such packets that has rules: tools make empty ones and leave them behind.
fn is_nat(attributes: &[u8], packets: Packets) -> bool {
    let hook = attribute(attributes, CHAIN_HOOK).and_then(|hook| attribute(hook, HOOK_NUMBER));
    let hook = hook.and_then(|number| number.first_chunk()).map(|number| u32::from_be_bytes(*number));
    let takes = hook == Some(PREROUTING) || (hook == Some(OUTPUT) && packets == Packets::All);
    let is_empty = || attribute(attributes, CHAIN_USE) == Some(&[0; 4]);
    takes && attribute(attributes, CHAIN_TYPE) == Some(b"nat\0") && !is_empty()
}

/// The value of the attribute of that kind.
fn attribute(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let (length, kind) = (half(attributes, 0)?, half(attributes, 2)?);
        let value = attributes.get(4..usize::from(length))?;
        if kind & KIND == wanted {
            return Some(value);
        }
        attributes = attributes.get(usize::from(length).next_multiple_of(4)..)?;
    }
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(kind: u16, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(16 + payload.len()).unwrap();
        let mut bytes = [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &[0; 10], payload].concat();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn attribute_of(number: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(4 + value.len()).unwrap();
        let mut bytes = [&length.to_ne_bytes()[..], &number.to_ne_bytes(), value].concat();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn chain(kind: &[u8], hook: u32) -> Vec<u8> {
        chain_of(kind, hook, 256)
    }

    fn chain_of(kind: &[u8], hook: u32, rules: u32) -> Vec<u8> {
        let number = attribute_of(HOOK_NUMBER, &hook.to_be_bytes());
        let hook = attribute_of(CHAIN_HOOK | 0x8000, &[number, attribute_of(2, &[0xff, 0xff, 0xff, 0x9c])].concat());
        let head = [2, 0, 0, 0];
        let rules = attribute_of(CHAIN_USE, &rules.to_be_bytes());
        let attributes = [&attribute_of(3, b"pre\0"), &hook[..], &rules, &attribute_of(CHAIN_TYPE, kind)].concat();
        message(NEW_CHAIN, &[&head[..], &attributes].concat())
    }

    #[test]
    fn a_chain_of_nat_is_found_among_others() {
        let mut found = false;
        let mut look = |bytes: &[u8], packets| (answer(bytes, packets, &mut found), std::mem::take(&mut found));
        assert_eq!(look(&chain(b"filter\0", PREROUTING), Packets::All), (Some(End::More), false));
        let both = [chain(b"filter\0", 1), chain(b"nat\0", PREROUTING), message(DONE, &0i32.to_ne_bytes())].concat();
        assert_eq!(look(&both, Packets::Incoming), (Some(End::Done(0)), true));
        assert_eq!(look(&chain(b"nat\0", OUTPUT), Packets::All), (Some(End::More), true));
        assert_eq!(look(&chain(b"nat\0", OUTPUT), Packets::Incoming), (Some(End::More), false));
        assert_eq!(look(&chain_of(b"nat\0", PREROUTING, 0), Packets::All), (Some(End::More), false));
        // One that only changes who sends (masquerading) changes no port's way.
        assert_eq!(look(&chain(b"nat\0", 4), Packets::All), (Some(End::More), false));
        assert_eq!(look(&message(ERROR, &(-1i32).to_ne_bytes()), Packets::All), (Some(End::Done(-1)), false));
        assert_eq!(look(&[1, 0, 0, 0, 0, 0], Packets::All), (None, false));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_loop(bytes in any::<Vec<u8>>()) {
            let _ = (answer(&bytes, Packets::All, &mut false), is_nat(&bytes, Packets::Incoming));
        }
    }
}
