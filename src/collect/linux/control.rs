//! A process to be signalled, held so that no other process can be signalled in its place.
//!
//! A process number can be reused at any time, even together with the start time. A pidfd cannot: once the process has
//! ended, sending through it fails. While the process lives, its number is not reused, so everything that was read by
//! number or through `/proc/PID` is about this process if the pidfd reports it as alive afterwards.
//!
//! Source: pidfd_open(2), pidfd_send_signal(2), proc_pid_status(5), proc_pid_stat(5), cgroups(7).

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Dir, Mode, OFlags, openat, readlinkat};
use rustix::io::Errno;
use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal, test_kill_process};

use super::owners::holds_deeper;
use super::procfs::socket_inode;
use super::{cgroup, cgroup_names};
use crate::collect::control::{ControlError, Signal, Standing};
use crate::model::{Container, Inode, Managed, Manager, Origin, Pid, Socket, StoppedBy, Uid};

/// The bit of `flags` in `/proc/PID/stat` that marks a thread of the kernel (`PF_KTHREAD`, `linux/sched.h`).
const KERNEL_THREAD: u64 = 0x0020_0000;
/// How many bytes of a file below /proc are read at most.
const MOST_BYTES: u64 = 64 * 1024;

/// A handle that refers to exactly one process.
#[derive(Debug)]
pub struct ProcessHandle {
    pid: Pid,
    pidfd: OwnedFd,
    /// `/proc/PID` of this process.
    directory: OwnedFd,
}

impl ProcessHandle {
    /// Opens the process that has the number now.
    pub fn open(pid: Pid) -> Result<ProcessHandle, ControlError> {
        if !numbers_are_our_own() {
            return Err(ControlError::Unsupported(
                "/proc belongs to another PID namespace: its PIDs mean other processes here",
            ));
        }
        let number = number(pid).ok_or(ControlError::Gone)?;
        let pidfd = pidfd_open(number, PidfdFlags::empty()).map_err(failed)?;
        let directory = open(CWD, &format!("/proc/{}", pid.0)).map_err(failed)?;
        let handle = ProcessHandle { pid, pidfd, directory };
        // If the process has ended in between, the directory may belong to another process.
        if handle.has_ended_within(Duration::ZERO) { Err(ControlError::Gone) } else { Ok(handle) }
    }

    /// Returns whether it currently has the socket among its descriptors.
    pub fn holds(&self, socket: &Socket) -> Result<bool, ControlError> {
        let Some(inode) = socket.inode else { return Ok(false) };
        let found = self.has_descriptor("fd", inode)? || self.has_descriptor_of_thread(inode)?;
        // A file that is registered with an io_uring has no descriptor, so this search goes by the process number.
        let found = found || holds_deeper(self.pid, inode);
        Ok(found && !self.has_ended_within(Duration::ZERO))
    }

    fn has_descriptor(&self, table: &str, inode: Inode) -> Result<bool, ControlError> {
        let table = match open(self.directory.as_fd(), table) {
            Err(Errno::NOENT | Errno::SRCH) => return Ok(false),
            table => table.map_err(failed)?,
        };
        for name in names(table.as_fd())? {
            let Ok(link) = readlinkat(&table, name.as_str(), Vec::new()) else { continue };
            if socket_inode(link.to_bytes()) == Some(inode.get()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A thread may have a table of its own, and outlive the main thread.
    fn has_descriptor_of_thread(&self, inode: Inode) -> Result<bool, ControlError> {
        let tasks = open(self.directory.as_fd(), "task").map_err(failed)?;
        for thread in names(tasks.as_fd())? {
            if self.has_descriptor(&format!("task/{thread}/fd"), inode)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What it is, as far as that decides whether it may be signalled.
    pub fn standing(&self) -> Result<Standing, ControlError> {
        let (stat, status) = (self.read("stat")?, self.read("status")?);
        let cgroup_text = self.read("cgroup")?;
        let cgroups = control_groups(&cgroup_text);
        let number = number(self.pid).ok_or(ControlError::Gone)?;
        let is_refused = test_kill_process(number) == Err(Errno::PERM);
        if self.has_ended_within(Duration::ZERO) {
            return Err(ControlError::Gone);
        }
        Ok(Standing {
            is_kernel: is_kernel_thread(&stat),
            is_elsewhere: is_in_inner_namespace(&status),
            is_refused,
            managed: managed(&cgroup_text),
            cgroups,
        })
    }

    /// Sends it the signal.
    pub fn send(&self, signal: Signal) -> Result<(), ControlError> {
        pidfd_send_signal(&self.pidfd, numbered(signal)).map_err(failed)
    }

    /// Waits up to `limit` for the process to end; returns whether it has ended.
    pub fn has_ended_within(&self, limit: Duration) -> bool {
        let limit = Timespec::try_from(limit).ok();
        let mut wanted = [PollFd::new(&self.pidfd, PollFlags::IN)];
        matches!(poll(&mut wanted, limit.as_ref()), Ok(ready) if ready > 0)
    }

    fn read(&self, name: &str) -> Result<String, ControlError> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = openat(&self.directory, name, flags, Mode::empty()).map_err(failed)?;
        let mut text = Vec::new();
        let read = File::from(file).take(MOST_BYTES).read_to_end(&mut text);
        read.map_err(|error| Errno::from_io_error(&error).map_or(ControlError::Gone, failed))?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

/// The processes that this one descends from, its parent first.
pub fn ancestors() -> Vec<Pid> {
    let mut found = Vec::new();
    let mut pid = Pid(std::process::id());
    while let Some(parent) = std::fs::read(format!("/proc/{}/stat", pid.0)).ok().as_deref().and_then(parent_in) {
        if parent.0 == 0 || found.contains(&parent) {
            break;
        }
        found.push(parent);
        pid = parent;
    }
    found
}

/// The paths of the cgroups of the process that has this number now.
pub fn control_groups_of(pid: Pid) -> Vec<String> {
    control_groups(&std::fs::read_to_string(format!("/proc/{}/cgroup", pid.0)).unwrap_or_default())
}

/// Returns whether this process has the capability to destroy sockets.
pub fn can_destroy() -> Result<(), ControlError> {
    use rustix::thread::{CapabilitySet, capabilities};
    let may = capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::NET_ADMIN));
    if may { Ok(()) } else { Err(ControlError::Refused) }
}

/// Destroys the socket, and nothing else: the kernel compares its cookie.
pub fn destroy(socket: &Socket) -> Result<(), ControlError> {
    super::sock_diag::destroy::destroy(socket)
}

/// Says whether the numbers below /proc are those that system calls of this process take.
fn numbers_are_our_own() -> bool {
    std::fs::read_link("/proc/self").is_ok_and(|own| own.as_os_str() == std::process::id().to_string().as_str())
}

fn number(pid: Pid) -> Option<rustix::process::Pid> {
    rustix::process::Pid::from_raw(i32::try_from(pid.0).ok()?)
}

fn numbered(signal: Signal) -> rustix::process::Signal {
    use rustix::process::Signal as Numbered;
    match signal {
        Signal::Term => Numbered::TERM,
        Signal::Int => Numbered::INT,
        Signal::Hup => Numbered::HUP,
        Signal::Quit => Numbered::QUIT,
        Signal::Abort => Numbered::ABORT,
        Signal::Usr1 => Numbered::USR1,
        Signal::Usr2 => Numbered::USR2,
        Signal::Kill => Numbered::KILL,
    }
}

fn failed(error: Errno) -> ControlError {
    match error {
        Errno::SRCH | Errno::NOENT => ControlError::Gone,
        Errno::PERM | Errno::ACCESS => ControlError::Refused,
        Errno::NOSYS => ControlError::Unsupported(
            "this kernel has no pidfd (it needs Linux 5.3 or later): by PID alone, the wrong process could be signaled",
        ),
        error => ControlError::Failed(std::io::Error::from(error).to_string()),
    }
}

fn open(at: BorrowedFd<'_>, name: &str) -> Result<OwnedFd, Errno> {
    openat(at, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// The entries of a directory that are numbers.
fn names(directory: BorrowedFd<'_>) -> Result<Vec<String>, ControlError> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        names.extend(entry.file_name().to_str().ok().filter(|name| name.parse::<u32>().is_ok()).map(str::to_owned));
    }
    Ok(names)
}

/// The name of the process stands in parentheses and may hold any byte; the fields follow the last one.
fn fields(stat: &str) -> impl Iterator<Item = &str> {
    stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_ascii_whitespace()
}

fn parent_in(stat: &[u8]) -> Option<Pid> {
    fields(&String::from_utf8_lossy(stat)).nth(1)?.parse().ok().map(Pid)
}

fn is_kernel_thread(stat: &str) -> bool {
    fields(stat).nth(6).and_then(|flags| flags.parse().ok()).is_some_and(|flags: u64| flags & KERNEL_THREAD != 0)
}

/// A process has a number in its own pid namespace and in each that is around it; seen from its own it has one.
fn is_in_inner_namespace(status: &str) -> bool {
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    numbers.is_some_and(|numbers| numbers.split_ascii_whitespace().count() > 1)
}

/// The distinct paths of `/proc/PID/cgroup`: the one that says most, then version 2, systemd's own, and the others.
fn control_groups(text: &str) -> Vec<String> {
    let lines = cgroup::lines(text);
    let mut seen = BTreeSet::new();
    let all = cgroup::most_specific(&lines).into_iter().chain(lines);
    all.filter(|path| seen.insert(*path)).map(str::to_owned).collect()
}

/// The container, else the unit, that the paths name, by the names that only root could give; those that a user gave are
/// a matter of that user's own systemd.
fn managed(text: &str) -> Option<Managed> {
    let named = cgroup_names::named_by_root(text);
    let by_root = control_groups(&named).iter().find_map(|path| of_path(path));
    by_root.or_else(|| control_groups(text).iter().find_map(|path| of_user(path)))
}

fn of_path(path: &str) -> Option<Managed> {
    match cgroup::container_of_host(path) {
        // The unit around it runs nothing but this container.
        Some(container) if container.runtime.stopped_by() == StoppedBy::Unit => {}
        Some(container) => {
            let container = Container { origin: Origin::Kernel, ..container };
            return Managed::container(&container.proved()?);
        }
        None => {}
    }
    // The name is used as it is: what looks like an escape is part of the unit's name.
    let (unit, user) = cgroup::unit_of_host(path)?;
    // A virtual machine has its own ways to be stopped.
    if unit.strip_suffix(".scope").is_some() {
        return None;
    }
    if user.is_some() { of_user(path) } else { Managed::new(Manager::Systemd, unit) }
}

/// The unit in the part of the tree that systemd gives to a user.
fn of_user(path: &str) -> Option<Managed> {
    let (unit, user) = cgroup::unit_of_host(path)?;
    Managed::new(Manager::SystemdOf(Uid(user?)), unit)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::process::{Child, Command, Stdio};

    use super::*;
    use crate::model::{Need, Protocol, State};

    fn listener() -> (TcpListener, Socket) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        // Another socket may have the same port at another address.
        let inode = Inode::new(rustix::fs::fstat(&listener).unwrap().st_ino);
        let need = Need { protocols: vec![Protocol::Tcp], states: Some(vec![State::Listen]), ..Need::default() };
        let sockets = crate::collect::linux::sockets(&need).unwrap();
        (listener, sockets.into_iter().find(|socket| socket.inode == inode).unwrap())
    }

    fn sleeping(stdin: impl Into<Stdio>) -> Child {
        Command::new("sleep").arg("1000").stdin(stdin).spawn().unwrap()
    }

    #[test]
    fn a_process_is_a_holder_only_as_long_as_it_has_the_socket() {
        let (listener, socket) = listener();
        let own = ProcessHandle::open(Pid(std::process::id())).unwrap();
        assert_eq!(own.holds(&socket), Ok(true));
        let mut child = sleeping(std::os::fd::OwnedFd::from(listener));
        // Given to the child, and closed here.
        assert_eq!(own.holds(&socket), Ok(false));
        let handle = ProcessHandle::open(Pid(child.id())).unwrap();
        assert_eq!(handle.holds(&socket), Ok(true));
        handle.send(Signal::Kill).unwrap();
        assert!(handle.has_ended_within(Duration::from_secs(20)));
        assert_ne!(handle.holds(&socket), Ok(true));
        child.wait().unwrap();
        assert_eq!(handle.send(Signal::Term), Err(ControlError::Gone));
        assert_eq!(handle.standing().unwrap_err(), ControlError::Gone);
        assert_eq!(ProcessHandle::open(Pid(child.id())).unwrap_err(), ControlError::Gone);
    }

    #[test]
    fn the_standing_of_this_process_is_plain_and_its_ancestors_end_with_the_first() {
        let own = ProcessHandle::open(Pid(std::process::id())).unwrap().standing().unwrap();
        assert!(!own.is_kernel && !own.is_elsewhere && !own.is_refused);
        let ancestors = ancestors();
        assert_eq!(ancestors[0].0, std::os::unix::process::parent_id());
        assert!(!ancestors.contains(&Pid(std::process::id())));
    }

    #[test]
    fn a_kernel_thread_is_known_by_its_flags() {
        assert!(is_kernel_thread("2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 1 0 20 0 1"));
        assert!(!is_kernel_thread("22431 (x) S 1 (y) S 41 2 2 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1"));
        assert!(!is_kernel_thread(""));
    }

    #[test]
    fn a_process_of_a_container_has_several_numbers() {
        assert!(is_in_inner_namespace("Name:\ta\nNStgid:\t812\t1\nNSpid:\t812\t1\n"));
        assert!(!is_in_inner_namespace("NSpid:\t812\n"));
        assert!(!is_in_inner_namespace("Name:\tNSpid\n"));
    }

    #[test]
    fn the_manager_is_read_from_the_path_as_it_is() {
        const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        for (path, line) in [
            ("/system.slice/nginx.service", Some("systemctl stop nginx.service")),
            ("/system.slice/a\\x2db.service/sub", Some("systemctl stop 'a\\x2db.service'")),
            (
                "/user.slice/user-1000.slice/user@1000.service/app.slice/web.service",
                Some("sudo -u '#1000' XDG_RUNTIME_DIR=/run/user/1000 systemctl --user stop web.service"),
            ),
            ("/system.slice/docker-ID.scope", Some("docker stop 0123456789ab")),
            ("/machine.slice/libpod-ID.scope/container", Some("podman stop 0123456789ab")),
            ("/user.slice/user-1000.slice/session-3.scope", None),
            ("/lxc.payload.web", None),
            ("/lxc.payload.web/system.slice/nginx.service", None),
            ("/system.slice/k3s.service/kubepods/pod12-3/ID", None),
            ("/machine.slice/machine-box.scope/payload/system.slice/nginx.service", None),
            (
                "/machine.slice/systemd-nspawn@box.service/payload/system.slice/nginx.service",
                Some("systemctl stop systemd-nspawn@box.service"),
            ),
            ("/system.slice/docker-ID.scope/system.slice/nginx.service", Some("docker stop 0123456789ab")),
            // A container inside of another is not the host's to stop.
            ("/lxc.payload.web/docker/ID", None),
            (
                "/machine.slice/systemd-nspawn@box.service/payload/system.slice/docker-ID.scope",
                Some("systemctl stop systemd-nspawn@box.service"),
            ),
            ("/system.slice/a b.service", None),
            ("/", None),
        ] {
            let found = of_path(&path.replace("ID", ID)).map(|managed| managed.stop_line());
            assert_eq!(found.as_deref(), line, "{path}");
        }
    }

    #[test]
    fn the_cgroup_of_version_2_comes_first() {
        let text = "5:cpu:/a\n1:name=systemd:/b\n0::/c:d\n7:pids:/a\nx\n";
        assert_eq!(control_groups(text), ["/c:d", "/b", "/a"]);
    }
}
