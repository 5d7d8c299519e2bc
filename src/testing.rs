//! A snapshot built by hand, for the tests of the stages after collecting.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use crate::model::{
    Backend, Coverage, Endpoint, Family, Gap, HiddenBecause, Holder, Host, Inode, Nobody, Owner, OwnerSource, Pid,
    Process, Protocol, Scope, Snapshot, Socket, SocketSource, Space, SpaceId, SpaceKind, Stages, State, Uid,
};

const SPACE: SpaceId = SpaceId(4_026_531_840);

fn end(text: &str) -> Endpoint {
    let end: std::net::SocketAddr = text.parse().unwrap();
    Endpoint::new(end.ip(), end.port())
}

fn socket(local: &str, state: Option<State>, uid: Option<u32>, owner: Owner) -> Socket {
    let local = end(local);
    Socket {
        space: SPACE,
        protocol: Protocol::Tcp,
        family: if local.address.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 },
        local,
        peer: None,
        state,
        device: None,
        v6only: None,
        waiting: None,
        traffic: None,
        inode: uid.and_then(|_| Inode::new(1000 + u64::from(local.port.get()))),
        uid: uid.map(Uid),
        cookie: None,
        autobound: None,
        timer: None,
        cgroup: None,
        stands_for: None,
        owner,
    }
}

fn held_by(holders: &[(u32, u32)]) -> Owner {
    Owner::Processes(holders.iter().map(|(pid, fd)| Holder { pid: Pid(*pid), fd: Some(*fd) }).collect())
}

fn process(pid: u32, parent: u32, name: &str, uid: u32) -> (Pid, Process) {
    let process = Process {
        pid: Pid(pid),
        parent: Some(Pid(parent)),
        name: Some(name.into()),
        exe: Some(format!("/usr/sbin/{name}").into()),
        argv: None,
        cwd: None,
        runs: None,
        project: None,
        exe_deleted: None,
        executable: None,
        started_at: Some(UNIX_EPOCH + Duration::from_secs(1_700_000_000 + u64::from(pid))),
        uid: Some(Uid(uid)),
        account: None,
        belonging: None,
    };
    (Pid(pid), process)
}

/// Listeners of one and of several processes, connections in several states, UDP, a hidden owner.
pub fn snapshot() -> Snapshot {
    let mut connection = socket("192.0.2.7:443", Some(State::Established), Some(33), held_by(&[(812, 9)]));
    connection.peer = Some(end("198.51.100.23:51034"));
    let mut over = socket("192.0.2.7:40000", Some(State::TimeWait), None, Owner::Nobody(Nobody::TimeWait));
    over.peer = Some(end("203.0.113.80:443"));
    let mut udp = socket("[::]:5353", None, Some(101), Owner::Hidden(HiddenBecause::Permission));
    udp.protocol = Protocol::Udp;
    Snapshot {
        host: Host {
            name: Some("web-1".to_owned()),
            os: Some("Debian GNU/Linux 12".to_owned()),
            kernel: Some("6.1.0".to_owned()),
            boot_id: Some("0d0e".to_owned()),
            captured_at: UNIX_EPOCH + Duration::from_secs(1_700_009_999),
        },
        backend: Backend::Portable,
        scope: Scope::default(),
        socket_source: SocketSource::Netstat2,
        owner_source: OwnerSource::FdScan,
        owner_fallback: None,
        spaces: vec![Space {
            ephemeral: "32768-60999".parse().ok(),
            ..Space::new(SPACE, SpaceKind::Host, "host".to_owned(), SocketSource::Netstat2)
        }],
        own: SPACE,
        further_spaces: None,
        redirects: BTreeMap::new(),
        saved_reachability: BTreeMap::new(),
        sockets: vec![
            over,
            connection,
            socket("0.0.0.0:443", Some(State::Listen), Some(0), held_by(&[(811, 6), (812, 6), (813, 6)])),
            socket("127.0.0.1:5432", Some(State::Listen), Some(114), held_by(&[(700, 3)])),
            socket("[::1]:5432", Some(State::Listen), Some(114), held_by(&[(700, 4)])),
            udp,
        ],
        processes: BTreeMap::from([
            process(700, 1, "postgres", 114),
            process(811, 1, "nginx", 0),
            process(812, 811, "nginx", 33),
            process(813, 811, "nginx", 33),
        ]),
        users: [(0, "root"), (33, "www-data"), (101, "avahi"), (114, "postgres")]
            .map(|(uid, name)| (Uid(uid), name.to_owned()))
            .into(),
        cgroups: BTreeMap::new(),
        gaps: vec![Gap::HiddenOwners {
            because: HiddenBecause::Permission,
            count: 1,
            coverage: Some(Coverage { read: 20, refused: 70, uid: Some(Uid(1000)), ..Coverage::default() }),
        }],
        saved: None,
        warnings: Vec::new(),
        stages: Stages::default(),
    }
}
