//! The options of iptables by which rules match.

use std::net::IpAddr;

use super::{Words, unclear};
use crate::collect::linux::redirects::ruleset::{Dimension, Ranges, Test, Tracked, bits_of};

/// Reads an option of a module; the second value is whether the test is met where the option is not. Nothing when it asks
/// for nothing.
#[expect(clippy::too_many_lines, reason = "one line an option, as in the manual page")]
pub fn read(module: &str, option: &str, words: &mut Words<'_>) -> Option<(Test, bool)> {
    let mut is_inverted = false;
    let test = match (module, option) {
        (_, "-p" | "--protocol") => words.take().and_then(protocols).map(Test::Protocol),
        (_, "-s" | "--source") => within(Dimension::Source, words.take().and_then(networks)),
        (_, "-d" | "--destination") => within(Dimension::Destination, words.take().and_then(networks)),
        ("iprange", "--src-range") => within(Dimension::Source, words.take().and_then(networks)),
        ("iprange", "--dst-range") => within(Dimension::Destination, words.take().and_then(networks)),
        (_, "-i" | "--in-interface") => Some(Test::Input(vec![interface(words.take()?)])),
        (_, "-o" | "--out-interface") => Some(Test::Output(vec![interface(words.take()?)])),
        (_, "-f" | "--fragment") => Some(Test::Always(false)),
        ("tcp" | "udp" | "multiport", "--dport" | "--dports" | "--destination-port") => {
            within(Dimension::Port, words.take().and_then(ports))
        }
        ("tcp" | "udp" | "multiport", "--sport" | "--sports" | "--source-port") => {
            within(Dimension::SourcePort, words.take().and_then(ports))
        }
        ("sctp" | "dccp" | "icmp" | "icmp6" | "icmpv6" | "ah" | "esp", _) => {
            while words.value().is_some() {}
            Some(Test::Always(false))
        }
        // For what goes there, and for what comes from there: nothing that is followed exactly.
        ("multiport", "--ports") => {
            words.take();
            None
        }
        ("tcp", "--syn") => Some(Test::Always(true)),
        ("tcp", "--tcp-flags") => words.take().zip(words.take()).and_then(|(mask, set)| tcp_flags(mask, set)),
        ("tcp", "--tcp-option") => {
            words.take();
            Some(Test::Sender("with a TCP option"))
        }
        ("conntrack", "--ctstate") | ("state", "--state") => words.take().and_then(states),
        ("conntrack", "--ctstatus") => words.take().and_then(statuses),
        ("conntrack", "--ctproto") => words.take().and_then(protocols).map(Test::Protocol),
        ("conntrack", "--ctdir") => Some(Test::Always(words.take() == Some("ORIGINAL"))),
        // What still goes to its own port had no other one before.
        ("conntrack", "--ctorigdst") => within(Dimension::Destination, words.take().and_then(networks)),
        ("conntrack", "--ctorigdstport") => within(Dimension::Port, words.take().and_then(ports)),
        ("conntrack", "--ctorigsrc") => within(Dimension::Source, words.take().and_then(networks)),
        ("addrtype", "--dst-type") => match words.take()? {
            kinds if kinds.split(',').any(|kind| kind == "LOCAL") => Some(Test::ToThisHost),
            "UNICAST" | "BROADCAST" | "MULTICAST" | "ANYCAST" => Some(Test::Always(false)),
            _ => None,
        },
        ("addrtype", "--src-type") => match words.take()? {
            "LOCAL" => Some(Test::FromThisHost),
            _ => Some(Test::Sender("by the type of its address")),
        },
        ("addrtype", _) => Some(Test::Unclear("a match asks for the addresses of one interface".to_owned())),
        ("mark", "--mark") => words.take().and_then(mark).map(|(mask, values)| Test::Mark(mask, values)),
        ("connmark", "--mark") => words.take().and_then(mark).map(|(mask, values)| Test::ConnectionMark(mask, values)),
        ("owner", "--uid-owner") => Some(owner(Dimension::User, words.take()?)),
        ("owner", "--gid-owner") => Some(owner(Dimension::Group, words.take()?)),
        ("owner", "--socket-exists") => Some(Test::FromThisHost),
        ("owner", "--suppl-groups") => return None,
        ("cgroup", _) => {
            words.value();
            Some(Test::Sender("by its cgroup"))
        }
        ("statistic", "--mode") => {
            words.take();
            Some(Test::Sender("by chance"))
        }
        ("recent", "--set") => Some(Test::Always(true)),
        ("recent", "--rcheck" | "--update" | "--remove") => Some(Test::Sender("by what it sent before")),
        ("limit", "--limit") => {
            words.take();
            Some(Test::Sender("within a rate"))
        }
        ("hashlimit", "--hashlimit-upto" | "--hashlimit-above") => {
            words.take();
            Some(Test::Sender("within a rate"))
        }
        ("connlimit", "--connlimit-upto" | "--connlimit-above")
        | ("connbytes", "--connbytes")
        | ("quota", "--quota") => {
            words.take();
            Some(Test::Sender("within a limit"))
        }
        ("mac", "--mac-source") => {
            words.take();
            Some(Test::Sender("by its hardware address"))
        }
        ("rpfilter", "--invert") => Some(Test::Sender("by its route")),
        ("pkttype", "--pkt-type") => match words.take()? {
            "unicast" | "host" => Some(Test::Sender("to this host's hardware address")),
            _ => Some(Test::Always(false)),
        },
        ("policy", "--pol") => match words.take()? {
            "none" => {
                is_inverted = true;
                Some(Test::Sender("by IPsec"))
            }
            _ => Some(Test::Sender("by IPsec")),
        },
        ("time", "--timestart" | "--weekdays" | "--datestart") => {
            words.take();
            Some(Test::Sender("at some times"))
        }
        ("physdev", "--physdev-is-bridged" | "--physdev-is-in" | "--physdev-is-out") => Some(Test::Always(false)),
        ("set", "--match-set") => {
            let (name, sides) = (words.take()?, words.take().unwrap_or_default());
            let is_of_sender = sides.split(',').all(|side| side == "src");
            Some(if is_of_sender {
                Test::Sender("in an ipset")
            } else {
                Test::Unclear(format!("the ipset {name} is not read"))
            })
        }
        // A transparent socket is there for connections that were accepted before.
        ("socket", "--transparent") => Some(Test::Always(false)),
        // What only completes another option.
        (
            _,
            "--every"
            | "--packet"
            | "--probability"
            | "--limit-burst"
            | "--name"
            | "--mask"
            | "--seconds"
            | "--hitcount"
            | "--rttl"
            | "--rsource"
            | "--rdest"
            | "--reap"
            | "--hashlimit-burst"
            | "--hashlimit-mode"
            | "--hashlimit-name"
            | "--hashlimit-htable-expire"
            | "--hashlimit-htable-size"
            | "--hashlimit-htable-max"
            | "--hashlimit-htable-gcinterval"
            | "--hashlimit-srcmask"
            | "--hashlimit-dstmask"
            | "--connlimit-mask"
            | "--connlimit-saddr"
            | "--connlimit-daddr"
            | "--connbytes-dir"
            | "--connbytes-mode"
            | "--dir"
            | "--strict"
            | "--proto"
            | "--mode-none"
            | "--loose"
            | "--accept-local"
            | "--validmark"
            | "--restore-skmark"
            | "--nowildcard"
            | "--timestop"
            | "--datestop"
            | "--monthdays"
            | "--kerneltz"
            | "--contiguous"
            | "--return-nomatch"
            | "--reqid"
            | "--spi"
            | "--tunnel-src"
            | "--tunnel-dst"
            | "--next",
        ) => {
            words.value();
            return None;
        }
        _ => {
            while words.value().is_some() {}
            None
        }
    };
    Some((test.unwrap_or_else(|| unclear(module, option)), is_inverted))
}

fn within(dimension: Dimension, ranges: Option<Ranges>) -> Option<Test> {
    ranges.map(|ranges| Test::Within(dimension, ranges))
}

/// A name that ends in `+` stands for all that begin so.
fn interface(name: &str) -> String {
    name.strip_suffix('+').map_or_else(|| name.to_owned(), |beginning| format!("{beginning}*"))
}

fn protocols(name: &str) -> Option<Ranges> {
    const NAMES: [(&str, u128); 16] = [
        ("icmp", 1),
        ("igmp", 2),
        ("ipencap", 4),
        ("ipip", 4),
        ("tcp", 6),
        ("udp", 17),
        ("dccp", 33),
        ("ipv6", 41),
        ("gre", 47),
        ("esp", 50),
        ("ah", 51),
        ("ipv6-icmp", 58),
        ("ospf", 89),
        ("vrrp", 112),
        ("sctp", 132),
        ("udplite", 136),
    ];
    if name == "all" {
        return Some(Ranges::all());
    }
    let number = NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
    number.or_else(|| name.parse().ok().filter(|number| *number < 256)).map(Ranges::single)
}

/// `80`, `8000:8100`, `80,443,8000:8100`.
fn ports(text: &str) -> Option<Ranges> {
    let range = |item: &str| {
        let (first, last) = item.split_once(':').unwrap_or((item, item));
        let port = |text: &str| text.parse::<u16>().ok().map(u128::from);
        Some(Ranges::between(port(first)?, port(last)?))
    };
    text.split(',').map(range).collect::<Option<Vec<_>>>().map(Ranges::union)
}

/// `10.0.0.1`, `10.0.0.0/8`, `10.0.0.0/255.0.0.0`, `10.0.0.1-10.0.0.9`.
fn networks(text: &str) -> Option<Ranges> {
    match (text.split_once('/'), text.split_once('-')) {
        (Some((address, mask)), _) => {
            let address: IpAddr = address.parse().ok()?;
            let bits = match mask.parse::<IpAddr>() {
                Ok(mask) => {
                    let bits = bits_of(mask) << if mask.is_ipv4() { 96 } else { 0 };
                    // A mask with holes is no network.
                    (bits.leading_ones() + bits.trailing_zeros() >= 128).then(|| bits.leading_ones())?
                }
                Err(_) => mask.parse().ok()?,
            };
            Ranges::prefix(address, bits)
        }
        (_, Some((first, last))) => {
            let (first, last): (IpAddr, IpAddr) = (first.parse().ok()?, last.parse().ok()?);
            Some(Ranges::between(bits_of(first), bits_of(last)))
        }
        _ => Some(Ranges::single(bits_of(text.parse().ok()?))),
    }
}

/// `FIN,SYN,RST,ACK SYN`: of these flags just those are set, as the first packet of a connection has it.
fn tcp_flags(mask: &str, set: &str) -> Option<Test> {
    let flags = |text: &str| {
        text.split(',').try_fold(0u8, |all, flag| {
            Some(
                all | match flag {
                    "NONE" => 0,
                    "ALL" => 0x3f,
                    "FIN" => 1,
                    "SYN" => 2,
                    "RST" => 4,
                    "PSH" => 8,
                    "ACK" => 16,
                    "URG" => 32,
                    _ => return None,
                },
            )
        })
    };
    Some(Test::Always(2 & flags(mask)? == flags(set)?))
}

fn states(text: &str) -> Option<Test> {
    let state = |name: &str| {
        Some(match name {
            "NEW" => Tracked::New,
            "RELATED" | "ESTABLISHED" | "SNAT" => Tracked::Old,
            "INVALID" => Tracked::Invalid,
            "UNTRACKED" => Tracked::Untracked,
            "DNAT" => Tracked::Translated,
            _ => return None,
        })
    };
    text.split(',').map(state).collect::<Option<Vec<_>>>().map(Test::State)
}

/// A first packet has no answer yet and, while it goes to its own port, no other destination.
fn statuses(text: &str) -> Option<Test> {
    let is_known =
        |status: &str| matches!(status, "DNAT" | "SNAT" | "ASSURED" | "SEEN_REPLY" | "EXPECTED" | "CONFIRMED");
    text.split(',').all(is_known).then_some(Test::Always(false))
}

/// `0x1`, `0x1/0xff`.
fn mark(text: &str) -> Option<(u32, Ranges)> {
    let (value, mask) = match text.split_once('/') {
        Some((value, mask)) => (number(value)?, number(mask)?),
        None => (number(text)?, u32::MAX),
    };
    Some((mask, Ranges::single(value.into())))
}

/// A number in decimal or, after `0x`, in hexadecimal digits.
pub fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// `1000`, `1000-1010`; a name is no number.
fn owner(dimension: Dimension, text: &str) -> Test {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (first.parse::<u32>(), last.parse::<u32>()) {
        (Ok(first), Ok(last)) => Test::Within(dimension, Ranges::between(first.into(), last.into())),
        _ => Test::Sender("by its user"),
    }
}
