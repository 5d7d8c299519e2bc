//! What Linux tells through netlink and /proc.

mod cgroup;
mod crew;
pub mod entry;
pub mod host;
mod native;
pub mod owners;
mod proc_net;
mod process;
mod sock_diag;
pub mod spaces;
pub mod users;

pub use native::snapshot;
