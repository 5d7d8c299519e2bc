//! Which processes hold which sockets, asked of the kernel in one pass.
//!
//! A BPF program of kind `iter/task_file` is called by the kernel once for every open file of every task, and
//! writes a record for each socket that is wanted. Compared with reading the links below `/proc/*/fd` this needs
//! no system call per file, and it sees descriptor tables that `/proc/PID/fd` does not show: those of threads that
//! called `unshare(CLONE_FILES)`, and those of a process whose first thread has ended.
//!
//! Boundary: this module says who holds a socket *file*. What the socket is (addresses, queues) is asked of
//! `sock_diag`; the two meet at the inode number. Sockets that no descriptor refers to (in flight over a unix
//! socket, registered with `io_uring`, owned by the kernel) are not seen, as they are not in `/proc` either.
//!
//! Needs `CAP_BPF` and `CAP_PERFMON` (or `CAP_SYS_ADMIN`), a 64-bit Linux 5.8 with `CONFIG_DEBUG_INFO_BTF`, and the
//! initial pid namespace. Every failure is a [`TaskIterError`], upon which the caller walks `/proc` instead.
//!
//! Source: Linux, Documentation/bpf/{bpf_iterators,btf}.rst, bpf(2).

mod assemble;
mod error;
mod layout;
mod record;

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;

pub use error::TaskIterError;
use layout::Layout;
pub use record::{Facts, FileRights, Kind, Pass};

use super::hidden::FIRST_PID_NAMESPACE;
use crate::collect::linux::bpf::loaded::{Kind as ProgramKind, LoadError, Program};
use crate::collect::linux::bpf::{pass, sys};
use assemble::Recognize;
use record::Records;

/// Which files the kernel is asked to report.
///
/// The program leaves out what is not wanted, to save time; it never leaves out more. Before Linux 5.11 it cannot look
/// into a socket and reports every socket of the host.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Options {
    /// Stream sockets of IPv4 and IPv6; none of them when absent.
    pub stream: Option<StreamStates>,
    /// Datagram sockets of IPv4 and IPv6, connected or not.
    pub datagram: bool,
    /// Files that may keep further sockets open: unix sockets (descriptors on their way) and anonymous files, of which
    /// an io_uring is one.
    pub keepers: bool,
}

/// Which stream sockets are meant, by their state.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StreamStates {
    /// Every one.
    Any,
    /// Those that listen, and those that have a local port without listening or being connected: bound and not used
    /// yet, or bound and reset since.
    ListeningOrBound,
    /// Listeners only. The fastest, because one look tells that a socket is a connection.
    Listening,
}

/// Has the kernel check and compile the program.
///
/// The helper is asked for first, because a kernel whose description of itself lacks it may have it and the other way
/// round; the kernel's own answer is the only sure one, and costs an old kernel a tenth of a millisecond.
fn load(layout: &Layout, options: Options) -> Result<Program, TaskIterError> {
    match load_one(layout, options, Recognize::Helper) {
        Err(TaskIterError::Program(LoadError::Refused { .. })) => load_one(layout, options, Recognize::Filesystem),
        answer => answer,
    }
}

fn load_one(layout: &Layout, options: Options, recognize: Recognize) -> Result<Program, TaskIterError> {
    let instructions = assemble::assemble(layout, options, recognize)?;
    Ok(Program::load(ProgramKind::Iterator(layout.attach_to), &instructions)?)
}

fn attach(program: &Program) -> Result<OwnedFd, TaskIterError> {
    program.attach_iterator().map_err(|source| TaskIterError::Attach { source })
}

/// The iterator, loaded and ready for any number of passes.
///
/// Dropping it removes program and link from the kernel; nothing is pinned.
#[derive(Debug)]
pub struct TaskIter {
    /// Holds the program too.
    link: OwnedFd,
}

impl TaskIter {
    /// Reads the kernel's description of itself, loads the program and attaches it.
    ///
    /// # Errors
    /// Says which step failed; each of them means that the owners have to be found another way.
    pub fn load(options: Options) -> Result<Self, TaskIterError> {
        require_initial_pid_namespace()?;
        let link = attach(&load(&Layout::of_this_kernel()?, options)?)?;
        Ok(TaskIter { link })
    }

    /// Makes one fresh pass over all tasks.
    ///
    /// It is no snapshot: files opened or closed during the pass (about 0.3 microseconds per open file) may be in it or
    /// not, and a descriptor moved to a number that was already passed is missed.
    ///
    /// # Errors
    /// Never returns a part: the program closes each pass with a mark, and a pass without it is `Incomplete`.
    pub fn read(&self) -> Result<Pass, TaskIterError> {
        let pass = sys::create_iterator(&self.link).map_err(|source| TaskIterError::Open { source })?;
        read_pass(&mut File::from(pass))
    }
}

fn read_pass(pass: &mut impl Read) -> Result<Pass, TaskIterError> {
    let mut records = Records::default();
    pass::read(pass, |piece| records.add(piece), |source| TaskIterError::Read { source })?;
    records.finish()
}

/// The iterator walks the tasks of the caller's pid namespace, but `task_struct.tgid` is the number in the initial
/// one, so that elsewhere the numbers would be those of other processes.
fn require_initial_pid_namespace() -> Result<(), TaskIterError> {
    let own = fs::metadata("/proc/self/ns/pid").map_err(|source| TaskIterError::PidNamespace { source })?.ino();
    if own == FIRST_PID_NAMESPACE { Ok(()) } else { Err(TaskIterError::ForeignPidNamespace) }
}

/// The readers of what the iterator writes and depends on.
#[cfg(any(feature = "fuzzing", test))]
pub mod fuzzing {
    /// Reads records that arrive in pieces.
    pub fn records(bytes: &[u8]) {
        let mut records = super::record::Records::default();
        let is_added = bytes.chunks(100).all(|piece| records.add(piece).is_ok());
        if is_added {
            let _ = records.finish();
        }
    }

    /// Reads where the kernel keeps things.
    pub fn types(bytes: &[u8]) {
        let _ = super::layout::Layout::of(bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    const EVERYTHING: Options = Options { stream: Some(StreamStates::Any), datagram: true, keepers: true };

    /// Answers each read with the next of these.
    struct Answers(Vec<io::Result<Vec<u8>>>);

    impl Read for Answers {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Ok(0);
            }
            let bytes = self.0.remove(0)?;
            buffer[..bytes.len()].copy_from_slice(&bytes);
            Ok(bytes.len())
        }
    }

    fn errno(number: i32) -> io::Result<Vec<u8>> {
        Err(io::Error::from_raw_os_error(number))
    }

    #[test]
    fn a_pass_goes_on_after_eagain_and_across_records_cut_by_a_read() {
        let bytes = [record::encoded(7, 1), record::END.to_vec()].concat();
        let mut pass = Answers(vec![
            errno(libc::EAGAIN),
            Ok(bytes[..5].to_vec()),
            errno(libc::EINTR),
            Ok(bytes[5..30].to_vec()),
            Ok(bytes[30..].to_vec()),
        ]);

        let files = read_pass(&mut pass).unwrap().files;

        assert_eq!(files.len(), 1);
        assert_eq!((files[0].inode, files[0].tgid), (7, 1));
    }

    #[test]
    fn an_error_in_the_middle_is_no_short_list() {
        let mut pass = Answers(vec![Ok(record::encoded(7, 1)), errno(libc::E2BIG)]);

        assert!(matches!(
            read_pass(&mut pass),
            Err(TaskIterError::Read { source }) if source.raw_os_error() == Some(libc::E2BIG)
        ));
    }

    #[test]
    fn endless_eagain_ends() {
        let mut pass = Answers((0..=pass::PATIENCE).map(|_| errno(libc::EAGAIN)).collect());

        assert!(matches!(read_pass(&mut pass), Err(TaskIterError::Read { .. })));
    }

    #[test]
    fn both_ways_to_recognize_a_socket_load_and_agree() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: loading a BPF program needs root");
            return;
        }
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let layout = Layout::of_this_kernel().unwrap();
        let pass = |recognize| {
            let link = attach(&load_one(&layout, EVERYTHING, recognize).unwrap()).unwrap();
            let files = TaskIter { link }.read().unwrap().files;
            let fd = u32::try_from(std::os::fd::AsRawFd::as_raw_fd(&listener)).unwrap();
            let is_ours = |file: &&record::OpenFile| file.tgid == std::process::id() && file.fd == fd;
            let ours: Vec<_> = files.iter().filter(is_ours).copied().collect();
            assert_eq!(ours.len(), 1, "{recognize:?}");
            ours[0]
        };

        let by_helper = pass(Recognize::Helper);
        let by_filesystem = pass(Recognize::Filesystem);

        assert_eq!(by_helper.inode, by_filesystem.inode);
        assert_eq!((by_helper.kind, by_filesystem.kind), (Kind::Internet, Kind::Unknown));
    }

    #[test]
    fn a_pass_tells_the_user_and_the_groups_that_decide_about_files() {
        if !rustix::process::geteuid().is_root() {
            assert!(std::env::var_os("CI").is_none(), "this needs root");
            eprintln!("skipped: loading a BPF program needs root");
            return;
        }
        for groups in [&[][..], &[61], &[61, 62, 63], &[61, 62, 63, 64]] {
            let script = format!(
                "import ctypes, os, socket; server = socket.create_server(('127.0.0.1', 0))\n\
                 os.setgroups({groups:?}); os.setresgid(11, 12, 13); ctypes.CDLL(None).setfsgid(11)\n\
                 os.setresuid(7, 0, 9); ctypes.CDLL(None).setfsuid(7)"
            );
            let python = crate::collect::linux::process_files::testing::Python::after(&script);
            let facts = TaskIter::load(EVERYTHING).unwrap().read().unwrap().processes[&python.id()];
            let rights = facts.rights.unwrap();
            assert_eq!((facts.effective_uid, rights.uid, rights.gid), (0, 7, 11));
            assert_eq!(rights.groups(), Some(groups).filter(|groups| groups.len() < 4));
        }
    }
}
