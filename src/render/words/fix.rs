//! What helps against each cause, in words that can be followed.
//!
//! A line of advice may hold a command, so it never repeats what a process calls itself: `stop $(id): portscope kill 80`
//! would be run by who copies it whole.

use std::net::IpAddr;

use crate::analyse::bind::{Blocker, Overlap};
use crate::analyse::cause::{Cause, Outcome, Verdict};
use crate::analyse::kill::activated;
use crate::model::{
    Belonging, Caller, Container, Endpoint, Managed, Owner, Platform, Port, Protocol, Row, StoppedBy, Uid,
};
use crate::render::text::safe::{Charset, Text};

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

/// The advice that always helps.
fn another_port(port: Port) -> String {
    format!("use another port: portscope free --near {port}")
}

fn of_cause(cause: Cause, verdict: &Verdict<'_>, caller: Caller, charset: Charset) -> Option<String> {
    let port = verdict.bind.port;
    let first = verdict.culprits().first().map(|blocker| blocker.row);
    let udp = if verdict.bind.protocol == Protocol::Udp { " -u" } else { "" };
    Some(match cause {
        Cause::Listener => return first.map(|row| stop(row, udp, caller.platform, charset)),
        Cause::Connection => return first.map(|row| end(row, udp, caller.platform, charset)),
        Cause::Activation => match first.and_then(|row| row.socket.activation()) {
            Some(_) if !activated(first?).is_empty() => {
                let lines: Vec<String> = activated(first?).iter().map(Managed::stop_line).collect();
                format!("stop the unit that systemd holds it for: {}", lines.join("; "))
            }
            _ => "find the .socket unit that systemd holds it for with `systemctl list-sockets`, and stop that unit"
                .to_owned(),
        },
        Cause::Bound => "the process that bound it is not listening; it must close the socket or exit".to_owned(),
        Cause::TimeWait => {
            let left = verdict.culprits().iter().filter_map(|blocker| blocker.row.socket.time_left()).max();
            match left {
                Some(left) => format!("wait {} s for the kernel to release the connection", left.as_secs() + 1),
                None => "wait a minute for the kernel to release the connection".to_owned(),
            }
        }
        Cause::Client => {
            let row = first?;
            let end = end(row, udp, caller.platform, charset);
            let is_held = !matches!(row.socket.owner, Owner::Nobody(_));
            let end = if is_held { format!("wait until the program closes it, or {end}") } else { end };
            match caller.platform {
                Platform::Linux => {
                    format!(
                        "{end}; to keep the kernel from giving the port to clients: sysctl net.ipv4.ip_local_reserved_ports={port}"
                    )
                }
                _ => format!("{end}; or use a port outside the ephemeral range"),
            }
        }
        Cause::Privileged if verdict.outcome == Outcome::Unknown => {
            "try a real bind: run `portscope check` without --no-probe as the user in question".to_owned()
        }
        Cause::Privileged => match caller.platform {
            Platform::Linux => format!(
                "grant the program the capability: AmbientCapabilities=CAP_NET_BIND_SERVICE in its unit, or `setcap \
                 cap_net_bind_service=+ep FILE`; or allow it for every program: sysctl \
                 net.ipv4.ip_unprivileged_port_start={port}"
            ),
            _ => "run the program as root, or use a port above 1023".to_owned(),
        },
        Cause::Excluded => {
            let protocol = verdict.bind.protocol.name();
            format!(
                "`netsh interface ipv4 show excludedportrange protocol={protocol}` lists the excluded ranges; those of \
                 Hyper-V, WSL and Docker move after `net stop winnat` and `net start winnat` as Administrator"
            )
        }
        Cause::AddressNotHere => match caller.platform {
            Platform::Linux => "`ip address` lists the addresses of this host; IP_FREEBIND or sysctl \
                                net.ipv4.ip_nonlocal_bind=1 (net.ipv6 for IPv6) allows others"
                .to_owned(),
            _ => "bind an address of one of this host's interfaces".to_owned(),
        },
        Cause::NoFamily => "this system does not support that address family".to_owned(),
        Cause::NoDevice => "`ip link` lists the interfaces".to_owned(),
        Cause::Multicast => "use UDP (`portscope check -u`), or an address of this host".to_owned(),
        Cause::Redirected => {
            let container = verdict.judgement.redirects.iter().find_map(|row| container_of(row));
            match container {
                Some(managed) => format!("stop the container that publishes it: {}", managed.stop_line()),
                None => "remove the rule that forwards it: see `nft list ruleset` or `iptables-save -t nat`".to_owned(),
            }
        }
        Cause::Unseen => match (caller.platform, caller.uid) {
            (Platform::Linux, uid) => {
                let as_root = if uid == Some(Uid(0)) { "" } else { " as root" };
                format!(
                    "try again{as_root}: the owner may be short-lived; if it stays, the port may be bound but not listening, \
                     which only Linux 6.8 and later reports, and not with --backend portable"
                )
            }
            (_, Some(Uid(0))) => "try again: the owner may be short-lived".to_owned(),
            _ => "try again with more privileges".to_owned(),
        },
        Cause::Other => {
            let is_mapped = |address: IpAddr| address.to_canonical() != address;
            return (verdict.bind.v6only && is_mapped(verdict.bind.address))
                .then(|| "leave IPV6_V6ONLY unset: the address is an IPv4-mapped IPv6 address".to_owned());
        }
    })
}

/// What ends a connection that keeps its port.
fn end(row: &Row<'_>, udp: &str, platform: Platform, charset: Charset) -> String {
    let port = row.socket.local.port;
    match row.socket.owner {
        Owner::Nobody(_) if platform == Platform::Linux => format!(
            "no process holds it anymore: wait for the kernel to finish it, or destroy it: portscope \
             close{udp} --clients {port}"
        ),
        Owner::Nobody(_) => "no process holds it anymore: wait for the system to finish it".to_owned(),
        Owner::Hidden(_) => by_manager(row, platform, charset).unwrap_or_else(|| find_out(row, udp)),
        Owner::Processes(_) => by_manager(row, platform, charset).unwrap_or_else(|| {
            let local = row.socket.local.address;
            let is_here = |peer: Endpoint| peer.address.to_canonical().is_loopback() || peer.address == local;
            let both =
                if row.socket.peer.is_some_and(is_here) { " (this includes the process at the other end)" } else { "" };
            format!("stop it: portscope kill{udp} --clients {port}{both}")
        }),
    }
}

/// What ends a listener for good.
fn stop(row: &Row<'_>, udp: &str, platform: Platform, charset: Charset) -> String {
    by_manager(row, platform, charset).unwrap_or_else(|| match row.socket.owner {
        Owner::Hidden(_) => find_out(row, udp),
        _ => format!("stop it: portscope kill{udp} {}", row.socket.local.port),
    })
}

/// Says how to find a hidden owner, which has to be known before it can be stopped.
fn find_out(row: &Row<'_>, udp: &str) -> String {
    let port = row.socket.local.port;
    format!("find out which process holds it: portscope{udp} {port} shows why it is hidden and how to see it")
}

/// The command that makes the manager of the owner stop it, so that it is not started again.
fn by_manager(row: &Row<'_>, platform: Platform, charset: Charset) -> Option<String> {
    if let Some(managed) = container_of(row) {
        return Some(format!("stop its container: {}", managed.stop_line()));
    }
    if let Some(services) = row.unit().filter(|_| platform == Platform::Windows) {
        // To end their process would end them all, and Windows starts it again.
        let what =
            if services.contains(", ") { "stop the one of its services that has it" } else { "stop its service" };
        let services: Vec<&str> = services.split(", ").collect();
        let is_plain = |name: &&str| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
        };
        return services.iter().all(is_plain).then(|| format!("{what}: sc.exe stop {}", services.join(", ")));
    }
    let container = row.belonging().and_then(Belonging::to_stop);
    // The unit around a container of systemd-nspawn runs nothing else; that around another may run all of them.
    if let Some(container) = container
        .and_then(Container::proved)
        .map(|proved| proved.get())
        .filter(|container| container.runtime.stopped_by() != StoppedBy::Unit || row.unit().is_none())
    {
        let name = Text::of(container.short_name(), charset);
        return Some(format!(
            "stop it inside its container ({} {}), or stop the container with its own tools",
            container.runtime.name(),
            name.as_str()
        ));
    }
    let service = Managed::service(row.belonging()?)?;
    Some(format!("stop its unit: {}", service.stop_line()))
}

/// The container that a socket leads to, by its runtime's word, or belongs to.
fn container_of(row: &Row<'_>) -> Option<Managed> {
    let forwarded = row.socket.forward().and_then(|forward| forward.container.as_ref());
    let own = || row.belonging().and_then(Belonging::to_stop);
    Managed::container(&forwarded.or_else(own)?.proved()?)
}

/// Which option of the socket would help.
fn of_options(cause: Cause, verdict: &Verdict<'_>) -> Vec<String> {
    let mut fixes = Vec::new();
    let is_udp = verdict.bind.protocol.is_datagram();
    let is_group = verdict.bind.address.is_multicast();
    let takes_over = is_udp && !is_group && !verdict.judgement.beside.is_empty();
    if verdict.with_reuseaddr == Some(Ok(())) {
        // The last program to bind gets the datagrams, so this would take them from the other one.
        fixes.extend(
            (!takes_over).then(|| "set SO_REUSEADDR before bind, as servers do: the bind then succeeds".to_owned()),
        );
    }
    if verdict.with_reuseport == Some(Ok(())) && cause != Cause::TimeWait {
        fixes.push(
            "set SO_REUSEPORT before bind to share the port with its owner, which has set it too and runs as the same \
             user: the kernel distributes traffic between the two"
                .to_owned(),
        );
    }
    let culprits = verdict.culprits();
    if verdict.is_only_in_the_way_by_dual_stack() {
        fixes.push("set IPV6_V6ONLY: only the IPv4 half of :: is in use".to_owned());
    } else if culprits.first().is_some_and(|blocker| blocker.overlap == Overlap::TheirDualStack) {
        fixes.push("set IPV6_V6ONLY in the program that is bound to ::, so that it leaves IPv4 alone".to_owned());
    } else if culprits.first().is_some_and(|blocker| blocker.overlap == Overlap::TheirFormerDualStack) {
        fixes.push("set IPV6_V6ONLY in that program before it connects, so that it leaves IPv4 alone".to_owned());
    }
    let covers = |blocker: &Blocker<'_>| matches!(blocker.overlap, Overlap::Covers | Overlap::TheirFormerDualStack);
    if verdict.bind.address.is_unspecified() && culprits.first().is_some_and(covers) {
        fixes.push("bind one address that is free instead of every address".to_owned());
    }
    fixes
}
