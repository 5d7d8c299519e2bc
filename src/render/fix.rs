//! What helps against each cause, in words that can be followed.

use super::blocker;
use super::sanitize::{Charset, Text};
use crate::analyse::bind::Overlap;
use crate::analyse::cause::{Cause, Verdict};
use crate::model::{Caller, Platform, Port, Protocol, Row};

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
        Cause::Activation => match first.and_then(|row| row.socket.activation.as_ref()) {
            Some(activation) => {
                let units = std::iter::once(&activation.socket).chain(&activation.service);
                let units: Vec<String> = units.map(|unit| Text::of(unit, charset).into_string()).collect();
                format!("stop what systemd holds it for: systemctl stop {}", units.join(" "))
            }
            None => {
                "`systemctl list-sockets` names the unit that systemd holds it for; stop that .socket unit".to_owned()
            }
        },
        Cause::Bound => "its holder has not called listen(2) yet; it has to close the socket or to end".to_owned(),
        Cause::TimeWait => {
            let left = verdict.culprits().iter().filter_map(|blocker| blocker.row.socket.time_left).max();
            match left {
                Some(left) => format!("wait {} s, until the kernel has forgotten the connection", left.as_secs() + 1),
                None => "wait a minute, until the kernel has forgotten the connection".to_owned(),
            }
        }
        Cause::Client => match caller.platform {
            Platform::Linux => format!(
                "wait for the end of the connection; to keep the port from clients: sysctl \
                 net.ipv4.ip_local_reserved_ports={port}"
            ),
            _ => "wait for the end of the connection, or take a port outside of the ephemeral range".to_owned(),
        },
        Cause::Connection => "its server is gone and the connection is not: wait for its end".to_owned(),
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
        Cause::Redirected => {
            let container = verdict.judgement.redirects.iter().find_map(|row| container_of(row));
            match container {
                Some((runtime, name)) => {
                    format!("stop the container that publishes it: {runtime} stop {}", Text::of(name, charset).as_str())
                }
                None => {
                    "remove the rule that forwards it: `nft list ruleset` or `iptables-save -t nat` shows it".to_owned()
                }
            }
        }
        Cause::Unseen => match caller.platform {
            Platform::Linux => {
                "run again as root; if it stays, the holder may be outside of what any table shows".to_owned()
            }
            _ => "run again with more rights".to_owned(),
        },
        Cause::Other => return None,
    })
}

/// What ends a listener for good: whoever would restart it has to do it.
fn stop(row: &Row<'_>, udp: &str, platform: Platform, charset: Charset) -> String {
    if let Some((runtime, name)) = container_of(row) {
        return format!("stop its container: {runtime} stop {}", Text::of(name, charset).as_str());
    }
    if let Some(services) = row.unit().filter(|_| platform == Platform::Windows) {
        // To end their process would end them all, and Windows starts it again.
        let what = if services.contains(", ") { "one of its services has it, stop that" } else { "stop its service" };
        return format!("{what}: sc.exe stop {}", Text::of(services, charset).as_str());
    }
    let container = row.belonging.and_then(|belonging| belonging.container.as_ref());
    // The unit around a container of systemd-nspawn runs nothing else; that around another may run all of them.
    if let Some(container) = container.filter(|container| container.runtime != "nspawn" || row.unit().is_none()) {
        let name = Text::of(container.short_name(), charset);
        return format!(
            "stop {} in its container ({} {}), or the container with its own tools",
            blocker::name(row, charset),
            container.runtime,
            name.as_str()
        );
    }
    match row.unit().filter(|unit| unit.ends_with(".service") && !unit.starts_with("user@")) {
        Some(unit) => format!("stop its unit: systemctl stop {}", Text::of(unit, charset).as_str()),
        None => format!("stop {}: portscope kill{udp} {}", blocker::name(row, charset), row.socket.local.port),
    }
}

/// The container that a socket belongs to or leads to, with the command that stops it.
fn container_of<'a>(row: &Row<'a>) -> Option<(&'static str, &'a str)> {
    let forwarded = row.socket.forward.as_ref();
    let container = forwarded
        .and_then(|forward| forward.container.as_ref())
        .or_else(|| row.belonging.and_then(|belonging| belonging.container.as_ref()))?;
    matches!(container.runtime, "docker" | "podman").then(|| (container.runtime, container.short_name()))
}

/// Which option of the socket would help.
fn of_options(cause: Cause, verdict: &Verdict<'_>) -> Vec<String> {
    let mut fixes = Vec::new();
    if verdict.with_reuseaddr == Some(Ok(())) {
        fixes.push(match cause {
            Cause::TimeWait => "set SO_REUSEADDR before bind(2), as servers do: it succeeds now".to_owned(),
            _ => "SO_REUSEADDR before bind(2) lets it succeed now".to_owned(),
        });
    }
    if verdict.with_reuseport == Some(Ok(())) && cause != Cause::TimeWait {
        fixes.push(
            "SO_REUSEPORT before bind(2) lets it share the port: its holder has set it too, as the same user"
                .to_owned(),
        );
    }
    let culprits = verdict.culprits();
    if verdict.is_only_in_the_way_by_dual_stack() {
        fixes.push("set IPV6_V6ONLY: only the IPv4 half of :: is taken".to_owned());
    } else if culprits.first().is_some_and(|blocker| blocker.overlap == Overlap::TheirDualStack) {
        fixes.push("let the holder of :: set IPV6_V6ONLY, so that it leaves IPv4 alone".to_owned());
    } else if culprits.first().is_some_and(|blocker| blocker.overlap == Overlap::Covers) {
        fixes.push("bind one address that is not taken instead of every one".to_owned());
    }
    fixes
}
