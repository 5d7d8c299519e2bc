//! What to do about a finding, in words that can be followed.

use std::path::Path;

use crate::analyse::audit::{Fact, Finding, Reservation, Subject, Unseen, is_elsewhere};
use crate::model::{PortRange, Row, Snapshot};
use crate::render::words::finding::look;
use crate::render::words::summary;

const AS_ROOT: &str = "run portscope as root";

/// Says what to do. `program` is this program's own path, for hints.
pub fn remedy(finding: &Finding<'_>, snapshot: &Snapshot, program: Option<&Path>) -> String {
    let of_row = match finding.subject {
        Subject::Socket(row) => of_socket(finding, row),
        Subject::Policy { .. } | Subject::Run => None,
    };
    of_row.unwrap_or_else(|| of_rule_or_run(finding, snapshot, program))
}

fn of_socket(finding: &Finding<'_>, row: &Row<'_>) -> Option<String> {
    let port = row.socket.local.port;
    Some(match &finding.fact {
        Fact::Service { .. } => format!(
            "bind it to 127.0.0.1, or to an address that only its clients can reach, and turn on authentication or TLS; \
             to see its owner: {}",
            look::command(row)
        ),
        Fact::UnknownPrograms { .. } => format!(
            "find out what it is: {}; if it is expected, add to the policy an [[allow]] with port = {port}, its exe, and \
             suppress = [\"{}\"]",
            look::command(row),
            finding.rule.id
        ),
        Fact::Person(_) => "run the service as root or as a system user, or move it to a port above 1023; see \
                            net.ipv4.ip_unprivileged_port_start and the file's capabilities (getcap)"
            .to_owned(),
        Fact::Shared { .. } => format!("find out which of them belongs there: {}", look::command(row)),
        Fact::OpenOverIpv6 { .. } => {
            "bind its IPv6 socket to ::1, or turn IPv6 off for it; an IPv4 firewall does not cover it".to_owned()
        }
        Fact::InMemory(_) | Fact::Replaceable { .. } => {
            "find out who started it; a service belongs in a directory that \
                                                         only root can write to, such as /usr or /opt"
                .to_owned()
        }
        Fact::Deleted(_) => "restart it if it was upgraded; if it was not, find out who started it".to_owned(),
        Fact::Ephemeral { reservation, .. } => reserve(reservation, row),
        Fact::Queue(_) => {
            "check whether the program hangs; if not, give it a longer backlog and raise net.core.somaxconn".to_owned()
        }
        Fact::Published => format!(
            "publish it on loopback only (docker run -p 127.0.0.1:{port}:…), or filter forwarded packets (the DOCKER-USER \
             chain); ufw, firewalld and INPUT rules do not stop it"
        ),
        Fact::Forbidden(_) => "stop it, or change the rule".to_owned(),
        Fact::Unlisted(Some(_)) => "stop it, or name its exe and user in the rule instead".to_owned(),
        Fact::Unlisted(None) => {
            "stop it, or add an [[allow]] for it; `portscope audit --init` prints examples".to_owned()
        }
        Fact::Unclear(_, _, Unseen::Owner) => AS_ROOT.to_owned(),
        Fact::Unclear(_, _, Unseen::OwnNamespace) => {
            "name its user and container in the rule instead of exe".to_owned()
        }
        Fact::Unclear(_, _, Unseen::Executable) => "inspect the process".to_owned(),
        _ => return None,
    })
}

fn of_rule_or_run(finding: &Finding<'_>, snapshot: &Snapshot, program: Option<&Path>) -> String {
    let of_gap = |gap: &crate::model::Gap| summary::hint(gap.reason(), snapshot, program);
    let otherwise = || "check by other means what could not be seen".to_owned();
    match &finding.fact {
        Fact::HiddenOwners { gap: Some(gap), .. } | Fact::Unseen(gap) => of_gap(gap).unwrap_or_else(otherwise),
        Fact::NoExecutable { first, .. } => format!("inspect the process: {}", look::command(first.0)),
        Fact::FurtherSpaces(_) => "use --space all to include every port space".to_owned(),
        Fact::Expired(..) => "renew it, or remove it".to_owned(),
        Fact::AnyUser(_) => "add `user` to the rule".to_owned(),
        Fact::Missing(_) => "start it, or change the rule".to_owned(),
        _ => AS_ROOT.to_owned(),
    }
}

/// What keeps connections from getting the ports.
fn reserve(reservation: &Reservation, row: &Row<'_>) -> String {
    let list = |ranges: &[PortRange]| ranges.iter().map(PortRange::to_string).collect::<Vec<_>>().join(",");
    match reservation {
        Reservation::TooMany => {
            "move net.ipv4.ip_local_port_range away from the listeners: it contains too many of them \
                                 to reserve each port"
                .to_owned()
        }
        Reservation::Add(ports) => {
            format!("add {} to net.ipv4.ip_local_reserved_ports; its current value could not be read", list(ports))
        }
        Reservation::Set(ports) => {
            let command = format!("sysctl -w net.ipv4.ip_local_reserved_ports={}", list(ports));
            if is_elsewhere(row) {
                let space = look::name(row.space);
                format!("inside port space {space}, since each has its own list (nsenter --net): {command}")
            } else {
                command
            }
        }
    }
}
