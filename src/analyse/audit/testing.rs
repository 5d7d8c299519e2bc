//! Hosts made by hand, for the tests of the rules.

use crate::join;
use crate::model::{
    Endpoint, Family, Gap, HiddenBecause, Holder, Nobody, Owner, Pid, Process, Protocol, Snapshot, Socket, State, Uid,
};
use crate::render::words::finding::{evidence, remedy};
use crate::testing;

/// A host that has only what a test gives it.
pub struct Host {
    pub snapshot: Snapshot,
}

impl Host {
    pub fn new() -> Host {
        let mut snapshot = testing::snapshot();
        snapshot.sockets.clear();
        snapshot.processes.clear();
        snapshot.gaps.clear();
        snapshot.spaces[0].reserved = Some(Vec::new());
        Host { snapshot }
    }

    /// Adds a TCP listener that a process holds which runs this file as this user.
    pub fn listens(self, local: &str, exe: &str, uid: u32) -> Host {
        self.socket(Protocol::Tcp, local, &[(exe, uid)])
    }

    /// The same for UDP.
    pub fn receives(self, local: &str, exe: &str, uid: u32) -> Host {
        self.socket(Protocol::Udp, local, &[(exe, uid)])
    }

    /// Adds a listener that several processes hold.
    pub fn socket(mut self, protocol: Protocol, local: &str, holders: &[(&str, u32)]) -> Host {
        let mut held = Vec::new();
        for (exe, uid) in holders {
            let pid = Pid(u32::try_from(1000 + self.snapshot.processes.len()).unwrap());
            let name = std::path::Path::new(exe).file_name().map(std::borrow::ToOwned::to_owned);
            let process = Process {
                pid,
                parent: Some(Pid(1)),
                name,
                exe: Some((*exe).into()).filter(|exe: &std::path::PathBuf| !exe.as_os_str().is_empty()),
                argv: None,
                cwd: None,
                runs: None,
                project: None,
                exe_deleted: None,
                executable: None,
                belonging: None,
                started_at: None,
                uid: Some(Uid(*uid)),
                account: None,
            };
            self.snapshot.processes.insert(pid, process);
            held.push(Holder { pid, fd: Some(3) });
        }
        self.add(protocol, local, Owner::Processes(held.into()), Some(holders[0].1))
    }

    /// Adds a TCP listener of which only the user is known.
    pub fn hidden(self, local: &str) -> Host {
        self.add(Protocol::Tcp, local, Owner::Hidden(HiddenBecause::Permission), Some(0))
    }

    /// Adds a port that the firewall sends on.
    pub fn redirect(self, local: &str) -> Host {
        let mut host = self.add(Protocol::Tcp, local, Owner::Nobody(Nobody::Redirected), None);
        host.last().state = Some(State::Redirect);
        host
    }

    fn add(mut self, protocol: Protocol, local: &str, owner: Owner, uid: Option<u32>) -> Host {
        let local: std::net::SocketAddr = local.parse().unwrap();
        let state = if protocol == Protocol::Tcp { State::Listen } else { State::Unconnected };
        self.snapshot.sockets.push(Socket {
            space: self.snapshot.spaces[0].id,
            protocol,
            family: if local.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 },
            local: Endpoint::new(local.ip(), local.port()),
            peer: None,
            state: Some(state),
            device: None,
            v6only: None,
            waiting: None,
            traffic: None,
            inode: None,
            uid: uid.map(Uid),
            cookie: None,
            autobound: Some(false),
            timer: None,
            cgroup: None,
            stands_for: None,
            owner,
        });
        self
    }

    /// Adds something that was not seen.
    pub fn gap(mut self, gap: Gap) -> Host {
        self.snapshot.gaps.push(gap);
        self
    }

    /// The socket that was added last.
    pub fn last(&mut self) -> &mut Socket {
        self.snapshot.sockets.last_mut().unwrap()
    }

    /// What one built-in rule finds: `severity protocol address port: evidence`.
    pub fn found_by(&self, id: &str) -> Vec<String> {
        assert!(super::rule(id).is_some(), "no rule {id}");
        let listing = join::listing(&self.snapshot, None);
        let found = super::in_order(super::findings(&listing, &|rule| rule.id == id));
        let line = |finding: &super::Finding<'_>| {
            let super::Subject::Socket(row) = finding.subject else { panic!("not about a socket") };
            assert!(!remedy(finding, &self.snapshot, None).is_empty());
            let socket = row.socket;
            format!("{} {} {}: {}", finding.severity.name(), socket.protocol.name(), socket.local, evidence(finding))
        };
        found.iter().map(line).collect()
    }

    /// Asserts that the rule finds nothing here.
    #[track_caller]
    pub fn is_clean_for(&self, id: &str) {
        assert_eq!(self.found_by(id), Vec::<String>::new());
    }

    /// Asserts that the rule finds just one thing here, and that its evidence begins so.
    #[track_caller]
    pub fn is_found_by(&self, id: &str, start: &str) {
        let found = self.found_by(id);
        assert!(found.len() == 1 && found[0].starts_with(start), "{found:#?}");
    }
}
