//! Settings of a network namespace that decide about ports. What is read is the namespace of the calling thread.
//!
//! Source: Linux, Documentation/networking/ip-sysctl.rst. Under a /proc mounted with `subset=pid` there are none.

use std::fs;

use crate::model::{Port, PortRange, TimeWaitReuse};

/// Returns the ports that the namespace hands out for outgoing connections, reserved ones included.
pub fn ephemeral_range() -> Option<PortRange> {
    parse_range(&read("ip_local_port_range")?)
}

/// Returns the ports that are never handed out by themselves, in and outside of the ephemeral range.
pub fn reserved_ports() -> Option<Vec<PortRange>> {
    parse_list(&read("ip_local_reserved_ports")?)
}

/// Returns the lowest port that may be bound without CAP_NET_BIND_SERVICE: 0 to 65536.
pub fn unprivileged_start() -> Option<u32> {
    read("ip_unprivileged_port_start")?.trim().parse().ok()
}

/// Returns which connections in TIME_WAIT leave their port to a new one: none where there are no timestamps to tell old
/// packets by.
pub fn time_wait_reuse() -> Option<TimeWaitReuse> {
    if read("tcp_timestamps").is_some_and(|text| text.trim() == "0") {
        return Some(TimeWaitReuse::Never);
    }
    let number: usize = read("tcp_tw_reuse")?.trim().parse().ok()?;
    TimeWaitReuse::ALL.get(number).copied()
}

fn read(name: &str) -> Option<String> {
    fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).ok()
}

fn parse_range(text: &str) -> Option<PortRange> {
    let mut numbers = text.split_whitespace().map(str::parse);
    let (first, last) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    PortRange::new(Port::new(first), Port::new(last))
}

/// `8080,9000-9010`; an empty line for none.
fn parse_list(text: &str) -> Option<Vec<PortRange>> {
    let range = |item: &str| match item.split_once('-') {
        Some((first, last)) => PortRange::new(Port::new(first.parse().ok()?), Port::new(last.parse().ok()?)),
        None => Some(PortRange::single(Port::new(item.parse().ok()?))),
    };
    text.trim().split(',').filter(|item| !item.is_empty()).map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ephemeral_range_is_two_numbers_parted_by_blanks() {
        assert_eq!(parse_range("32768\t60999\n").map(|range| range.to_string()).as_deref(), Some("32768-60999"));
        for text in ["", "32768", "60999 32768", "1 99999", "a b"] {
            assert_eq!(parse_range(text), None, "{text}");
        }
    }

    #[test]
    fn reserved_ports_are_a_list_that_may_be_empty() {
        let shown = |text| parse_list(text).map(|list| list.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(shown("\n"), Some(vec![]));
        assert_eq!(shown("8080,9000-9010,65535\n"), Some(vec!["8080".into(), "9000-9010".into(), "65535".into()]));
        for text in ["a", "9-1", "70000"] {
            assert_eq!(shown(text), None, "{text}");
        }
    }
}
