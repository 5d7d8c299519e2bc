//! Why holders are hidden from this run.

use std::path::Path;

use crate::collect::linux::mountinfo;
use crate::model::{Coverage, HiddenBecause};

/// The inode of the pid namespace that the machine started with. Source: `PROC_PID_INIT_INO` in `linux/proc_ns.h`.
pub const FIRST_PID_NAMESPACE: u64 = 0xEFFF_FFFC;

/// Why no holder was found for a socket.
pub fn reason(coverage: &Coverage) -> HiddenBecause {
    if coverage.problem.is_some() {
        return HiddenBecause::NoProcesses;
    }
    let is_root = rustix::process::geteuid().is_root();
    match (is_root, coverage.refused) {
        // Processes can also be hidden without a refusal (hidepid=2), so only root can conclude that a process does not
        // exist.
        (false, _) => HiddenBecause::Permission,
        (true, _) if is_in_pid_namespace() => HiddenBecause::PidNamespace,
        (true, 0) => HiddenBecause::NotFound,
        (true, _) => HiddenBecause::Protected,
    }
}

/// Says whether processes outside of this one's pid namespace may exist.
pub fn is_in_pid_namespace() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self/ns/pid").is_ok_and(|metadata| metadata.ino() != FIRST_PID_NAMESPACE)
}

/// Returns whether /proc leaves out processes of other users, so that they are not even counted as refused.
pub fn leaves_out() -> bool {
    hidden_by_mount().is_some()
}

/// The option of the mount of /proc that hides other users' processes from this one.
pub fn hidden_by_mount() -> Option<String> {
    let sees_all = rustix::thread::capabilities(None)
        .is_ok_and(|sets| sets.effective.contains(rustix::thread::CapabilitySet::SYS_PTRACE));
    if sees_all {
        return None;
    }
    hiding_option(&mountinfo::read().ok()?)
}

/// The last mount over /proc counts. Source: proc_pid_mountinfo(5), proc(5).
fn hiding_option(mountinfo: &[u8]) -> Option<String> {
    let mount = mountinfo::parse(mountinfo).rfind(|mount| mount.point() == Path::new("/proc"))?;
    let options = std::str::from_utf8(mount.options).ok()?;
    let is_hiding = |option: &&str| {
        option.strip_prefix("hidepid=").is_some_and(|value| !["0", "off"].contains(&value)) || *option == "subset=pid"
    };
    options.split(',').find(is_hiding).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_that_hides_processes_is_named() {
        let mount = |options: &str| {
            format!("20 1 0:20 / /sys rw - sysfs sysfs rw\n21 1 0:21 / /proc rw,nosuid - proc proc {options}\n")
        };
        for (options, hiding) in [
            ("rw", None),
            ("rw,hidepid=0", None),
            ("rw,hidepid=off", None),
            ("rw,hidepid=2", Some("hidepid=2")),
            ("rw,gid=4,hidepid=invisible", Some("hidepid=invisible")),
            ("rw,subset=pid", Some("subset=pid")),
        ] {
            assert_eq!(hiding_option(mount(options).as_bytes()).as_deref(), hiding, "{options}");
        }
        // A later mount covers an earlier one.
        assert_eq!(hiding_option((mount("rw,hidepid=2") + &mount("rw")).as_bytes()), None);
        assert_eq!(hiding_option(b"\xff"), None);
    }
}
