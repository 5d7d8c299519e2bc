//! The parsers of this layer that the fuzzers and `crate::fuzzing` run.

/// Reads the bytes and drops the result.
pub type Reader = fn(&[u8]);

/// Whether this system has all of them.
#[cfg(test)]
pub const HAS_ALL: bool = cfg!(target_os = "linux");

/// Each with its name.
pub const READERS: &[(&str, Reader)] = &[
    #[cfg(target_os = "linux")]
    ("cgroup", super::linux::fuzzing::cgroup),
    #[cfg(target_os = "linux")]
    ("crictl", |bytes| drop(super::runtime::cri::parse(bytes))),
    #[cfg(target_os = "linux")]
    ("iptables", super::linux::fuzzing::iptables),
    #[cfg(target_os = "linux")]
    ("netlink", super::linux::fuzzing::netlink),
    #[cfg(target_os = "linux")]
    ("nft", super::linux::fuzzing::nft),
    #[cfg(target_os = "linux")]
    ("proc_net", super::linux::fuzzing::proc_net),
    ("report", report),
    #[cfg(target_os = "linux")]
    ("systemctl", |bytes| drop(super::runtime::systemd::parse(bytes))),
];

/// Reads a saved report. What is wrong with it must fit on one line.
fn report(bytes: &[u8]) {
    if let Err(problem) = super::saved::parse(bytes) {
        assert!(!problem.contains('\n'), "{problem}");
    }
}
