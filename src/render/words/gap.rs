//! What a run could not see, in sentences. A gap is facts until it is shown; no sentence is ever read back.

use crate::model::{Coverage, Gap, HiddenBecause, RulesUnread};

/// Says what was not seen and why: `no permission to inspect 77 of 80 processes as uid 1000`.
pub fn sentence(gap: &Gap) -> String {
    match gap {
        Gap::HiddenOwners { because, coverage, .. } => match coverage {
            Some(coverage) => hidden_owners(*because, coverage),
            None => "the system reported no process for them".to_owned(),
        },
        Gap::MalformedLines { space, .. } => {
            format!("port space {space}: some lines of /proc/PID/net could not be parsed")
        }
        Gap::SocketTables { space, problem } => format!("port space {space}: {problem}"),
        Gap::SocketsOfOthers => "sockets of other users' processes are not reported".to_owned(),
        Gap::UnreadDescriptors { count } => {
            let were = if *count == 1 { "1 descriptor was" } else { &format!("{count} descriptors were") };
            format!("{were} closed during the scan or of an unknown kind")
        }
        Gap::ProtocolLeftOut { protocol } => format!("the report does not include {} sockets", protocol.name()),
        Gap::FamilyLeftOut { family } => format!("the report does not include {} sockets", family.name()),
        Gap::FilteredReport => "the report was written with filters".to_owned(),
        Gap::NetlinkRefused { space, problem, further_spaces } => with_further(
            format!(
                "port space {space}: {problem}; used /proc/PID/net instead, which does not report v6only, interfaces, \
                 accept queues, cookies, cgroups, or bound sockets that are not listening"
            ),
            *further_spaces,
        ),
        Gap::LimitsOfNetstat2 => {
            "netstat2 does not report v6only, interfaces, accept queues, cookies or bound sockets that \
                                  are not listening, nor that reading a socket table failed partway"
                .to_owned()
        }
        Gap::ClosedConnections => "connections that no process holds anymore (TIME_WAIT) are not reported".to_owned(),
        Gap::PortRangesNotAsked => "the dynamic range and excluded ports were not looked up".to_owned(),
        Gap::UdpRangeDiffers { first, last } => {
            format!("the dynamic range shown is for TCP; UDP uses {first}-{last}")
        }
        Gap::EphemeralRange { problem } => format!("the dynamic range is unknown: {problem}"),
        Gap::ReservedPorts { problem } => format!("the excluded ports are unknown: {problem}"),
        Gap::ClosedProcesses { count } => {
            let processes = if *count == 1 { "process" } else { "processes" };
            format!("no permission to read the executable, working directory and arguments of {count} {processes}")
        }
        Gap::UserNamesTooLate => "user names are unknown: the lookup timed out".to_owned(),
        Gap::NoThreadToAsk { problem } => {
            format!("user names and process arguments are unknown: cannot start a thread: {problem}")
        }
        Gap::UdpPeers { .. } => {
            "netstat2 does not report peers and states of UDP sockets: connected ones look unconnected".to_owned()
        }
        Gap::OtherSpaces { .. } => "only the port space (network namespace) that portscope runs in was read".to_owned(),
        Gap::SpacesNotFound { problem } => format!("other port spaces cannot be found: {problem}"),
        Gap::ClosedSpaces { perhaps_listed, refused, problem, .. } => {
            let helps = if *refused { "; requires CAP_SYS_ADMIN" } else { "" };
            let perhaps = "; some of them may already be listed under the name of a process";
            let perhaps = if *perhaps_listed { perhaps } else { "" };
            format!("mounted network namespaces cannot be entered ({problem}{helps}){perhaps}")
        }
        Gap::UnattendedSpaces { problem } => {
            format!("not all open files that keep port spaces alive were inspected: {problem}")
        }
        Gap::SpacesInFlight { count } => {
            let files = if *count == 1 { "1 open file is" } else { &format!("{count} open files are") };
            format!(
                "{files} being passed between processes, and a network namespace that only such a file keeps alive is \
                 not listed"
            )
        }
        Gap::UnlistedProtocol { space, protocol, count, .. } => {
            let sockets = if *count == 1 { "socket is" } else { "sockets are" };
            format!("port space {space}: {count} {protocol} {sockets} open, which portscope does not list")
        }
        Gap::SpacesOfHiddenProcesses => {
            "/proc hides other users' processes and the port spaces that they run in".to_owned()
        }
        Gap::Redirects { space, why, further_spaces } => {
            let rules = rules_unread(why);
            let of_space = space.as_ref().map_or(rules.clone(), |space| format!("port space {space}: {rules}"));
            with_further(of_space, *further_spaces)
        }
        Gap::ContainerNamesNotAsked => "containers are shown by ID, because their names were not looked up".to_owned(),
        Gap::ContainerNames { problem } => format!("container names are unknown: {problem}"),
        Gap::ServiceNames { problem } => format!("services cannot be listed: {problem}"),
        Gap::UdpTraffic { .. } => "the system does not count the bytes of UDP sockets".to_owned(),
        Gap::Traffic => "the bytes of connections are unknown: only Linux reports them, by netlink".to_owned(),
        Gap::RedactedPeers => "peers were left out (--redact)".to_owned(),
        Gap::RedactedUsers => "users were left out (--redact)".to_owned(),
    }
}

/// The sentences of these gaps in one line; nothing when there are none.
pub fn sentences<'a>(gaps: impl Iterator<Item = &'a Gap>) -> Option<String> {
    let sentences: Vec<String> = gaps.map(sentence).collect();
    (!sentences.is_empty()).then(|| sentences.join("; "))
}

fn with_further(sentence: String, further_spaces: usize) -> String {
    match further_spaces {
        0 => sentence,
        1 => format!("{sentence}; the same in 1 more port space"),
        more => format!("{sentence}; the same in {more} more port spaces"),
    }
}

fn hidden_owners(because: HiddenBecause, coverage: &Coverage) -> String {
    let Coverage { refused, uid, hidden_by_mount, problem, .. } = coverage;
    let all = coverage.processes();
    match because {
        HiddenBecause::Permission => {
            let user = uid.map(|uid| format!(" as uid {}", uid.0)).unwrap_or_default();
            let mount = hidden_by_mount.as_ref().map(|option| format!(", and /proc is mounted with {option}"));
            format!("no permission to inspect {refused} of {all} processes{user}{}", mount.unwrap_or_default())
        }
        HiddenBecause::Protected => format!(
            "not even root may inspect {refused} of {all} processes (requires CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH; \
             some systems protect process 1)"
        ),
        HiddenBecause::PidNamespace => {
            format!("this PID namespace has {all} processes; processes outside it cannot be seen")
        }
        HiddenBecause::NotFound => format!("none of {all} processes holds them: they may belong to the kernel"),
        HiddenBecause::NoProcesses => {
            format!("the processes could not be read: {}", problem.as_deref().unwrap_or("they were not looked up"))
        }
        HiddenBecause::Ambiguous => "the kernel gave the same inode to several sockets".to_owned(),
        HiddenBecause::Unsupported => "the system does not report them".to_owned(),
    }
}

fn rules_unread(why: &RulesUnread) -> String {
    match why {
        RulesUnread::NotWanted => {
            "ports forwarded without a socket were not looked for, because they were not requested".to_owned()
        }
        RulesUnread::Unsupported => "ports forwarded without a socket were not looked for".to_owned(),
        RulesUnread::NotAsked => "rules may forward ports without a socket; no program was run to read them".to_owned(),
        RulesUnread::TooLate => "rules may forward ports without a socket; there was no time to read them".to_owned(),
        RulesUnread::Refused { problem } | RulesUnread::Failed { problem } => {
            format!("ports forwarded without a socket were not looked for: {problem}")
        }
        RulesUnread::NotUnderstood { reasons } => {
            format!("not all firewall rules were understood: {}", reasons.join("; "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Uid;

    #[test]
    fn a_gap_without_its_user_names_no_number() {
        let coverage = Coverage { read: 20, refused: 70, uid: Some(Uid(1000)), ..Coverage::default() };
        let mut gap = Gap::HiddenOwners { because: HiddenBecause::Permission, count: 1, coverage: Some(coverage) };
        assert_eq!(sentence(&gap), "no permission to inspect 70 of 90 processes as uid 1000");
        gap.redact();
        assert_eq!(sentence(&gap), "no permission to inspect 70 of 90 processes");
    }

    #[test]
    fn what_several_spaces_miss_is_said_once() {
        let gap = |space: &str| Gap::Redirects {
            space: Some(space.to_owned()),
            why: RulesUnread::NotUnderstood { reasons: vec!["the target X is not known".to_owned()] },
            further_spaces: 0,
        };
        let mut first = gap("a");
        assert!(first.absorb(&gap("b")) && first.absorb(&gap("c")));
        assert_eq!(
            sentence(&first),
            "port space a: not all firewall rules were understood: the target X is not known; the same in 2 \
             more port spaces"
        );
        assert!(!first.absorb(&Gap::OtherSpaces { wanted: false }));
    }
}
