//! Which rules there are at all, asked of the kernel itself: only where there are some are the firewall's tools run.
//!
//! Source: `linux/netfilter.h`, `linux/netfilter/nfnetlink.h`, `linux/netfilter/nf_tables.h`,
//! `net/ipv4/netfilter/ip_tables.c`.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::sync::LazyLock;

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;

use super::dump::{self, attribute};
use crate::collect::linux::procfs;

/// Which tools have rules for what comes to this host.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Present {
    /// The tables of nftables that have some, also through today's iptables: family and name.
    pub tables: BTreeSet<(String, String)>,
    /// The tables of nftables that are switched off, which its tool does not show: family and name.
    pub dormant: BTreeSet<(String, String)>,
    /// The older iptables for IPv4.
    pub older_ipv4: bool,
    /// The older iptables for IPv6.
    pub older_ipv6: bool,
    /// The table of IPVS, where it is there.
    pub ipvs: Option<String>,
}

impl Present {
    /// Whether nftables has some.
    pub fn nftables(&self) -> bool {
        !self.tables.is_empty()
    }

    /// Whether there are any.
    pub fn any(&self) -> bool {
        self.nftables() || self.older_ipv4 || self.older_ipv6 || self.ipvs.is_some()
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

/// Looks for rules in the network namespace of the calling thread. It takes CAP_NET_ADMIN.
pub fn look(packets: Packets) -> io::Result<Present> {
    // Without it there would seem to be no such files.
    let proc = procfs::open()?;
    let folder = openat(&proc, "thread-self/net", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let read = |file: &str| match openat(&folder, file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
        Ok(file) => io::read_to_string(File::from(file)),
        // Without the module there is no such file.
        Err(Errno::NOENT) => Ok(String::new()),
        Err(error) => Err(error.into()),
    };
    let has_tables = |text: String| text.lines().any(|name| !name.is_empty());
    let (older_ipv4, older_ipv6) = (has_tables(read("ip_tables_names")?), has_tables(read("ip6_tables_names")?));
    let ipvs = Some(read("ip_vs")?).filter(|text| text.lines().count() > 3);
    let mut present = Present { older_ipv4, older_ipv6, ipvs, ..Present::default() };
    // Asking would load the module where nobody uses it.
    if *MAY_HAVE_NFTABLES {
        present.tables = tables(packets)?;
    }
    if present.nftables() {
        present.dormant = dormant_tables()?;
    }
    Ok(present)
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

const NEW_TABLE: u16 = 10 << 8;
const GET_TABLES: u16 = 10 << 8 | 1;
const NEW_CHAIN: u16 = 10 << 8 | 3;
const GET_CHAINS: u16 = 10 << 8 | 4;
/// The header of netfilter.
const HEADER: usize = 4;
const TABLE_NAME: u16 = 1;
const TABLE_FLAGS: u16 = 2;
const DORMANT: u32 = 1;
const CHAIN_HOOK: u16 = 4;
const CHAIN_POLICY: u16 = 5;
/// How many rules a chain has, big-endian.
const CHAIN_USE: u16 = 6;
const HOOK_NUMBER: u16 = 1;
const FORWARD: u32 = 2;
const OUTPUT: u32 = 3;
const POSTROUTING: u32 = 4;
/// The families of tables by their numbers.
const FAMILIES: [(u8, &str); 4] = [(1, "inet"), (2, "ip"), (10, "ip6"), (5, "netdev")];

fn family(payload: &[u8]) -> Option<&'static str> {
    let number = payload.first()?;
    FAMILIES.iter().find(|(known, _)| known == number).map(|(_, name)| *name)
}

fn dump(kind: u16, each: impl FnMut(u16, &[u8])) -> io::Result<()> {
    match dump::dump(dump::NETFILTER, kind, &[0; HEADER], each) {
        // A kernel without nftables.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EOPNOTSUPP | libc::ENOENT)) => Ok(()),
        result => result,
    }
}

fn tables(packets: Packets) -> io::Result<BTreeSet<(String, String)>> {
    let mut found = BTreeSet::new();
    dump(GET_CHAINS, |kind, payload| {
        if kind == NEW_CHAIN && is_met(payload, packets) {
            found.extend(table_of(payload));
        }
    })?;
    Ok(found)
}

/// The family and the name of the table that a message is about.
fn table_of(payload: &[u8]) -> Option<(String, String)> {
    let name = attribute(payload.get(HEADER..)?, TABLE_NAME)?;
    let name = String::from_utf8_lossy(name.strip_suffix(b"\0").unwrap_or(name)).into_owned();
    Some((family(payload)?.to_owned(), name))
}

fn dormant_tables() -> io::Result<BTreeSet<(String, String)>> {
    let mut found = BTreeSet::new();
    dump(GET_TABLES, |kind, payload| {
        if kind == NEW_TABLE {
            found.extend(dormant_table(payload));
        }
    })?;
    Ok(found)
}

fn number(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

fn dormant_table(payload: &[u8]) -> Option<(String, String)> {
    let flags = attribute(payload.get(HEADER..)?, TABLE_FLAGS).and_then(number)?;
    table_of(payload).filter(|_| flags & DORMANT != 0)
}

/// Whether such packets meet the chain, and it does something: tools make empty ones and leave them behind.
fn is_met(payload: &[u8], packets: Packets) -> bool {
    if family(payload).is_none() {
        return false;
    }
    let attributes = payload.get(HEADER..).unwrap_or_default();
    let hook = attribute(attributes, CHAIN_HOOK).and_then(|hook| attribute(hook, HOOK_NUMBER)).and_then(number);
    let is_met = match hook {
        None | Some(FORWARD | POSTROUTING) => false,
        Some(OUTPUT) => packets == Packets::All,
        Some(_) => true,
    };
    let is_empty = attribute(attributes, CHAIN_USE) == Some(&[0; 4]);
    let drops = attribute(attributes, CHAIN_POLICY) == Some(&[0; 4]);
    is_met && (!is_empty || drops)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn attribute_of(number: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(4 + value.len()).unwrap();
        let mut bytes = [&length.to_ne_bytes()[..], &number.to_ne_bytes(), value].concat();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn chain(family: u8, hook: u32, rules: u32, policy: u32) -> Vec<u8> {
        let number = attribute_of(HOOK_NUMBER, &hook.to_be_bytes());
        let hook = attribute_of(CHAIN_HOOK | 0x8000, &[number, attribute_of(2, &[0xff, 0xff, 0xff, 0x9c])].concat());
        let counts = attribute_of(CHAIN_USE, &rules.to_be_bytes());
        let policy = attribute_of(CHAIN_POLICY, &policy.to_be_bytes());
        [&[family, 0, 0, 0], &attribute_of(3, b"pre\0")[..], &hook, &counts, &policy].concat()
    }

    #[test]
    fn chains_count_that_packets_for_this_host_meet_and_that_do_something() {
        assert!(is_met(&chain(2, 0, 1, 1), Packets::Incoming), "prerouting");
        assert!(is_met(&chain(1, 1, 0, 0), Packets::Incoming), "input that drops");
        assert!(!is_met(&chain(1, 1, 0, 1), Packets::All), "input without rules");
        assert!(is_met(&chain(10, OUTPUT, 1, 1), Packets::All));
        assert!(!is_met(&chain(10, OUTPUT, 1, 1), Packets::Incoming));
        assert!(!is_met(&chain(2, FORWARD, 1, 1), Packets::All));
        assert!(!is_met(&chain(2, POSTROUTING, 1, 1), Packets::All), "masquerading changes who seems to send");
        assert!(!is_met(&chain(7, 0, 1, 1), Packets::All), "a bridge's own");
        let without_hook = [&[2, 0, 0, 0], &attribute_of(CHAIN_USE, &[0, 0, 0, 1])[..]].concat();
        assert!(!is_met(&without_hook, Packets::All));
    }

    #[test]
    fn a_table_that_is_switched_off_is_known_by_its_flags() {
        let table = |flags: u32| {
            let flags = attribute_of(TABLE_FLAGS, &flags.to_be_bytes());
            dormant_table(&[&[1, 0, 0, 0], &attribute_of(TABLE_NAME, b"fw\0")[..], &flags].concat())
        };
        assert_eq!(table(DORMANT), Some(("inet".to_owned(), "fw".to_owned())));
        assert_eq!(table(2), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_loop(bytes in any::<Vec<u8>>()) {
            let _ = (dump::answers(&bytes, &mut |_, _| {}), is_met(&bytes, Packets::All), dormant_table(&bytes));
        }
    }
}
