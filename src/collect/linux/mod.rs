//! What Linux tells through netlink and /proc.

mod activation;
mod ancestry;
mod bpf;
mod cgroup;
mod collection;
mod container_names;
pub mod control;
mod counters;
mod deadline;
pub mod descriptors;
mod forwards;
pub mod host;
pub mod kernel_socket;
mod native;
pub mod owners;
mod parallel;
pub mod probe;
mod proc_net;
mod process;
mod procfs;
mod redirects;
mod sock_diag;
pub mod spaces;
mod sysctl;
mod tables;
pub mod users;

pub use native::{snapshot, sockets};

/// The decoders of what the kernel says, for the fuzzers in `fuzz/`.
#[cfg(fuzzing)]
pub mod fuzzing {
    use crate::model::{Family, Protocol};

    /// A datagram of netlink.
    pub fn netlink(bytes: &[u8]) {
        for protocol in Protocol::ALL {
            super::sock_diag::decode::messages(bytes, protocol).for_each(drop);
        }
    }

    /// A table of `/proc/net`.
    pub fn proc_net(bytes: &[u8]) {
        for protocol in Protocol::ALL {
            for family in Family::ALL {
                super::proc_net::parse(bytes, protocol, family, &mut Vec::new());
            }
        }
    }
}
