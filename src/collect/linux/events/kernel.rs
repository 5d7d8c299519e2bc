//! What the kernel tells as it happens: the programs, attached, and the records that they write.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::calls::{Calls, Registers};
use super::layout::{Layout, LayoutError, Masks};
use super::programs::{self, Maps};
use super::record::{ASKED, Kind, Record};
use super::tracefs;
use crate::collect::linux::bpf::assembler::TooFar;
use crate::collect::linux::bpf::loaded::{Kind as ProgramKind, LoadError, Program};
use crate::collect::linux::bpf::ring::Ring;
use crate::collect::linux::bpf::sys::{self, MapKind};
use crate::model::BindWay;

/// Room for 40,000 records, which are written in a second at the worst.
const RING: u32 = 8 << 20;
/// Threads that may be in bind(2) at the same time.
const MOST_BINDS: u32 = 16_384;
/// The initial pid namespace, whose numbers the programs write.
const INITIAL_PID_NAMESPACE: u64 = 0xEFFF_FFFC;

/// Why the kernel does not tell.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    #[error(transparent)]
    Layout(#[from] LayoutError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("cannot make the ring buffer: {0}")]
    Maps(io::Error),
    #[error("cannot attach the BPF program to {0}: {1}")]
    Attach(&'static str, io::Error),
    #[error("cannot read the numbers of the tracepoints of bind(2): {0}")]
    Tracefs(io::Error),
    #[error("cannot look at every system call for bind(2): {0}")]
    EveryCall(Box<KernelError>),
    #[error("this pid namespace is not the initial one, whose numbers BPF programs give")]
    PidNamespace,
}

impl From<TooFar> for KernelError {
    fn from(TooFar: TooFar) -> KernelError {
        KernelError::Load(LoadError::Load { source: io::ErrorKind::FileTooLarge.into() })
    }
}

/// The programs. Dropping this removes them: nothing is pinned.
pub struct Kernel {
    ring: Ring,
    lost: OwnedFd,
    /// Counters of lost records as they were when they were last reported.
    reported: [u64; Kind::ALL.len()],
    /// Keeps the programs attached.
    _links: Vec<OwnedFd>,
    /// What the flags of a socket say.
    pub masks: Masks,
    /// How bind(2) is seen, where it is.
    pub binds: Option<BindWay>,
    /// Why no better way is taken.
    pub second_best: Vec<KernelError>,
}

impl Kernel {
    /// Loads and attaches the programs. Without those for bind(2) it goes on; without the one for TCP there is nothing.
    pub fn attach(connections: bool) -> Result<Kernel, KernelError> {
        Kernel::attach_by(connections, &BindWay::ALL)
    }

    /// The same with these ways to see bind(2) only, the best first.
    fn attach_by(connections: bool, ways: &[BindWay]) -> Result<Kernel, KernelError> {
        require_initial_pid_namespace()?;
        let layout = Layout::of_this_kernel()?;
        let ring = Ring::new(RING).map_err(KernelError::Maps)?;
        let kinds = u32::try_from(Kind::ALL.len()).unwrap_or_default();
        let lost = sys::create_map(MapKind::Array, 4, 8, kinds).map_err(KernelError::Maps)?;
        let bytes = u32::try_from(ASKED).unwrap_or_default();
        let asked = sys::create_map(MapKind::Hash, 8, bytes, MOST_BINDS).map_err(KernelError::Maps)?;
        let number = |map: &OwnedFd| std::os::fd::AsRawFd::as_raw_fd(map);
        let maps = Maps { ring: ring.number(), lost: number(&lost), asked: number(&asked) };
        let kind = ProgramKind::TypedTracepoint(layout.tracepoint);
        let states = Program::load(kind, &programs::states(&layout, maps, connections)?)?;
        let mut links =
            vec![states.attach_tracepoint().map_err(|error| KernelError::Attach("inet_sock_set_state", error))?];
        let mut second_best = Vec::new();
        let mut binds = None;
        for &way in ways {
            match attach_bind(way, &layout, maps) {
                Ok(more) => {
                    links.extend(more);
                    binds = Some(way);
                    break;
                }
                Err(error) => second_best.push(error),
            }
        }
        Ok(Kernel {
            ring,
            lost,
            reported: [0; Kind::ALL.len()],
            _links: links,
            masks: layout.sock.masks,
            binds,
            second_best,
        })
    }

    /// Takes out what has happened by now, at most `most` records.
    pub fn take(&mut self, most: usize) -> Vec<Record> {
        let mut records = Vec::new();
        self.ring.take(most, |bytes| records.extend(Record::read(bytes)));
        records
    }

    /// How many records of each kind were lost since this was last asked.
    pub fn lost(&mut self) -> [u64; Kind::ALL.len()] {
        let mut lost = [0; Kind::ALL.len()];
        for ((number, reported), lost) in (0..).zip(&mut self.reported).zip(&mut lost) {
            let now = sys::look_up(&self.lost, number).unwrap_or(*reported);
            *lost = now.saturating_sub(*reported);
            *reported = now;
        }
        lost
    }
}

impl AsFd for Kernel {
    /// Ready once there is something to take.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }
}

fn attach_bind(way: BindWay, layout: &Layout, maps: Maps) -> Result<[OwnedFd; 2], KernelError> {
    match way {
        BindWay::OfItself => attach_to_bind(layout, maps),
        BindWay::OfEveryCall => attach_to_all(layout, maps).map_err(|error| KernelError::EveryCall(Box::new(error))),
    }
}

fn attach_to_bind(layout: &Layout, maps: Maps) -> Result<[OwnedFd; 2], KernelError> {
    let [entry, exit] = tracefs::numbers(["sys_enter_bind", "sys_exit_bind"]).map_err(KernelError::Tracefs)?;
    let left = Program::load(ProgramKind::Tracepoint, &programs::bind_left(layout, &Calls::Bind, maps)?)?;
    let entered = Program::load(ProgramKind::Tracepoint, &programs::bind_entered(&Calls::Bind, maps)?)?;
    // First the exit, so that nothing that is kept at an entry stays.
    let left = left.attach_event(exit).map_err(|error| KernelError::Attach("sys_exit_bind", error))?;
    let entered = entered.attach_event(entry).map_err(|error| KernelError::Attach("sys_enter_bind", error))?;
    Ok([left, entered])
}

fn attach_to_all(layout: &Layout, maps: Maps) -> Result<[OwnedFd; 2], KernelError> {
    let registers = Registers::of_this_kernel()?;
    let [entry, exit] = registers.tracepoints.map(ProgramKind::TypedTracepoint);
    let calls = Calls::Every(registers);
    let left = Program::load(exit, &programs::bind_left(layout, &calls, maps)?)?;
    let entered = Program::load(entry, &programs::bind_entered(&calls, maps)?)?;
    let left = left.attach_tracepoint().map_err(|error| KernelError::Attach("sys_exit", error))?;
    let entered = entered.attach_tracepoint().map_err(|error| KernelError::Attach("sys_enter", error))?;
    Ok([left, entered])
}

fn require_initial_pid_namespace() -> Result<(), KernelError> {
    use std::os::unix::fs::MetadataExt;
    let own = fs::metadata("/proc/self/ns/pid").map(|namespace| namespace.ino());
    if own.is_ok_and(|own| own == INITIAL_PID_NAMESPACE) { Ok(()) } else { Err(KernelError::PidNamespace) }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::unix::fs::MetadataExt;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::model::{Pid, Protocol, State};

    #[test]
    fn listen_close_bind_and_a_refused_bind_are_seen_with_process_and_port() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: loading a BPF program needs root");
            return;
        }
        let kernel = Kernel::attach(false).unwrap();
        assert_eq!(kernel.binds, Some(BindWay::OfItself), "{:?}", kernel.second_best);
        sees_everything(kernel);
    }

    #[test]
    fn where_tracefs_is_refused_every_system_call_is_looked_at_and_the_same_is_seen() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: loading a BPF program needs root");
            return;
        }
        let kernel = Kernel::attach_by(false, &[BindWay::OfEveryCall]).unwrap();
        assert_eq!(kernel.binds, Some(BindWay::OfEveryCall), "{:?}", kernel.second_best);
        sees_everything(kernel);
    }

    fn sees_everything(mut kernel: Kernel) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let tcp = listener.local_addr().unwrap().port();
        // A connection that is accepted closes no port.
        let client = TcpStream::connect(("127.0.0.1", tcp)).unwrap();
        drop((listener.accept().unwrap(), client));
        let receiver = UdpSocket::bind(("::1", 0)).unwrap();
        let udp = receiver.local_addr().unwrap().port();
        UdpSocket::bind(("::1", udp)).unwrap_err();
        drop(listener);
        let own = Pid(std::process::id());
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut seen = Vec::new();
        while seen.len() < 5 && Instant::now() < deadline {
            for record in kernel.take(1000) {
                let port = record.asked.map_or(0, |(asked, _)| asked.port.get());
                let is_ours = [record.local.port.get(), port].iter().any(|port| [tcp, udp].contains(port));
                if record.pid == own && is_ours {
                    seen.push(record);
                }
            }
        }
        let kinds: Vec<Kind> = seen.iter().map(|record| record.kind).collect();
        assert_eq!(kinds, [Kind::Bound, Kind::Listening, Kind::Bound, Kind::BindFailed, Kind::Unlistened]);
        assert_eq!(seen[1].state, State::Listen);
        assert!(seen[1].cookie.is_some() && seen[1].cookie == seen[4].cookie);
        assert!(seen[0].inode.is_some() && seen[0].inode == seen[1].inode);
        assert_eq!(seen[1].local.to_string(), format!("127.0.0.1:{tcp}"));
        assert_eq!((seen[2].protocol, seen[2].local.to_string()), (Protocol::Udp, format!("[::1]:{udp}")));
        assert_eq!(seen[3].result, -libc::EADDRINUSE);
        assert_eq!(seen[3].asked.unwrap().0.to_string(), format!("[::1]:{udp}"));
        assert_eq!(kernel.lost(), [0; 7]);
        let network = fs::metadata("/proc/self/ns/net").unwrap().ino();
        assert!(seen.iter().all(|record| record.space.0 == network), "{seen:?}");
    }
}
