//! The table of factories: name, keys, function.

use std::ffi::OsStr;

use super::keys::Keys;
use super::made::Made;
use super::outcome::{Failure, Outcome};
use super::stage::Stage;
use super::{churn, devices, flight, many, mptcp, names, share, spaces, states, tcp, threads, udp, users};

/// One kind of thing to make.
pub struct Factory {
    pub name: &'static str,
    pub keys: &'static [&'static str],
    pub make: fn(&Keys, &mut Stage) -> Outcome<Made>,
}

const fn factory(
    name: &'static str,
    keys: &'static [&'static str],
    make: fn(&Keys, &mut Stage) -> Outcome<Made>,
) -> Factory {
    Factory { name, keys, make }
}

/// Every factory that `--list` names.
pub const ALL: &[Factory] = &[
    factory("tcp4", &["address", "port", "backlog"], tcp::tcp4),
    factory("tcp6", &["address", "port", "backlog"], tcp::tcp6),
    factory("tcp-dual", &["address", "port", "backlog"], tcp::dual),
    factory("tcp-v6only", &["address", "port", "backlog"], tcp::v6only),
    factory("tcp-mapped", &["address", "port", "backlog"], tcp::mapped),
    factory("tcp-loopback-any", &["address", "port", "backlog"], tcp::loopback_any),
    factory("tcp-autobound", &[], tcp::autobound),
    factory("bound", &["address", "port"], tcp::bound),
    factory("device", &["dev", "address", "port"], tcp::device),
    factory("established", &["address", "port", "backlog"], states::established),
    factory("unaccepted", &["n", "address", "port"], states::unaccepted),
    factory("time-wait", &["side", "address", "port"], states::time_wait),
    factory("fin-wait2", &["by", "address", "port"], states::fin_wait2),
    factory("syn-recv", &["address", "port"], states::syn_recv),
    factory("syn-sent", &["address", "port"], states::syn_sent),
    factory("orphan", &["address", "port"], states::orphan),
    factory("udp4", &["address", "port"], udp::udp4),
    factory("udp6", &["address", "port"], udp::udp6),
    factory("udp-dual", &["address", "port"], udp::dual),
    factory("udp-connected", &["address", "port"], udp::connected),
    factory("udp-autobound", &["address", "port"], udp::autobound),
    factory("udp-bind0", &["address"], udp::bind0),
    factory("udplite", &["address", "port"], udp::udplite),
    factory("raw-icmp", &[], udp::raw_icmp),
    factory("fork", &["n", "address", "port"], share::fork),
    factory("reuseport", &["n", "address", "port"], share::reuseport),
    factory("reuseport-same", &["n", "address", "port"], share::reuseport_same),
    factory("dup", &["n", "address", "port"], share::dup),
    factory("many-fds", &["n", "kind", "address"], many::many_fds),
    factory("thread-private", &["address", "port"], threads::private),
    factory("zombie-leader", &["address", "port"], threads::zombie_leader),
    factory("d-state", &["address", "port"], threads::d_state),
    factory("scm", &["address", "port"], flight::scm),
    factory("io-uring", &["address", "port"], flight::io_uring),
    factory("mptcp", &["subflows", "plain"], mptcp::mptcp),
    factory("setuid-drop", &["uid", "address", "port"], users::setuid_drop),
    factory("uid-listener", &["uid", "address", "port"], users::uid_listener),
    factory("activation", &["address", "port"], users::activation),
    factory("deleted-exe", &[], names::deleted_exe),
    factory("memfd-exe", &[], names::memfd_exe),
    factory("evil-comm", &["name", "address", "port"], names::comm),
    factory("evil-argv", &[], names::argv),
    factory("evil-exe", &["folder", "name"], names::exe),
    factory("two-devices", &["address", "port"], devices::two_devices),
    factory("for-lo", &["address", "port"], devices::for_lo),
    factory("link-local", &["port"], devices::link_local),
    factory("vxlan", &[], devices::vxlan),
    factory("netns", &["n", "address", "port"], spaces::netns_each),
    factory("foreign-netns", &["address", "port"], spaces::foreign_netns),
    factory("pidns", &["proc", "address", "port"], spaces::pidns),
    factory("churn", &["kind", "lifetime_ms", "gap_ms", "batch", "address"], churn::churn),
];

pub fn find(name: &OsStr) -> Outcome<&'static Factory> {
    ALL.iter()
        .find(|factory| name == factory.name)
        .ok_or_else(|| Failure::Error(format!("`{}` is not a factory: see mkports --list", name.to_string_lossy())))
}
