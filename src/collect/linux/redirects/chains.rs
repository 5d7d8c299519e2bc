//! Whether there are rules at all that could forward ports, asked of the kernel itself.
//!
//! Source: `linux/netfilter/nfnetlink.h`, `linux/netfilter/nf_tables.h`, `net/ipv4/netfilter/ip_tables.c`.

use std::fs;
use std::io;

use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

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

/// Says who has NAT rules in the network namespace of the calling thread. It takes CAP_NET_ADMIN.
pub fn with_nat() -> io::Result<Nat> {
    let has_table = |file: &str| match fs::read_to_string(format!("/proc/thread-self/net/{file}")) {
        Ok(names) => Ok(names.lines().any(|name| name == "nat")),
        // Without the module there is no such file.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    };
    let (by_older_ipv4, by_older_ipv6) = (has_table("ip_tables_names")?, has_table("ip6_tables_names")?);
    // Asking would load the module where nobody uses it.
    let by_nftables = nftables_may_be_loaded() && has_nat_chain()?;
    Ok(Nat { by_nftables, by_older_ipv4, by_older_ipv6 })
}

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
const CHAIN_TYPE: u16 = 7;
/// How many rules a chain has, big-endian.
const CHAIN_USE: u16 = 6;
/// The header of netlink, and that of netfilter behind it.
const HEADERS: usize = 16 + 4;
/// The flags in the upper bits of an attribute's kind.
const KIND: u16 = 0x3fff;

fn has_nat_chain() -> io::Result<bool> {
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
        match answer(&buffer[..length], &mut found) {
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

/// Looks through a datagram for chains of NAT; nothing when its lengths lie.
fn answer(mut bytes: &[u8], found: &mut bool) -> Option<End> {
    while !bytes.is_empty() {
        let length = usize::try_from(u32::from_ne_bytes(*bytes.first_chunk()?)).ok()?;
        let message = bytes.get(..length).filter(|_| length >= 16)?;
        let kind = half(message, 4)?;
        let code = || message.get(16..)?.first_chunk().map(|code| i32::from_ne_bytes(*code));
        match kind {
            DONE | ERROR => return Some(End::Done(code().unwrap_or(0))),
            NEW_CHAIN => *found |= is_nat(message.get(HEADERS..)?),
            _ => {}
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(End::More)
}

/// Says whether the chain is one of NAT that has rules: tools make empty ones and leave them behind.
fn is_nat(mut attributes: &[u8]) -> bool {
    let (mut is_nat, mut is_empty) = (false, false);
    while let (Some(length), Some(kind)) = (half(attributes, 0), half(attributes, 2)) {
        let Some(value) = attributes.get(4..usize::from(length)) else { break };
        match kind & KIND {
            CHAIN_TYPE => is_nat = value == b"nat\0",
            CHAIN_USE => is_empty = value == [0; 4],
            _ => {}
        }
        attributes = attributes.get(usize::from(length).next_multiple_of(4)..).unwrap_or_default();
    }
    is_nat && !is_empty
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

    fn chain(kind: &[u8], rules: u32) -> Vec<u8> {
        let attribute = |number: u16, value: &[u8]| {
            let length = u16::try_from(4 + value.len()).unwrap();
            let mut bytes = [&length.to_ne_bytes()[..], &number.to_ne_bytes(), value].concat();
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes
        };
        let number = attribute(CHAIN_USE, &rules.to_be_bytes());
        let attributes = [&attribute(3, b"pre\0")[..], &number, &attribute(CHAIN_TYPE, kind)].concat();
        message(NEW_CHAIN, &[&[2, 0, 0, 0][..], &attributes].concat())
    }

    #[test]
    fn a_chain_of_nat_is_found_among_others() {
        let mut found = false;
        assert_eq!(answer(&chain(b"filter\0", 2), &mut found), Some(End::More));
        assert_eq!(answer(&chain(b"nat\0", 0), &mut found), Some(End::More));
        assert!(!found);
        let both = [chain(b"filter\0", 2), chain(b"nat\0", 256), message(DONE, &0i32.to_ne_bytes())].concat();
        assert_eq!(answer(&both, &mut found), Some(End::Done(0)));
        assert!(found);
        assert_eq!(answer(&message(ERROR, &(-1i32).to_ne_bytes()), &mut found), Some(End::Done(-1)));
        assert_eq!(answer(&[1, 0, 0, 0, 0, 0], &mut found), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_loop(bytes in any::<Vec<u8>>()) {
            let _ = (answer(&bytes, &mut false), is_nat(&bytes));
        }
    }
}
