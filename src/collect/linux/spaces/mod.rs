//! The port spaces of this machine: its network namespaces, how each is called and how it can be read.
//!
//! A namespace lives as long as a process lives in it, a mount point or an open file stands for it, or a socket of it
//! is open. Its identity is the inode of `/proc/PID/ns/net`. Users may follow that link for their own processes only.
//! For others the inode of a file below `/proc/PID/net` also identifies the namespace, and every user can read it.

mod address;
mod enter;
mod label;
mod threads;
mod unattended;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::homes::Homes;
use super::procfs::Processes;
use super::{mountinfo, procfs, sysctl};
use crate::model::{Origin, SocketSource, Space, SpaceId, SpaceKind};
use crate::parallel::in_order;
pub use address::addresses;
pub use enter::{Entered, enter, within};
pub use label::distinguish;
pub use unattended::{by_files, by_sockets, links};

/// The number of the network namespace that the machine started with. Source: `NET_NS_INIT_INO` in `linux/nsfs.h`,
/// since Linux 6.18; older kernels assign any number.
const FIRST_NAMESPACE: u64 = 0xEFFF_FFF9;

/// A network namespace that was found.
pub struct Namespace {
    /// What is known of it.
    pub space: Space,
    /// Whether the id is the namespace's own; else it is that of its tables, because this user may not know better.
    pub has_own_id: bool,
    /// The inode of its tables below /proc; absent where no process lives in it.
    tables: Option<u64>,
    /// The processes that live in it, the lowest first.
    pub pids: Vec<u32>,
    /// Where it is mounted.
    mounts: Vec<PathBuf>,
    /// What was opened to keep it.
    handle: Option<OwnedFd>,
}

impl Namespace {
    fn new(id: u64) -> Namespace {
        Namespace {
            space: Space::new(SpaceId(id), SpaceKind::Netns, String::new(), SocketSource::Netlink),
            has_own_id: true,
            tables: None,
            pids: Vec::new(),
            mounts: Vec::new(),
            handle: None,
        }
    }
}

/// Returns the port space that this process lives in.
pub fn current() -> Space {
    let id = namespace_of("self").or_else(unattended::own_by_socket).unwrap_or(0);
    let own = tables_of("self");
    let (kind, label) = if is_host(Some(id), own, tables_of("1")) {
        (SpaceKind::Host, "host".to_owned())
    } else {
        let mounts = mountinfo::read().map(|text| mounts(&text)).unwrap_or_default();
        let name = mounts.get(&id).and_then(|mounts| label::name_of_mount(mounts));
        (SpaceKind::Netns, name.unwrap_or_else(|| "netns".to_owned()))
    };
    sysctl::with_settings(Space {
        // It is the one that this program was started in, whatever it is called.
        named_by: Origin::Kernel,
        ..Space::new(SpaceId(id), kind, label, SocketSource::Netlink)
    })
}

/// Returns whether that is the namespace that the machine started with. Only kernels since 6.18 give it a fixed number;
/// on older ones the namespace of process 1 is taken for it, which is wrong inside of a pid namespace.
fn is_host(id: Option<u64>, tables: Option<u64>, tables_of_first: Option<u64>) -> bool {
    match id {
        Some(FIRST_NAMESPACE) => true,
        Some(_) if numbers_the_first() => false,
        _ => tables.is_some() && tables == tables_of_first,
    }
}

fn numbers_the_first() -> bool {
    let name = rustix::system::uname();
    let release = name.release().to_str().unwrap_or_default();
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit()).map_while(|number| number.parse().ok());
    (numbers.next(), numbers.next()) >= (Some(6_u32), Some(18_u32))
}

/// Finds the namespaces that a process lives in or that are mounted, and says how each is called; the one of this
/// process first. `with_threads` looks for threads with a namespace of their own too.
pub fn find(with_threads: bool, processes: &Processes) -> io::Result<Vec<Namespace>> {
    let pids = pids(processes)?;
    let homes = Homes::ask(pids.len());
    found(pids, homes, with_threads)
}

fn found(pids: Vec<u32>, homes: Option<Homes>, with_threads: bool) -> io::Result<Vec<Namespace>> {
    let mut found: Vec<Namespace> = Vec::new();
    let own = tables_of("self");
    let host = tables_of("1");
    let mut index_of: HashMap<u64, usize> = HashMap::new();
    let mut lives = Lives { homes, tables: HashMap::new() };
    let tables_of_each = lives.tables_of_each(&pids);
    for (pid, tables) in pids.into_iter().zip(tables_of_each) {
        let mut lives_in = |pid: u32, tables: u64| {
            let index = *index_of.entry(tables).or_insert_with(|| {
                found.push(Namespace { tables: Some(tables), ..Namespace::new(0) });
                found.len() - 1
            });
            found[index].pids.push(pid);
        };
        // One that has ended, or that is dead and waits for its parent, lives nowhere; its threads may live on.
        if let Some(tables) = tables {
            lives_in(pid, tables);
        }
        if with_threads || tables.is_none() {
            for (thread, tables) in lives.elsewhere(pid, tables) {
                lives_in(thread, tables);
            }
        }
    }
    for group in &mut found {
        let id = if group.tables == own { namespace_of("self") } else { namespace_of_any(&group.pids) };
        group.has_own_id = id.is_some();
        group.space.id = SpaceId(id.or(group.tables).unwrap_or_default());
    }
    for (id, mounts) in mounts(&mountinfo::read()?) {
        match found.iter_mut().find(|group| group.has_own_id && group.space.id.0 == id) {
            Some(group) => group.mounts = mounts,
            None => found.push(Namespace { mounts, ..Namespace::new(id) }),
        }
    }
    let own_container = label::container_of("self");
    for group in &mut found {
        group.space.processes = Some(group.pids.len());
        label::describe(group, host, own_container.as_ref());
    }
    found.sort_by_key(|group| group.tables.is_none() || group.tables != own);
    Ok(found)
}

/// Where processes live, as the kernel tells it, or else as /proc does.
struct Lives {
    homes: Option<Homes>,
    /// The inode of the tables of each namespace that the kernel named.
    tables: HashMap<u32, u64>,
}

impl Lives {
    /// The inode of a table of the namespace that each process lives in. Where the kernel does not tell, all cores ask.
    fn tables_of_each(&mut self, pids: &[u32]) -> Vec<Option<u64>> {
        if self.homes.is_some() {
            return pids.iter().map(|pid| self.tables_of(*pid)).collect();
        }
        let tables_of_some = |pids: &&[u32]| pids.iter().map(|pid| tables_of(&pid.to_string())).collect::<Vec<_>>();
        in_order::flat_map(&pids.chunks(procfs::WORTH_A_WORKER).collect::<Vec<_>>(), pids.len(), tables_of_some)
    }

    /// The inode of a table of the namespace that the process lives in.
    fn tables_of(&mut self, pid: u32) -> Option<u64> {
        let home = match self.homes.as_ref().and_then(|homes| homes.of(pid)) {
            // It may have begun after the kernel was asked, or be one that this system keeps from programs.
            None => return tables_of(&pid.to_string()),
            Some(0) => return None,
            Some(home) => home,
        };
        if let Some(tables) = self.tables.get(&home) {
            return Some(*tables);
        }
        let tables = tables_of(&pid.to_string())?;
        // It may have moved since the kernel was asked, and then these are not the tables of that namespace.
        if namespace_of(pid) == Some(home.into()) {
            self.tables.insert(home, tables);
        }
        Some(tables)
    }

    /// One thread for each namespace that threads of the process live in and its main thread does not.
    fn elsewhere(&self, pid: u32, tables: Option<u64>) -> Vec<(u32, u64)> {
        match self.homes.as_ref().and_then(|homes| homes.apart(pid)) {
            Some(threads) => threads::elsewhere(threads, tables),
            None => threads::elsewhere(&threads::others(pid), tables),
        }
    }
}

/// The number of the namespace that these processes live in. A user without CAP_SYS_PTRACE may follow only the links of
/// processes of their own, so the others are not tried.
fn namespace_of_any(pids: &[u32]) -> Option<u64> {
    use rustix::thread::{CapabilitySet, capabilities};
    let (first, others) = pids.split_first()?;
    namespace_of(first).or_else(|| {
        let own = rustix::process::geteuid().as_raw();
        let sees_all = capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_PTRACE));
        let is_own = |pid: &&u32| sees_all || fs::metadata(format!("/proc/{pid}")).is_ok_and(|it| it.uid() == own);
        others.iter().filter(is_own).find_map(namespace_of)
    })
}

/// The processes, the lowest first.
fn pids(processes: &Processes) -> io::Result<Vec<u32>> {
    let mut pids = processes.pids(procfs::open()?.as_fd())?.to_vec();
    pids.sort_unstable();
    Ok(pids)
}

/// The inode of a table of the namespace that the process lives in. Each namespace has a table of its own.
fn tables_of(pid: &str) -> Option<u64> {
    fs::metadata(format!("/proc/{pid}/net/protocols")).map(|metadata| metadata.ino()).ok()
}

/// The namespace that the process lives in, where this user may know.
fn namespace_of(pid: impl std::fmt::Display) -> Option<u64> {
    fs::metadata(format!("/proc/{pid}/ns/net")).map(|metadata| metadata.ino()).ok()
}

/// Where network namespaces are mounted, by their number: a line of `mountinfo` whose file system is `nsfs` and whose
/// root is `net:[NUMBER]`. Source: proc_pid_mountinfo(5).
fn mounts(mountinfo: &[u8]) -> BTreeMap<u64, Vec<PathBuf>> {
    let mut mounts: BTreeMap<u64, Vec<PathBuf>> = BTreeMap::new();
    for mount in mountinfo::parse(mountinfo).filter(|mount| mount.filesystem == b"nsfs") {
        if let Some(id) = number_of_link(mount.root) {
            mounts.entry(id).or_default().push(mount.point());
        }
    }
    mounts
}

/// The number in `net:[4026531840]`.
fn number_of_link(link: &[u8]) -> Option<u64> {
    std::str::from_utf8(link.strip_prefix(b"net:[")?.strip_suffix(b"]")?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::collect::linux::homes::testing::with_a_thread_elsewhere;

    #[test]
    fn mounted_namespaces_are_read_from_mountinfo() {
        let text = b"22 27 0:21 / /proc rw - proc proc rw\n\
            300 25 0:4 net:[4026532573] /run/netns/red\\040one rw shared:170 - nsfs nsfs rw\n\
            301 25 0:4 net:[4026532573] /mnt/x rw - nsfs nsfs rw\n\
            302 25 0:4 mnt:[4026532001] /run/mnt rw - nsfs nsfs rw\n\xff\n";
        let found = mounts(text);
        assert_eq!(found, BTreeMap::from([(4_026_532_573, vec!["/run/netns/red one".into(), "/mnt/x".into()])]));
    }

    #[test]
    fn this_process_lives_in_the_first_space_that_is_found() {
        let found = find(true, &Processes::default()).unwrap();
        assert_eq!(found[0].space.id, current().id);
        assert!(found[0].pids.contains(&std::process::id()));
    }

    #[test]
    fn the_kernel_and_proc_tell_the_same_of_where_processes_and_threads_live() {
        if Homes::asked().is_none() {
            eprintln!("skipped: loading a BPF program needs root");
            return;
        }
        let (by_kernel, by_proc) = with_a_thread_elsewhere(|thread| {
            let own = [std::process::id(), thread];
            let where_own_live = |homes: Option<Homes>| -> Vec<(u64, bool, u32)> {
                let found = found(pids(&Processes::default()).unwrap(), homes, true).unwrap();
                let lives = |found: &Namespace| {
                    let pids = found.pids.iter().copied().filter(|pid| own.contains(pid));
                    pids.map(|pid| (found.space.id.0, found.has_own_id, pid)).collect::<Vec<_>>()
                };
                found.iter().flat_map(lives).collect()
            };
            (where_own_live(Some(Homes::asked().unwrap())), where_own_live(None))
        });
        assert_eq!(by_kernel.len(), 2);
        assert_eq!(by_kernel, by_proc);
    }

    proptest! {
        #[test]
        fn no_mountinfo_makes_it_panic(text in any::<Vec<u8>>()) {
            let _ = mounts(&text);
        }
    }
}
