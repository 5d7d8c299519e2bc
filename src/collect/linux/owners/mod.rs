//! Which processes hold each socket.
//!
//! The socket table and the processes are read side by side while the system keeps running, so a socket without a holder
//! may have been opened after its process was looked at, or closed in between. Such sockets are listed again, and their
//! holders searched for more thoroughly, before they are reported as having none.

mod fd_scan;
mod finder;
mod hidden;
mod holders;
mod indirect;
mod task_iter;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::collect::CollectError;
use crate::model::{Coverage, Few, HiddenBecause, Holder, Inode, Nobody, Owner, Pid, Socket, Uid};
use crate::parallel;
pub use finder::Finder;
pub use hidden::{is_in_pid_namespace, leaves_out};
use holders::Holders;
pub use indirect::in_flight;
pub use task_iter::{Facts, FileRights};

/// What the processes hold, as far as this user may see.
#[derive(Debug, Default)]
pub struct Scan {
    /// Each descriptor of a wanted socket.
    pub found: Vec<(Inode, Holder)>,
    /// How many descriptors of any kind are on their way through unix sockets.
    pub in_flight: usize,
    /// What was learned about these processes on the way.
    pub processes: ProcessFacts,
    /// Processes whose descriptors were all read.
    pub read: usize,
    /// Processes of which some descriptors could not be read.
    pub refused: usize,
}

/// What a search has found, the descriptors in order.
pub struct Found {
    holders: Holders,
    /// The rest of it.
    scan: Scan,
}

impl From<Scan> for Found {
    fn from(mut scan: Scan) -> Found {
        Found { holders: Holders::of(std::mem::take(&mut scan.found)), scan }
    }
}

/// Says whether the process that has this number holds the socket in any way there is, by a thread or an io_uring too.
pub fn holds_deeper(pid: Pid, inode: Inode) -> bool {
    let scan = fd_scan::scan_some(Some(&BTreeSet::from([inode])), fd_scan::Depth::Threads, |other| other == pid.0);
    scan.is_ok_and(|scan| scan.found.iter().any(|(_, holder)| holder.pid == pid))
}

/// How much of the processes the search could read.
fn coverage_of(scan: &Scan, hidden_by_mount: Option<&String>) -> Coverage {
    Coverage {
        read: scan.read,
        refused: scan.refused,
        uid: Some(Uid(rustix::process::geteuid().as_raw())),
        hidden_by_mount: hidden_by_mount.cloned(),
        problem: None,
    }
}

/// How many more thorough searches are made for sockets that seem to have no holder.
const DEEPER_LOOKS: usize = 2;

/// Sets the owner of every socket that has an inode, and drops those that turn out to have closed meanwhile.
///
/// `list_again` lists the sockets that it is given as they are now.
pub fn assign(
    sockets: &mut Vec<Socket>,
    finder: &mut Finder,
    mut list_again: impl FnMut(&[Socket]) -> Result<Vec<Socket>, CollectError>,
) -> Result<(Coverage, ProcessFacts), CollectError> {
    let Found { holders, scan } = match finder.find(|| sockets.iter().filter_map(|socket| socket.inode).collect()) {
        Ok(found) => found,
        Err(error) => {
            for socket in sockets.iter_mut().filter(|socket| is_unresolved(socket)) {
                socket.owner = Owner::Hidden(HiddenBecause::NoProcesses);
            }
            return Ok((Coverage { problem: Some(error.to_string()), ..Coverage::default() }, ProcessFacts::new()));
        }
    };
    let hidden_by_mount = hidden::hidden_by_mount();
    let mut coverage = coverage_of(&scan, hidden_by_mount.as_ref());
    parallel::each(sockets, |_, sockets| sockets.iter_mut().for_each(|socket| resolve(socket, &holders)));
    let mut facts = scan.processes;
    // On a host with a million sockets each look at all of them takes as long as everything does elsewhere.
    let mut left = unresolved(sockets);
    let mut in_flight = 0;
    for look in 0..DEEPER_LOOKS {
        let may_resolve = may_resolve(&coverage);
        let in_doubt = left.iter().map(|index| &sockets[*index]).filter(|socket| may_resolve(socket));
        let inodes: BTreeSet<Inode> = in_doubt.filter_map(|socket| socket.inode).collect();
        // The hidden processes explain the sockets that are left; another search would not change that.
        if inodes.is_empty() || (look > 0 && coverage.is_partial()) {
            break;
        }
        let Found { holders, scan } = match finder.find_deeper(&inodes) {
            Ok(found) => found,
            Err(error) => {
                coverage.problem = Some(error.to_string());
                break;
            }
        };
        coverage = coverage_of(&scan, hidden_by_mount.as_ref());
        in_flight = scan.in_flight;
        facts.extend(scan.processes);
        for index in &left {
            resolve(&mut sockets[*index], &holders);
        }
        left.retain(|index| is_unresolved(&sockets[*index]));
        refresh(sockets, &mut left, &mut list_again, &coverage)?;
    }
    // Where everything could be read and some descriptors are on their way through unix sockets, that is where an
    // otherwise unheld socket is. With processes that could not be read it would be a guess.
    let is_in_flight = in_flight > 0 && !coverage.is_partial();
    let owner = if is_in_flight { Owner::Nobody(Nobody::InFlight) } else { Owner::Hidden(hidden::reason(&coverage)) };
    for index in left {
        sockets[index].owner = owner.clone();
    }
    hide_ambiguous(sockets);
    Ok((coverage, facts))
}

/// What was learned about processes while looking for holders.
pub type ProcessFacts = HashMap<Pid, Facts>;

fn is_unresolved(socket: &Socket) -> bool {
    socket.inode.is_some() && !matches!(socket.owner, Owner::Processes(_))
}

/// The places of the sockets without a holder.
fn unresolved(sockets: &[Socket]) -> Vec<usize> {
    (0..sockets.len()).filter(|index| is_unresolved(&sockets[*index])).collect()
}

/// Returns whether a more thorough search could find the holder: not when it belongs to another user and this user
/// cannot see other users' processes.
fn may_resolve(coverage: &Coverage) -> impl Fn(&Socket) -> bool + use<> {
    let own = rustix::process::geteuid();
    let is_partial = coverage.is_partial();
    move |socket| {
        let is_own = || own.is_root() || socket.uid.is_some_and(|uid| uid.0 == own.as_raw());
        is_unresolved(socket) && (!is_partial || is_own())
    }
}

/// Sockets can share an inode (all subflows of an MPTCP connection have the same one), so a holder may be used for
/// several sockets.
fn resolve(socket: &mut Socket, found: &Holders) {
    let Some(inode) = socket.inode.filter(|_| is_unresolved(socket)) else { return };
    let holders: Few<Holder> = found.of_socket(inode).collect();
    if !holders.is_empty() {
        socket.owner = Owner::Processes(holders);
    }
}

/// Looks at those of the sockets again that a more thorough search could resolve: those that have closed meanwhile are
/// dropped, those that have gone on to another state are taken as they are now.
fn refresh(
    sockets: &mut Vec<Socket>,
    left: &mut Vec<usize>,
    list_again: &mut impl FnMut(&[Socket]) -> Result<Vec<Socket>, CollectError>,
    coverage: &Coverage,
) -> Result<(), CollectError> {
    let may_resolve = may_resolve(coverage);
    let in_doubt: Vec<usize> = left.iter().copied().filter(|index| may_resolve(&sockets[*index])).collect();
    if in_doubt.is_empty() {
        return Ok(());
    }
    let before: Vec<Socket> = in_doubt.iter().map(|index| sockets[*index].clone()).collect();
    let mut now: BTreeMap<_, Socket> =
        list_again(&before)?.into_iter().map(|socket| (socket.identity(), socket)).collect();
    let mut closed = BTreeSet::new();
    for index in in_doubt {
        match now.remove(&sockets[index].identity()) {
            Some(fresh) => sockets[index] = fresh,
            None => drop(closed.insert(index)),
        }
    }
    if closed.is_empty() {
        left.retain(|index| is_unresolved(&sockets[*index]));
    } else {
        let mut index = 0..;
        sockets.retain(|_| index.next().is_none_or(|index| !closed.contains(&index)));
        *left = unresolved(sockets);
    }
    Ok(())
}

/// Hides the owners of different sockets that have the same inode: its 32 bits wrap around on a host that has been up
/// for a long time. Subflows of MPTCP share an inode legitimately: they have the same protocol, space and user.
fn hide_ambiguous(sockets: &mut [Socket]) {
    // Only a holder that was found can be that of another socket.
    if !sockets.iter().any(|socket| matches!(socket.owner, Owner::Processes(_))) {
        return;
    }
    let mut inodes: Vec<Inode> = sockets.iter().filter_map(|socket| socket.inode).collect();
    parallel::sort(&mut inodes);
    if inodes.windows(2).all(|pair| pair[0] != pair[1]) {
        return;
    }
    let is_one = |a: &Socket, b: &Socket| (a.protocol, a.space, a.uid) == (b.protocol, b.space, b.uid);
    let mut first: HashMap<Inode, &Socket> = HashMap::new();
    let mut ambiguous = BTreeSet::new();
    for socket in sockets.iter() {
        let Some(inode) = socket.inode else { continue };
        if !is_one(first.entry(inode).or_insert(socket), socket) {
            ambiguous.insert(inode);
        }
    }
    for socket in sockets.iter_mut().filter(|socket| socket.inode.is_some_and(|inode| ambiguous.contains(&inode))) {
        socket.owner = Owner::Hidden(HiddenBecause::Ambiguous);
    }
}

#[cfg(any(feature = "fuzzing", test))]
pub use task_iter::fuzzing;

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;
    use crate::model::Protocol;
    use crate::testing;

    #[test]
    fn an_inode_that_two_sockets_have_names_no_owner() {
        let listener =
            testing::snapshot().sockets.into_iter().find(|socket| !socket.owner.holders().is_empty()).unwrap();
        let subflow = Socket { cookie: NonZeroU64::new(2), ..listener.clone() };
        let mut mptcp = vec![listener.clone(), subflow];
        hide_ambiguous(&mut mptcp);
        assert!(mptcp.iter().all(|socket| !socket.owner.holders().is_empty()));
        for twin in [
            Socket { protocol: Protocol::Udp, ..listener.clone() },
            Socket { uid: Some(Uid(4_000_000)), ..listener.clone() },
        ] {
            let mut both = vec![listener.clone(), twin];
            hide_ambiguous(&mut both);
            assert!(both.iter().all(|socket| socket.owner == Owner::Hidden(HiddenBecause::Ambiguous)));
        }
    }
}
