//! Servers that say who they are, and clients that ask them.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Socket, Type};

/// How long an answer may take; what takes longer says nothing.
const PATIENCE: Duration = Duration::from_millis(60);

/// Servers of one namespace, which end with it.
pub struct Servers {
    is_over: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

fn timespec(time: Duration) -> Timespec {
    Timespec { tv_sec: time.as_secs() as _, tv_nsec: time.subsec_nanos() as _ }
}

impl Servers {
    /// Starts a server of each protocol at these addresses in the namespace of the calling thread, and a transparent
    /// proxy.
    pub fn start(name: &'static str, at: &[(String, u16)], proxy: Option<u16>) -> Servers {
        let mut streams = Vec::new();
        let mut datagrams = Vec::new();
        for (address, port) in at {
            let end: SocketAddr = format!("{address}:{port}").parse().unwrap();
            let listener = TcpListener::bind(end).unwrap();
            listener.set_nonblocking(true).unwrap();
            streams.push((listener, format!("{name}:{port}")));
            let socket = UdpSocket::bind(end).unwrap();
            socket.set_nonblocking(true).unwrap();
            datagrams.push((socket, format!("{name}:{port}")));
        }
        if let Some(port) = proxy {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_ip_transparent_v4(true).unwrap();
            socket.bind(&format!("127.0.0.1:{port}").parse::<SocketAddr>().unwrap().into()).unwrap();
            socket.listen(64).unwrap();
            socket.set_nonblocking(true).unwrap();
            streams.push((socket.into(), "proxy".to_owned()));
        }
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 64];
            while !over.load(Ordering::Relaxed) {
                let mut fds: Vec<PollFd<'_>> = streams
                    .iter()
                    .map(|(listener, _)| listener.as_fd())
                    .chain(datagrams.iter().map(|(socket, _)| socket.as_fd()))
                    .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
                    .collect();
                let _ = poll(&mut fds, Some(&timespec(Duration::from_millis(200))));
                for (listener, name) in &streams {
                    while let Ok((mut stream, _)) = listener.accept() {
                        let _ = stream.write_all(name.as_bytes());
                    }
                }
                for (socket, name) in &datagrams {
                    while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
                        // An answer that a rule sends to another server would go to and fro for ever.
                        if &buffer[..length] == b"?" {
                            let _ = socket.send_to(name.as_bytes(), peer);
                        }
                    }
                }
            }
        });
        Servers { is_over, thread: Some(thread) }
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let _ = self.thread.take().unwrap().join();
    }
}

/// Ports to send from, each once: the kernel remembers where it sent connections between two ends before.
#[derive(Default)]
pub struct Source(AtomicU16);

impl Source {
    pub fn next(&self) -> u16 {
        10_000 + self.0.fetch_add(1, Ordering::Relaxed) % 50_000
    }
}

/// A connection that is tried.
pub struct Flow {
    pub protocol: &'static str,
    pub address: String,
    pub port: u16,
    source: u16,
    /// Who answered.
    pub answer: Option<String>,
}

impl Flow {
    pub fn new(protocol: &'static str, address: &str, port: u16, source: u16) -> Flow {
        Flow { protocol, address: address.to_owned(), port, source, answer: None }
    }

    fn begin(&self) -> Option<Socket> {
        let kind = if self.protocol == "tcp" { Type::STREAM } else { Type::DGRAM };
        let socket = Socket::new(Domain::IPV4, kind, None).ok()?;
        socket.set_nonblocking(true).ok()?;
        socket.bind(&SocketAddr::new(IpAddr::from([0, 0, 0, 0]), self.source).into()).ok()?;
        let to: SocketAddr = format!("{}:{}", self.address, self.port).parse().unwrap();
        if self.protocol == "tcp" {
            match socket.connect(&to.into()) {
                Err(error) if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {
                    return None;
                }
                _ => {}
            }
        } else {
            socket.send_to(b"?", &to.into()).ok()?;
        }
        Some(socket)
    }
}

/// Tries them all at once.
pub fn try_all(flows: &mut [Flow]) {
    let mut open: Vec<(usize, Socket)> =
        flows.iter().enumerate().filter_map(|(index, flow)| Some((index, flow.begin()?))).collect();
    let end = Instant::now() + PATIENCE;
    while !open.is_empty() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        let mut fds: Vec<PollFd<'_>> =
            open.iter().map(|(_, socket)| PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN)).collect();
        let _ = poll(&mut fds, Some(&timespec(left)));
        open.retain_mut(|(index, socket)| {
            let mut buffer = [0; 64];
            match socket.read(&mut buffer) {
                Ok(0) => false,
                Ok(length) => {
                    flows[*index].answer = Some(String::from_utf8_lossy(&buffer[..length]).into_owned());
                    false
                }
                Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected),
            }
        });
    }
}
