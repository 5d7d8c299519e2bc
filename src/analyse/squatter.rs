//! Programs that sit on a port by default, where people look for the reason in vain.

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

const SQUATTERS: [Squatter; 3] = [
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
        what: "the AirPlay receiver of macOS",
        fix: "switch it off in System Settings, General, AirDrop & Handoff",
    },
    // Source: Microsoft, HTTP Server API: http.sys listens in the kernel, as process 4.
    Squatter {
        platform: Platform::Windows,
        ports: &[],
        process: None,
        what: "http.sys, the web server in the kernel of Windows",
        fix: "`netsh http show servicestate` names the program that asked for it",
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

    fn is(&self, pid: Pid, name: Option<&OsStr>) -> bool {
        match self.process {
            Some(process) => name.is_some_and(|name| name.as_encoded_bytes().starts_with(process.as_bytes())),
            None => pid == Pid(4),
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
}
