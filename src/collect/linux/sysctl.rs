//! Settings of a network namespace that decide about ports. What is read is the namespace of the calling thread.
//!
//! Source: Linux, Documentation/networking/ip-sysctl.rst. Under a /proc mounted with `subset=pid` there are none.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{CWD, Mode, OFlags, openat};

use crate::model::{Port, PortRange, Space, TimeWaitReuse};

/// More than the longest list of ports takes: every second one of all.
const MOST: usize = 256 * 1024;

/// Adds the settings: the ports that the namespace hands out for outgoing connections, those that are never handed out by
/// themselves, the lowest port that may be bound without CAP_NET_BIND_SERVICE (0 to 65536), and which connections in
/// TIME_WAIT leave their port to a new one.
pub fn with_settings(space: Space) -> Space {
    // Finding the folder takes longer the more namespaces there are: each has one of this name.
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(folder) = openat(CWD, "/proc/sys/net/ipv4", flags, Mode::empty()) else { return space };
    let read = |name: &str| read(folder.as_fd(), name);
    Space {
        ephemeral: read("ip_local_port_range").and_then(|text| parse_range(&text)),
        reserved: read("ip_local_reserved_ports").and_then(|text| parse_list(&text)),
        unprivileged_start: read("ip_unprivileged_port_start").and_then(|text| text.trim().parse().ok()),
        time_wait_reuse: time_wait_reuse(&read),
        ..space
    }
}

/// None where there are no timestamps to tell old packets by.
fn time_wait_reuse(read: &dyn Fn(&str) -> Option<String>) -> Option<TimeWaitReuse> {
    if read("tcp_timestamps").is_some_and(|text| text.trim() == "0") {
        return Some(TimeWaitReuse::Never);
    }
    let number: usize = read("tcp_tw_reuse")?.trim().parse().ok()?;
    TimeWaitReuse::ALL.get(number).copied()
}

/// Reads a setting in one piece: what of a list does not fit into the first piece, the kernel never gives.
fn read(folder: BorrowedFd<'_>, name: &str) -> Option<String> {
    let file = openat(folder, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut text = Vec::with_capacity(64);
    loop {
        rustix::io::pread(&file, rustix::buffer::spare_capacity(&mut text), 0).ok()?;
        if text.len() < text.capacity() {
            return String::from_utf8(text).ok();
        }
        let more = text.capacity() * 64;
        if more > MOST {
            return None;
        }
        text = Vec::with_capacity(more);
    }
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
    use crate::model::{SocketSource, SpaceId, SpaceKind};

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

    #[test]
    fn a_long_list_of_reserved_ports_is_read_whole() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: a network namespace of its own needs root");
            return;
        }
        let reserved: Vec<String> = (1..30_000).map(|number| (number * 2).to_string()).collect();
        let list = reserved.join(",");
        let in_a_namespace_of_its_own = move || {
            #[expect(deprecated, reason = "the safe variant needs a newer rustix")]
            rustix::thread::unshare(rustix::thread::UnshareFlags::NEWNET).unwrap();
            std::fs::write("/proc/sys/net/ipv4/ip_local_reserved_ports", &list).unwrap();
            with_settings(Space::new(SpaceId(1), SpaceKind::Netns, String::new(), SocketSource::Netlink))
        };
        let space = std::thread::spawn(in_a_namespace_of_its_own).join().unwrap();
        let read: Vec<String> = space.reserved.unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(read, reserved);
        assert_eq!(space.unprivileged_start, Some(1024));
    }
}
