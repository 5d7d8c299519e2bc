//! Who serves the well-known ports.

use std::collections::BTreeSet;

use super::fact::Fact;
use super::holders::{Program, exes};
use super::{Finding, Rule, table};
use crate::model::{Category, Row, SpaceKind, Uid};

/// A well-known port held by a program that is not known for its service.
pub fn unknown<'a>(rule: &'static Rule, open: &[&'a Row<'a>]) -> Vec<Finding<'a>> {
    let table: Vec<table::Known> = table::known().collect();
    let mut findings = Vec::new();
    for row in open.iter().filter(|row| row.category == Category::WellKnown) {
        let socket = row.socket;
        let is_it =
            |known: &&table::Known| known.protocol == socket.protocol && known.ports.contains(socket.local.port);
        let Some(known) = table.iter().find(is_it) else { continue };
        // Where the file is not known nothing can be said of it; that owners are hidden is a finding of its own.
        let exes = exes(row);
        let is_known =
            |exe: &Program| exe.known_name().is_some_and(|name| known.is_program(name) || table::is_stand_in(name));
        let strangers: BTreeSet<Program> = exes.into_iter().flatten().filter(|exe| !is_known(exe)).collect();
        if !strangers.is_empty() {
            findings.push(Finding::new(rule, row, Fact::UnknownPrograms { service: known.service, strangers }));
        }
    }
    findings
}

/// A well-known port held by a process of a person rather than of the system.
///
/// In the space of a container the numbers of users are the container's own and say nothing here.
pub fn of_user<'a>(rule: &'static Rule, open: &[&'a Row<'a>]) -> Vec<Finding<'a>> {
    let mut findings = Vec::new();
    for row in open.iter().filter(|row| row.category == Category::WellKnown && row.space.kind != SpaceKind::Container) {
        let held_by = row.processes.iter().filter_map(|(_, process)| process.and_then(|process| process.uid));
        let made_by = row.socket.uid.filter(|_| row.processes.is_empty());
        let people: BTreeSet<Uid> = held_by.chain(made_by).filter(|uid| is_of_person(*uid, row)).collect();
        let Some(person) = people.first() else { continue };
        findings.push(Finding::new(rule, row, Fact::Person(*person)));
    }
    findings
}

/// The numbers that are given to people: from 1000, without those of systemd's dynamic users and of nobody. Above are those
/// of directories (LDAP, Active Directory), which have a name, and those of containers, which have none, or one that
/// begins with `vu-`. Source: login.defs(5), systemd.io/UIDS-GIDS, nss-mymachines(8).
fn is_of_person(uid: Uid, row: &Row<'_>) -> bool {
    match uid.0 {
        1000..=60513 => true,
        65536.. => row.user_name(uid).is_some_and(|name| !name.starts_with("vu-")),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Host;
    use super::*;
    use crate::model::Protocol;

    #[test]
    fn a_program_that_is_not_known_for_the_port_is_found() {
        let at = |local: &str, exe: &str| Host::new().listens(local, exe, 0);
        at("0.0.0.0:22", "/opt/backdoor").is_found_by("unknown-program", "medium tcp 0.0.0.0:22: 22 is the ssh port");
        at("127.0.0.1:80", "/usr/bin/python3.11").is_found_by("unknown-program", "medium");
        at("0.0.0.0:22", "/opt/sshd2").is_found_by("unknown-program", "medium");
        for (local, exe) in [
            ("0.0.0.0:22", "/usr/sbin/sshd"),
            ("0.0.0.0:22", "/usr/sbin/sshd (deleted)"),
            ("0.0.0.0:443", "/opt/nginx/sbin/nginx"),
            ("0.0.0.0:80", "/usr/bin/docker-proxy"),
            ("0.0.0.0:22", "/usr/lib/systemd/systemd"),
            ("0.0.0.0:22", ""),
            ("0.0.0.0:4", "/opt/own"),
            ("0.0.0.0:8080", "/opt/own"),
        ] {
            at(local, exe).is_clean_for("unknown-program");
        }
        Host::new().hidden("0.0.0.0:22").is_clean_for("unknown-program");
    }

    #[test]
    fn the_protocol_counts_and_so_does_every_holder() {
        Host::new().receives("0.0.0.0:22", "/opt/own", 0).is_clean_for("unknown-program");
        Host::new().receives("0.0.0.0:53", "/opt/own", 0).is_found_by("unknown-program", "medium udp");
        let holders = [("/usr/sbin/sshd", 0), ("/opt/backdoor", 0)];
        let host = Host::new().socket(Protocol::Tcp, "0.0.0.0:22", &holders);
        host.is_found_by("unknown-program", "medium tcp 0.0.0.0:22: 22 is the ssh port, but /opt/backdoor is not");
    }

    #[test]
    fn a_process_of_a_person_on_a_port_of_the_system_is_found() {
        let at = |local: &str, uid: u32| Host::new().listens(local, "/usr/sbin/nginx", uid);
        at("0.0.0.0:80", 1000).is_found_by("user-on-system-port", "high tcp 0.0.0.0:80: 80 is a system port, but a");
        for (local, uid) in [
            ("0.0.0.0:80", 0),
            ("0.0.0.0:80", 999),
            ("0.0.0.0:80", 65534),
            ("0.0.0.0:80", 61184),
            ("0.0.0.0:80", 165_536),
            ("0.0.0.0:1024", 1000),
        ] {
            at(local, uid).is_clean_for("user-on-system-port");
        }
        for (name, is_found) in [("carol@example.org", true), ("vu-web-0", false)] {
            let mut named = at("0.0.0.0:80", 1_200_001);
            named.snapshot.users.insert(Uid(1_200_001), name.to_owned());
            assert_eq!(named.found_by("user-on-system-port").len(), usize::from(is_found), "{name}");
        }
        let mut contained = at("0.0.0.0:80", 1000);
        contained.snapshot.spaces[0].kind = SpaceKind::Container;
        contained.is_clean_for("user-on-system-port");
    }

    #[test]
    fn a_hidden_socket_counts_as_its_makers() {
        let mut host = Host::new().hidden("0.0.0.0:80");
        host.is_clean_for("user-on-system-port");
        host.last().uid = Some(Uid(1000));
        host.is_found_by("user-on-system-port", "high");
    }
}
