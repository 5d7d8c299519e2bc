//! Programs that take a port by default, which is hard to find out.

use std::ffi::OsStr;

use crate::model::{Pid, Platform, Row};

/// Such a program.
#[derive(Debug, Eq, PartialEq)]
pub struct Squatter {
    platform: Platform,
    ports: &'static [u16],
    /// The beginning of its short name; none where the system itself holds the port.
    process: Option<&'static str>,
    /// What it is.
    pub what: &'static str,
    /// How to make it leave.
    pub fix: &'static str,
}

const SQUATTERS: [Squatter; 5] = [
    // Source: systemd-resolved.service(8), resolved.conf(5). The kernel cuts names at 15 bytes.
    Squatter {
        platform: Platform::Linux,
        ports: &[53, 5355],
        process: Some("systemd-resolve"),
        what: "the stub resolver of systemd-resolved",
        fix: "set DNSStubListener=no (for 5355: LLMNR=no) in /etc/systemd/resolved.conf, then `systemctl restart systemd-resolved`",
    },
    // Source: Apple, "Use AirPlay to stream audio or mirror your screen": the receiver is on by default since macOS 12.
    Squatter {
        platform: Platform::MacOs,
        ports: &[5000, 7000],
        process: Some("ControlCe"),
        what: "the macOS AirPlay receiver",
        fix: "turn it off in System Settings > General > AirDrop & Handoff",
    },
    // Source: Microsoft, "Direct hosting of SMB over TCP/IP" (KB204279).
    Squatter {
        platform: Platform::Windows,
        ports: &[445],
        process: None,
        what: "file sharing (SMB), a Windows driver",
        fix: "run `sc.exe stop LanmanServer` as Administrator; this stops all file shares of this machine",
    },
    Squatter {
        platform: Platform::Windows,
        ports: &[137, 138, 139],
        process: None,
        what: "NetBIOS over TCP/IP, a Windows driver",
        fix: "turn it off in the network adapter's properties: IPv4 > Advanced > WINS",
    },
    // Source: Microsoft, HTTP Server API: http.sys listens in the kernel, as process 4.
    Squatter {
        platform: Platform::Windows,
        ports: &[],
        process: None,
        what: "a Windows driver, usually http.sys, the Windows web server",
        fix: "`netsh http show servicestate` shows which program registered it with http.sys",
    },
];

impl Squatter {
    /// Finds the one that holds this socket.
    pub fn of(row: &Row<'_>, platform: Platform) -> Option<&'static Squatter> {
        let port = row.socket.local.port.get();
        SQUATTERS.iter().find(|known| {
            known.platform == platform
                && (known.ports.is_empty() || known.ports.contains(&port))
                && row.processes.iter().any(|(pid, process)| {
                    let name = process.and_then(|process| process.name.as_deref());
                    known.is(*pid, name)
                })
        })
    }

    /// The same where the system is not known, as in a report: by processes whose names tell it.
    pub fn of_any(row: &Row<'_>) -> Option<&'static Squatter> {
        let is_named = row.processes.iter().all(|(_, process)| process.is_some_and(|process| process.name.is_some()));
        let platforms = [Platform::Linux, Platform::MacOs, Platform::Windows].into_iter().filter(|_| is_named);
        platforms.into_iter().find_map(|platform| Squatter::of(row, platform))
    }

    fn is(&self, pid: Pid, name: Option<&OsStr>) -> bool {
        match self.process {
            Some(process) => name.is_some_and(|name| name.as_encoded_bytes().starts_with(process.as_bytes())),
            None => pid == Pid(4) && name.is_none_or(|name| name == "System"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_squatter_is_known_by_its_process_not_by_its_port_alone() {
        let resolved = &SQUATTERS[0];
        assert!(resolved.is(Pid(300), Some(OsStr::new("systemd-resolve"))));
        assert!(!resolved.is(Pid(300), Some(OsStr::new("dnsmasq"))) && !resolved.is(Pid(300), None));
        assert!(SQUATTERS[1].is(Pid(600), Some(OsStr::new("ControlCenter"))));
        assert!(SQUATTERS[2].is(Pid(4), None) && !SQUATTERS[2].is(Pid(5), None));
    }

    #[test]
    fn the_system_of_windows_is_told_by_its_port() {
        use crate::{join, model::Holder, model::Owner, model::Port, testing};
        for (port, what) in [(445, "SMB"), (139, "NetBIOS"), (80, "http.sys"), (5985, "http.sys")] {
            let mut snapshot = testing::snapshot();
            snapshot.sockets.truncate(1);
            snapshot.sockets[0].local.port = Port::new(port);
            snapshot.sockets[0].owner = Owner::Processes(vec![Holder { pid: Pid(4), fd: None }].into());
            let listing = join::listing(&snapshot, None);
            let found = Squatter::of(&listing.rows[0], Platform::Windows).unwrap();
            assert!(found.what.contains(what), "{port}: {}", found.what);
            assert_eq!(Squatter::of(&listing.rows[0], Platform::Linux), None);
            assert_eq!(Squatter::of_any(&listing.rows[0]), None, "no name tells that it is Windows");
            let mut system = testing::snapshot().processes[&Pid(700)].clone();
            system.name = Some("System".into());
            snapshot.processes.insert(Pid(4), system);
            assert_eq!(Squatter::of_any(&join::listing(&snapshot, None).rows[0]), Some(found));
        }
    }
}
