//! User names as the system's name service gives them: files, LDAP, systemd.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::Uid;

/// Returns the names of those users that have one. Source: getpwuid_r(3).
pub fn names(uids: &BTreeSet<Uid>) -> BTreeMap<Uid, String> {
    let name = |uid: &Uid| Some((*uid, uzers::get_user_by_uid(uid.0)?.name().to_string_lossy().into_owned()));
    uids.iter().filter_map(name).collect()
}
