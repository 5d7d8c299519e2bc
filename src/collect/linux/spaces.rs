//! The network namespace of this process as a port space.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::sysctl;
use crate::model::{SocketSource, Space, SpaceId, SpaceKind};

/// Returns the port space that this process lives in.
pub fn current() -> Space {
    let id = fs::metadata("/proc/self/ns/net").map_or(0, |metadata| metadata.ino());
    let (kind, label) = if is_of_init() {
        (SpaceKind::Host, "host".to_owned())
    } else {
        (SpaceKind::Netns, name_of(id).unwrap_or_else(|| "netns".to_owned()))
    };
    Space {
        ephemeral: sysctl::ephemeral_range(),
        reserved: sysctl::reserved_ports(),
        unprivileged_start: sysctl::unprivileged_start(),
        ..Space::new(SpaceId(id), kind, label, SocketSource::Netlink)
    }
}

/// Says whether process 1 lives in the same network namespace.
///
/// The namespace link of process 1 is for root only. The inode of a file below its `net` directory tells namespaces
/// apart as well and is readable by all.
fn is_of_init() -> bool {
    let inode = |path: &str| fs::metadata(path).map(|metadata| metadata.ino()).ok();
    let own = inode("/proc/self/net/protocols");
    own.is_some() && own == inode("/proc/1/net/protocols")
}

/// The name under which `ip netns` keeps the namespace.
fn name_of(id: u64) -> Option<String> {
    let entries = fs::read_dir("/run/netns").ok()?;
    let is_it = |path: &Path| fs::metadata(path).is_ok_and(|metadata| metadata.ino() == id);
    let entry = entries.flatten().find(|entry| is_it(&entry.path()))?;
    Some(entry.file_name().to_string_lossy().into_owned())
}
