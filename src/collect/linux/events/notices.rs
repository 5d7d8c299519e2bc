//! The kernel's notices of sockets that have gone: multicast groups of `NETLINK_SOCK_DIAG`, which everybody may join.
//!
//! A notice has the socket's cookie and its addresses, and neither its inode nor its process. Each network namespace
//! has groups of its own.
//!
//! Source: Linux, `sock_diag_broadcast_destroy` in net/core/sock_diag.c, `inet_diag_handler_get_info` in
//! net/ipv4/inet_diag.c.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::mem;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;
use std::time::SystemTime;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::io::Errno;
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, sockopt};

use crate::collect::linux::kernel_socket::KernelSocket;
use crate::collect::linux::sock_diag::decode::{self, Message};
use crate::model::{Protocol, Socket, SpaceId};

/// Room for notices that are not read yet, where the system lets this user have it.
const ROOM: usize = 32 << 20;
/// Notices that wait to be taken; more are counted as lost.
const MOST_WAITING: usize = 1 << 20;

/// One notice.
#[derive(Clone, Debug)]
pub struct Notice {
    /// When it was read.
    pub at: SystemTime,
    pub space: SpaceId,
    /// The socket as it was.
    pub socket: KernelSocket,
}

impl Notice {
    /// The connection with what it had carried at its end; nothing for other sockets.
    pub fn carried(&self) -> Option<Socket> {
        let socket = self.socket.socket(self.space);
        socket.traffic.is_some().then_some(socket)
    }
}

/// A socket that is in the groups of one protocol.
pub struct Group {
    socket: OwnedFd,
    space: SpaceId,
    protocol: Protocol,
    /// Notices that found no room, as it was last reported.
    dropped: u64,
}

impl Group {
    /// Joins the groups of IPv4 and IPv6 in the network namespace of the calling thread.
    pub fn join(protocol: Protocol, space: SpaceId) -> io::Result<Group> {
        let groups = match protocol {
            Protocol::Tcp => 1 << 0 | 1 << 2,
            // UDP-Lite has none.
            Protocol::Udp | Protocol::UdpLite => 1 << 1 | 1 << 3,
        };
        let kind = Some(netlink::SOCK_DIAG);
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, kind)?;
        // Only an administrator may exceed the system's limit; everybody gets as much as that.
        if sockopt::set_socket_recv_buffer_size_force(&socket, ROOM).is_err() {
            sockopt::set_socket_recv_buffer_size(&socket, ROOM)?;
        }
        rustix::net::bind(&socket, &SocketAddrNetlink::new(0, groups))?;
        Ok(Group { socket, space, protocol, dropped: 0 })
    }
}

/// What the reader has ready to be taken.
#[derive(Default)]
struct Waiting {
    notices: Vec<Notice>,
    lost: Lost,
    joined: Vec<Group>,
    /// The only spaces whose groups are kept, where that was said.
    kept: Option<BTreeSet<SpaceId>>,
    /// A protocol whose groups are left, where that was said.
    left: Option<Protocol>,
    ended: bool,
}

/// Notices that were lost, at most, by protocol: those of connections are among them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Lost {
    pub tcp: u64,
    pub udp: u64,
}

/// Reads the groups on a thread of its own, as what is not read soon is lost.
pub struct Reader {
    waiting: Arc<Mutex<Waiting>>,
    /// Wakes the thread.
    control: Arc<OwnedFd>,
    /// Whose groups are joined, and where.
    pub joined: BTreeSet<(Protocol, SpaceId)>,
}

impl Reader {
    /// Starts it; `wake` is written to whenever there is something to take.
    pub fn start(groups: Vec<Group>, connections: bool, wake: Arc<OwnedFd>) -> io::Result<Reader> {
        let joined = groups.iter().map(|group| (group.protocol, group.space)).collect();
        let waiting = Arc::new(Mutex::new(Waiting::default()));
        let control = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let (shared, woken) = (Arc::clone(&waiting), Arc::clone(&control));
        Builder::new().name("notices".to_owned()).spawn(move || read(groups, connections, &shared, &woken, &wake))?;
        Ok(Reader { waiting, control, joined })
    }

    /// Reads these groups too.
    pub fn add(&mut self, groups: Vec<Group>) {
        self.joined.extend(groups.iter().map(|group| (group.protocol, group.space)));
        self.locked(|waiting| waiting.joined.extend(groups));
        wake_up(&self.control);
    }

    /// Leaves the groups of all other spaces.
    pub fn keep(&mut self, alive: &BTreeSet<SpaceId>) {
        let before = self.joined.len();
        self.joined.retain(|(_, space)| alive.contains(space));
        if self.joined.len() < before {
            self.locked(|waiting| waiting.kept = Some(alive.clone()));
            wake_up(&self.control);
        }
    }

    /// Leaves the groups of the protocol.
    pub fn leave(&mut self, protocol: Protocol) {
        self.joined.retain(|(joined, _)| *joined != protocol);
        self.locked(|waiting| waiting.left = Some(protocol));
        wake_up(&self.control);
    }

    /// Takes what was read by now.
    pub fn take(&self) -> (Vec<Notice>, Lost) {
        self.locked(|waiting| (mem::take(&mut waiting.notices), mem::take(&mut waiting.lost)))
    }

    fn locked<T>(&self, change: impl FnOnce(&mut Waiting) -> T) -> T {
        change(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.locked(|waiting| waiting.ended = true);
        wake_up(&self.control);
    }
}

/// Makes a wait for this descriptor end.
pub fn wake_up(descriptor: &OwnedFd) {
    // The counter is full only when nobody has looked for 2^64 wakes.
    let _ = rustix::io::write(descriptor, &1_u64.to_ne_bytes());
}

/// Takes back what `wake_up` did.
pub fn calm_down(descriptor: &OwnedFd) {
    let _ = rustix::io::read(descriptor, &mut [0; 8]);
}

fn read(mut groups: Vec<Group>, connections: bool, shared: &Mutex<Waiting>, control: &OwnedFd, wake: &OwnedFd) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let mut ready: Vec<PollFd<'_>> = vec![PollFd::new(control, PollFlags::IN)];
        ready.extend(groups.iter().map(|group| PollFd::new(&group.socket, PollFlags::IN)));
        if poll(&mut ready, None).is_err_and(|error| error != Errno::INTR) {
            return;
        }
        calm_down(control);
        let mut notices = Vec::new();
        let mut lost = Lost::default();
        for group in &mut groups {
            let dropped = group.read(connections, &mut buffer, &mut notices);
            match group.protocol {
                Protocol::Tcp => lost.tcp += dropped,
                Protocol::Udp | Protocol::UdpLite => lost.udp += dropped,
            }
        }
        let mut waiting = shared.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.ended {
            return;
        }
        if let Some(kept) = waiting.kept.take() {
            groups.retain(|group| kept.contains(&group.space));
        }
        if let Some(left) = waiting.left.take() {
            groups.retain(|group| group.protocol != left);
        }
        groups.append(&mut waiting.joined);
        let room = MOST_WAITING.saturating_sub(waiting.notices.len());
        for notice in notices.drain(room.min(notices.len())..) {
            match notice.socket.protocol {
                Protocol::Tcp => lost.tcp += 1,
                Protocol::Udp | Protocol::UdpLite => lost.udp += 1,
            }
        }
        let has_news = !notices.is_empty() || lost != Lost::default();
        waiting.notices.append(&mut notices);
        waiting.lost.tcp += lost.tcp;
        waiting.lost.udp += lost.udp;
        drop(waiting);
        if has_news {
            wake_up(wake);
        }
    }
}

impl Group {
    /// Reads what is there; returns how many were dropped since the last time.
    fn read(&mut self, connections: bool, buffer: &mut [u8], notices: &mut Vec<Notice>) -> u64 {
        let mut lost = 0;
        // A burst is handed over in parts, so that nothing is held for long.
        for _ in 0..4096 {
            let length = match rustix::net::recv(&self.socket, &mut *buffer, RecvFlags::TRUNC) {
                Ok((_, length)) if length <= buffer.len() => length,
                Ok(_) => {
                    lost += 1;
                    continue;
                }
                Err(Errno::INTR) => continue,
                Err(Errno::NOBUFS) => {
                    lost += self.newly_dropped();
                    continue;
                }
                Err(_) => break,
            };
            let at = SystemTime::now();
            for framed in decode::messages(&buffer[..length], self.protocol).flatten() {
                let Message::Socket(socket) = framed.message else { continue };
                if socket.local.port.get() != 0 && (connections || !socket.has_peer()) {
                    notices.push(Notice { at, space: self.space, socket });
                }
            }
        }
        lost
    }

    /// How many notices found no room since this was last asked; at least one.
    fn newly_dropped(&mut self) -> u64 {
        let now = rustix::fs::fstat(self.socket.as_fd()).ok().and_then(|file| dropped(file.st_ino)).unwrap_or(0);
        let newly = now.saturating_sub(self.dropped).max(1);
        self.dropped = self.dropped.max(now);
        newly
    }
}

/// What the kernel has counted for the netlink socket with this inode. It is in the table of the namespace of this
/// process only, so that nothing is known of sockets of others.
fn dropped(inode: u64) -> Option<u64> {
    let table = fs::read_to_string("/proc/thread-self/net/netlink").ok()?;
    // Columns: sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode.
    let of_inode = |line: &str| {
        let mut columns = line.split_ascii_whitespace().skip(8);
        let drops = columns.next()?.parse().ok()?;
        (columns.next()?.parse() == Ok(inode)).then_some(drops)
    };
    table.lines().find_map(of_inode)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn the_end_of_a_listener_is_noticed_with_its_cookie_by_everybody() {
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC).unwrap());
        let group = Group::join(Protocol::Tcp, SpaceId(1)).unwrap();
        let reader = Reader::start(vec![group], false, Arc::clone(&wake)).unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut noticed = Vec::new();
        while noticed.is_empty() && Instant::now() < deadline {
            noticed.extend(reader.take().0.into_iter().filter(|notice| notice.socket.local.port.get() == port));
        }
        assert_eq!(noticed.len(), 1);
        assert!(noticed[0].socket.cookie.is_some());
    }

    #[test]
    fn a_connection_that_was_aborted_is_still_told_from_what_has_none() {
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC).unwrap());
        let reader = Reader::start(vec![Group::join(Protocol::Tcp, SpaceId(1)).unwrap()], true, wake).unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let port = client.local_addr().unwrap().port();
        sockopt::set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
        drop(client);
        let deadline = Instant::now() + Duration::from_secs(10);
        let is_client = |notice: &Notice| notice.socket.local.port.get() == port;
        let notice = std::iter::repeat_with(|| reader.take().0.into_iter().find(is_client))
            .take_while(|_| Instant::now() < deadline)
            .flatten()
            .next();
        assert!(notice.unwrap().socket.has_peer());
    }
}
