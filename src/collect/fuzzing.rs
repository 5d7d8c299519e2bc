//! The parsers of this layer that the fuzzers and `crate::fuzzing` run.

/// Reads the bytes and drops the result.
pub type Reader = fn(&[u8]);

/// Whether this system has all of them.
#[cfg(test)]
pub const HAS_ALL: bool = cfg!(target_os = "linux");

/// Each with its name.
pub const READERS: &[(&str, Reader)] = &[
    #[cfg(target_os = "linux")]
    ("bpf_records", super::linux::fuzzing::bpf_records),
    #[cfg(target_os = "linux")]
    ("btf", super::linux::fuzzing::btf),
    #[cfg(target_os = "linux")]
    ("cgroup", super::linux::fuzzing::cgroup),
    #[cfg(target_os = "linux")]
    ("crictl", |bytes| drop(super::runtime::cri::parse(bytes))),
    #[cfg(target_os = "linux")]
    ("docker", |bytes| drop(super::runtime::containers::parse(bytes))),
    ("events", events),
    #[cfg(target_os = "linux")]
    ("ipvs", super::linux::fuzzing::ipvs),
    #[cfg(target_os = "linux")]
    ("iptables", super::linux::fuzzing::iptables),
    #[cfg(target_os = "linux")]
    ("mountinfo", super::linux::fuzzing::mountinfo),
    #[cfg(target_os = "linux")]
    ("netlink", super::linux::fuzzing::netlink),
    ("netsh", super::portable::fuzzing::netsh),
    #[cfg(target_os = "linux")]
    ("nft", super::linux::fuzzing::nft),
    #[cfg(target_os = "linux")]
    ("proc_net", super::linux::fuzzing::proc_net),
    #[cfg(target_os = "linux")]
    ("process", super::linux::fuzzing::process),
    #[cfg(target_os = "linux")]
    ("protocols", super::linux::fuzzing::protocols),
    ("report", report),
    #[cfg(target_os = "linux")]
    ("systemctl", |bytes| drop(super::runtime::systemd::parse(bytes))),
];

/// Reads a record of events to its end.
fn events(bytes: &[u8]) {
    let mut record = super::saved::Recorded::of(bytes.to_vec());
    while let Ok(Some(_)) = record.next() {}
}

/// Reads a saved report. What is wrong with it must fit on one line.
fn report(bytes: &[u8]) {
    if let Err(problem) = super::saved::parse(bytes) {
        assert!(!problem.contains('\n'), "{problem}");
    }
}
