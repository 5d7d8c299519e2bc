//! User names as the system's name service gives them: files, LDAP, systemd.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::deadline::{NoAnswer, within};
use crate::model::{Gap, Uid};

/// How long the name service may take for all names together: it may ask a server that is down.
const PATIENCE: Duration = Duration::from_millis(500);

/// Returns the names of those users that have one, and why others may have one too.
///
/// Source: getpwuid_r(3), user_namespaces(7).
///
/// In a user namespace all users of the host that are not mapped into it have the same number, which is not the number
/// of any of them.
pub fn names(uids: &BTreeSet<Uid>) -> (BTreeMap<Uid, String>, Option<Gap>) {
    let unmapped = unmapped();
    let asked: Vec<Uid> = uids.iter().copied().filter(|uid| Some(*uid) != unmapped).collect();
    let name = |uid: &Uid| Some((*uid, uzers::get_user_by_uid(uid.0)?.name().to_string_lossy().into_owned()));
    let answer = within(PATIENCE, move || asked.iter().filter_map(name).collect::<BTreeMap<_, _>>());
    let (mut names, gap) = answer.map_or_else(|why| (BTreeMap::new(), Some(gap(&why))), |names| (names, None));
    names.extend(unmapped.filter(|uid| uids.contains(uid)).map(|uid| (uid, "unmapped".to_owned())));
    (names, gap)
}

/// Returns the names in the file of users, and of those asked for the ones that the name service knows.
pub fn named(asked: &[String]) -> Vec<String> {
    let file = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let mut names: Vec<String> = file.lines().filter_map(|line| Some(line.split_once(':')?.0.to_owned())).collect();
    let rest: Vec<String> = asked.iter().filter(|name| !names.contains(name)).cloned().collect();
    if !rest.is_empty() {
        let exists = |name: &String| uzers::get_user_by_name(name).is_some();
        // A name service that does not answer cannot say that there is no such user.
        let all = rest.clone();
        names.extend(within(PATIENCE, move || rest.into_iter().filter(exists).collect::<Vec<_>>()).unwrap_or(all));
    }
    names
}

fn gap(why: &NoAnswer) -> Gap {
    match why {
        NoAnswer::TooLate => Gap::UserNamesTooLate,
        // Neither was anything else asked that may never be answered.
        NoAnswer::NotAsked(error) => Gap::NoThreadToAsk { problem: error.to_string() },
    }
}

/// The number that stands for users that are not mapped into this process's user namespace; `None` in the initial one,
/// where all are mapped.
fn unmapped() -> Option<Uid> {
    let map = std::fs::read_to_string("/proc/self/uid_map").ok()?;
    if maps_everybody(&map) {
        return None;
    }
    std::fs::read_to_string("/proc/sys/kernel/overflowuid").ok()?.trim().parse().ok().map(Uid)
}

/// The first namespace maps all numbers onto themselves. Source: user_namespaces(7).
fn maps_everybody(map: &str) -> bool {
    map.split_ascii_whitespace().eq(["0", "0", "4294967295"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_user_namespace_maps_everybody() {
        assert!(maps_everybody("         0          0 4294967295\n"));
        assert!(!maps_everybody("0 1000 1\n"));
        assert!(!maps_everybody("0 0 1000\n1000 70000 5\n"));
    }

    #[test]
    fn a_user_without_a_name_has_none() {
        let uids = BTreeSet::from([Uid(0), Uid(3_999_999_999)]);
        assert_eq!(names(&uids), (BTreeMap::from([(Uid(0), "root".to_owned())]), None));
    }
}
