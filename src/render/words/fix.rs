//! What helps against each cause, in words that can be followed.

use std::net::IpAddr;

use crate::analyse::bind::{Blocker, Overlap};
use crate::analyse::cause::{Cause, Outcome, Verdict};
use crate::analyse::kill::activated;
use crate::model::{Belonging, Caller, Endpoint, Managed, Owner, Platform, Port, Protocol, Row, StoppedBy, Uid};
use crate::render::text::safe::{Charset, Text};
use crate::render::words::blocker;

/// What helps, the best first; empty where nothing is wrong.
pub fn fixes(verdict: &Verdict<'_>, caller: Caller, charset: Charset) -> Vec<String> {
    let Some(cause) = verdict.cause.filter(|_| !verdict.is_beside_the_point()) else { return Vec::new() };
    let port = verdict.bind.port;
    let mut fixes = Vec::new();
    if let Some(squatter) = verdict.squatter(caller.platform) {
        fixes.push(format!("it is {}: {}", squatter.what, squatter.fix));
    } else {
        fixes.extend(of_cause(cause, verdict, caller, charset));
    }
    fixes.extend(of_options(cause, verdict));
    if matches!(
        cause,
        Cause::Listener
            | Cause::Activation
            | Cause::Bound
            | Cause::Client
            | Cause::Connection
            | Cause::Excluded
            | Cause::Redirected
            | Cause::Unseen
    ) {
        fixes.push(another_port(port));
    }
    fixes
}

/// The advice that always helps, and that people like least.
fn another_port(port: Port) -> String {
    format!("take another port: portscope free --near {port}")
}

fn of_cause(cause: Cause, verdict: &Verdict<'_>, caller: Caller, charset: Charset) -> Option<String> {
    let port = verdict.bind.port;
    let first = verdict.culprits().first().map(|blocker| blocker.row);
    let udp = if verdict.bind.protocol == Protocol::Udp { " -u" } else { "" };
    Some(match cause {
        Cause::Listener => return first.map(|row| stop(row, udp, caller.platform, charset)),
        Cause::Connection => return first.map(|row| end(row, udp, caller.platform, charset)),
        Cause::Activation => match first.and_then(|row| row.socket.activation.as_ref()) {
            Some(_) if !activated(first?).is_empty() => {
                let lines: Vec<String> = activated(first?).iter().map(Managed::stop_line).collect();
                format!("stop what systemd holds it for: {}", lines.join("; "))
            }
            _ => "`systemctl list-sockets` names the unit that systemd holds it for; stop that .socket unit".to_owned(),
        },
        Cause::Bound => "its holder has not called listen(2) yet; it has to close the socket or to end".to_owned(),
        Cause::TimeWait => {
            let left = verdict.culprits().iter().filter_map(|blocker| blocker.row.socket.time_left()).max();
            match left {
                Some(left) => format!("wait {} s, until the kernel has forgotten the connection", left.as_secs() + 1),
                None => "wait a minute, until the kernel has forgotten the connection".to_owned(),
            }
        }
        Cause::Client => {
            let row = first?;
            let end = end(row, udp, caller.platform, charset);
            let is_held = !matches!(row.socket.owner, Owner::Nobody(_));
            let end = if is_held { format!("wait until its program closes it, or {end}") } else { end };
            match caller.platform {
                Platform::Linux => {
                    format!("{end}; to keep the port from clients: sysctl net.ipv4.ip_local_reserved_ports={port}")
                }
                _ => format!("{end}; or take a port outside of the ephemeral range"),
            }
        }
        Cause::Privileged if verdict.outcome == Outcome::Unknown => {
            "let a real bind tell: `portscope check` without --no-probe, run by the user who asks".to_owned()
        }
        Cause::Privileged => match caller.platform {
            Platform::Linux => format!(
                "give the program the right: AmbientCapabilities=CAP_NET_BIND_SERVICE in its unit, or `setcap \
                 cap_net_bind_service=+ep FILE`; or for everybody: sysctl net.ipv4.ip_unprivileged_port_start={port}"
            ),
            _ => "run the program as root, or take a port from 1024 on".to_owned(),
        },
        Cause::Excluded => {
            let protocol = verdict.bind.protocol.name();
            format!(
                "`netsh interface ipv4 show excludedportrange protocol={protocol}` lists the ranges set apart; those of \
                 Hyper-V, WSL and Docker move when `net stop winnat` and `net start winnat` run as Administrator"
            )
        }
        Cause::AddressNotHere => match caller.platform {
            Platform::Linux => "`ip address` lists those that are here; IP_FREEBIND or sysctl \
                                net.ipv4.ip_nonlocal_bind=1 (net.ipv6 for IPv6) allow others"
                .to_owned(),
            _ => "bind an address of one of this host's interfaces".to_owned(),
        },
        Cause::NoFamily => "this system does not do that family".to_owned(),
        Cause::NoDevice => "`ip link` lists the interfaces".to_owned(),
        Cause::Multicast => "take UDP (`portscope check -u`), or an address of this host".to_owned(),
        Cause::Redirected => {
            let container = verdict.judgement.redirects.iter().find_map(|row| container_of(row));
            match container {
                Some(managed) => format!("stop the container that publishes it: {}", managed.stop_line()),
                None => {
                    "remove the rule that forwards it: `nft list ruleset` or `iptables-save -t nat` shows it".to_owned()
                }
            }
        }
        Cause::Unseen => match (caller.platform, caller.uid) {
            (Platform::Linux, uid) => {
                let as_root = if uid == Some(Uid(0)) { "" } else { " as root" };
                format!(
                    "run again{as_root}: a holder may come and go; one that stays may be bound without listening, which \
                     only Linux 6.8 and later tells, and not to --backend portable"
                )
            }
            (_, Some(Uid(0))) => "run again: a holder may come and go".to_owned(),
            _ => "run again with more rights".to_owned(),
        },
        Cause::Other => {
            let is_mapped = |address: IpAddr| address.to_canonical() != address;
            return (verdict.bind.v6only && is_mapped(verdict.bind.address))
                .then(|| "leave IPV6_V6ONLY unset: the address is one of IPv4 in its IPv6 form".to_owned());
        }
    })
}

/// What ends a connection that keeps its port.
fn end(row: &Row<'_>, udp: &str, platform: Platform, charset: Charset) -> String {
    let port = row.socket.local.port;
    match row.socket.owner {
        Owner::Nobody(_) if platform == Platform::Linux => format!(
            "no process holds it any more: wait until the kernel has finished it, or destroy it: portscope \
             close{udp} --clients {port}"
        ),
        Owner::Nobody(_) => "no process holds it any more: wait until the system has finished it".to_owned(),
        Owner::Hidden(_) => by_manager(row, platform, charset).unwrap_or_else(|| find_out(row, udp)),
        Owner::Processes(_) => by_manager(row, platform, charset).unwrap_or_else(|| {
            let local = row.socket.local.address;
            let is_here = |peer: Endpoint| peer.address.to_canonical().is_loopback() || peer.address == local;
            let both =
                if row.socket.peer.is_some_and(is_here) { " (it also means who has the other end here)" } else { "" };
            format!("stop {}: portscope kill{udp} --clients {port}{both}", blocker::name(row, charset))
        }),
    }
}

/// What ends a listener for good.
fn stop(row: &Row<'_>, udp: &str, platform: Platform, charset: Charset) -> String {
    by_manager(row, platform, charset).unwrap_or_else(|| match row.socket.owner {
        Owner::Hidden(_) => find_out(row, udp),
        _ => format!("stop {}: portscope kill{udp} {}", blocker::name(row, charset), row.socket.local.port),
    })
}

/// Nobody can be stopped who is not known.
fn find_out(row: &Row<'_>, udp: &str) -> String {
    let port = row.socket.local.port;
    format!("find out who holds it, to stop that: portscope{udp} {port} says why it is hidden, and what would show it")
}

/// How whoever would start the holder again is told to stop it.
fn by_manager(row: &Row<'_>, platform: Platform, charset: Charset) -> Option<String> {
    if let Some(managed) = container_of(row) {
        return Some(format!("stop its container: {}", managed.stop_line()));
    }
    if let Some(services) = row.unit().filter(|_| platform == Platform::Windows) {
        // To end their process would end them all, and Windows starts it again.
        let what = if services.contains(", ") { "one of its services has it, stop that" } else { "stop its service" };
        return Some(format!("{what}: sc.exe stop {}", Text::of(services, charset).as_str()));
    }
    let container = row.belonging.and_then(Belonging::to_stop);
    // The unit around a container of systemd-nspawn runs nothing else; that around another may run all of them.
    if let Some(container) =
        container.filter(|container| container.runtime.stopped_by() != StoppedBy::Unit || row.unit().is_none())
    {
        let name = Text::of(container.short_name(), charset);
        return Some(format!(
            "stop {} in its container ({} {}), or the container with its own tools",
            blocker::name(row, charset),
            container.runtime.name(),
            name.as_str()
        ));
    }
    let service = Managed::service(row.belonging?)?;
    Some(format!("stop its unit: {}", service.stop_line()))
}

/// The container that a socket leads to, by its runtime's word, or belongs to.
fn container_of(row: &Row<'_>) -> Option<Managed> {
    let forwarded = row.socket.forward.as_ref().and_then(|forward| forward.container.as_ref());
    let own = || row.belonging.and_then(Belonging::to_stop);
    Managed::container(forwarded.or_else(own)?)
}

/// Which option of the socket would help.
fn of_options(cause: Cause, verdict: &Verdict<'_>) -> Vec<String> {
    let mut fixes = Vec::new();
    let is_udp = verdict.bind.protocol.is_datagram();
    let is_group = verdict.bind.address.is_multicast();
    let takes_over = is_udp && !is_group && !verdict.judgement.beside.is_empty();
    if verdict.with_reuseaddr == Some(Ok(())) {
        // Whoever binds last gets the datagrams: that is no remedy but a theft.
        fixes.extend((!takes_over).then(|| "set SO_REUSEADDR before bind, as servers do: it succeeds now".to_owned()));
    }
    if verdict.with_reuseport == Some(Ok(())) && cause != Cause::TimeWait {
        fixes.push(
            "set SO_REUSEPORT before bind to share the port with its holder, which has set it too and runs as the same \
             user: the kernel divides what comes between the two"
                .to_owned(),
        );
    }
    let culprits = verdict.culprits();
    if verdict.is_only_in_the_way_by_dual_stack() {
        fixes.push("set IPV6_V6ONLY: only the IPv4 half of :: is taken".to_owned());
    } else if culprits.first().is_some_and(|blocker| blocker.overlap == Overlap::TheirDualStack) {
        fixes.push("let the holder of :: set IPV6_V6ONLY, so that it leaves IPv4 alone".to_owned());
    } else if culprits.first().is_some_and(|blocker| blocker.overlap == Overlap::TheirFormerDualStack) {
        fixes.push("let the holder set IPV6_V6ONLY before it connects, so that it leaves IPv4 alone".to_owned());
    }
    let covers = |blocker: &Blocker<'_>| matches!(blocker.overlap, Overlap::Covers | Overlap::TheirFormerDualStack);
    if verdict.bind.address.is_unspecified() && culprits.first().is_some_and(covers) {
        fixes.push("bind one address that is not taken instead of every one".to_owned());
    }
    fixes
}
