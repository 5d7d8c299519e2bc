//! Facts from Linux, through netlink and /proc.

mod activation;
mod ancestry;
mod bpf;
mod cgroup;
mod cgroup_names;
mod choose;
mod collection;
mod container_names;
pub mod control;
mod counters;
mod deadline;
pub mod descriptors;
mod events;
mod executable;
mod forwards;
pub mod holdings;
mod homes;
pub mod host;
pub mod kernel_socket;
mod mountinfo;
mod native;
mod netlink;
mod opened;
pub mod owners;
pub mod probe;
mod proc_net;
mod process;
mod process_files;
pub mod procfs;
mod reading;
mod redirects;
mod sock_diag;
pub mod spaces;
mod sysctl;
mod tables;
mod uncounted;
pub mod users;
pub mod whose;

pub use events::start as events;
pub use native::{snapshot, sockets};
pub use users::named as users_named;

/// The readers of what the kernel and the firewall's tools write.
#[cfg(any(feature = "fuzzing", test))]
pub mod fuzzing {
    use crate::model::{Family, Protocol};

    /// Reads a datagram of netlink.
    pub fn netlink(bytes: &[u8]) {
        for protocol in Protocol::ALL {
            super::sock_diag::decode::messages(bytes, protocol).for_each(drop);
        }
    }

    /// Reads a table of `/proc/net`.
    pub fn proc_net(bytes: &[u8]) {
        for protocol in Protocol::ALL {
            for family in Family::ALL {
                super::proc_net::parse(bytes, protocol, family, &mut Vec::new());
            }
        }
    }

    /// Reads `/proc/PID/cgroup`.
    pub fn cgroup(bytes: &[u8]) {
        let _ = super::cgroup::of_process(bytes);
    }

    /// Reads `/proc/PID/mountinfo`.
    pub fn mountinfo(bytes: &[u8]) {
        super::mountinfo::parse(bytes).for_each(|mount| drop(mount.point()));
        super::cgroup_names::fuzzing::mountinfo(bytes);
    }

    /// Reads `/proc/PID/stat` and `/proc/PID/status`.
    pub fn process(bytes: &[u8]) {
        super::process_files::fuzzing::files(bytes);
        super::whose::fuzzing::files(bytes);
    }

    /// Reads `/proc/net/protocols`.
    pub fn protocols(bytes: &[u8]) {
        let _ = super::uncounted::parse(bytes);
    }

    /// Reads what the BPF programs record.
    pub fn bpf_records(bytes: &[u8]) {
        super::events::fuzzing::records(bytes);
        super::owners::fuzzing::records(bytes);
        super::homes::fuzzing::records(bytes);
    }

    /// Reads the kernel's description of its types.
    pub fn btf(bytes: &[u8]) {
        super::events::fuzzing::types(bytes);
        super::owners::fuzzing::types(bytes);
        super::homes::fuzzing::types(bytes);
    }

    /// Reads `/proc/net/ip_vs`.
    pub fn ipvs(bytes: &[u8]) {
        super::redirects::fuzzing::ipvs(bytes);
    }

    /// Reads what `nft --json` prints.
    pub fn nft(bytes: &[u8]) {
        let _ = super::redirects::nft::parse(bytes, &std::collections::BTreeSet::new());
    }

    /// Reads what `iptables-save` and `ip6tables-save` print.
    pub fn iptables(bytes: &[u8]) {
        for family in Family::ALL {
            let _ = super::redirects::iptables::parse(bytes, family);
        }
    }
}
