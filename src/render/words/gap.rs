//! What a run could not see, in sentences. A gap is facts until it is shown; no sentence is ever read back.

use crate::model::{Coverage, Gap, HiddenBecause, RulesUnread};

/// Says what was not seen and why: `77 of 80 processes may not be read by uid 1000`.
pub fn sentence(gap: &Gap) -> String {
    match gap {
        Gap::HiddenOwners { because, coverage, .. } => match coverage {
            Some(coverage) => hidden_owners(*because, coverage),
            None => "the system named no process for them".to_owned(),
        },
        Gap::MalformedLines { space, .. } => format!("space {space}: lines of /proc/PID/net were not understood"),
        Gap::SocketTables { space, problem } => format!("port space {space}: {problem}"),
        Gap::SocketsOfOthers => "those of other users' processes are not told".to_owned(),
        Gap::UnreadDescriptors { count } => {
            format!("{count} descriptors were closed while they were looked at, or are of an unknown kind")
        }
        Gap::ProtocolLeftOut { protocol } => format!("the report has no {} sockets", protocol.name()),
        Gap::FamilyLeftOut { family } => format!("the report has no {} sockets", family.name()),
        Gap::FilteredReport => "the report was written with filters".to_owned(),
        Gap::NetlinkRefused { space, problem, further_spaces } => with_further(
            format!(
                "space {space}: {problem}; /proc/PID/net was read instead, which tells no v6only, device, accept \
                 queue, cookie, cgroup, and no bound sockets that do not listen"
            ),
            *further_spaces,
        ),
        Gap::LimitsOfNetstat2 => "v6only, device, queue, cookie and bound sockets that do not listen are not told by \
                                  netstat2, and a socket table that fails half-way looks complete to it"
            .to_owned(),
        Gap::ClosedConnections => "connections that no process holds any more (TIME_WAIT) are not told".to_owned(),
        Gap::PortRangesNotAsked => "the dynamic range and excluded ports were not asked for".to_owned(),
        Gap::UdpRangeDiffers { first, last } => {
            format!("the dynamic range is that of TCP; UDP has {first}-{last}")
        }
        Gap::EphemeralRange { problem } => format!("the dynamic range is not known: {problem}"),
        Gap::ReservedPorts { problem } => format!("excluded ports are not known: {problem}"),
        Gap::ClosedProcesses { count } => {
            format!("files, folders and arguments of {count} processes may not be read")
        }
        Gap::UserNamesTooLate => "names of users are not known: no answer in time".to_owned(),
        Gap::NoThreadToAsk { problem } => {
            format!("names of users and arguments of processes are not known: no thread to ask on: {problem}")
        }
        Gap::UdpPeers { .. } => {
            "peers and states of UDP sockets are not told by netstat2: connected ones look unconnected".to_owned()
        }
        Gap::OtherSpaces { .. } => "only the port space that portscope runs in was read".to_owned(),
        Gap::SpacesNotFound { problem } => format!("the other port spaces cannot be found: {problem}"),
        Gap::ClosedSpaces { perhaps_listed, refused, problem, .. } => {
            let helps = if *refused { "; it takes CAP_SYS_ADMIN" } else { "" };
            let perhaps = "; some of them may be among those that are listed by the name of a process";
            let perhaps = if *perhaps_listed { perhaps } else { "" };
            format!("mounted network namespaces cannot be entered ({problem}{helps}){perhaps}")
        }
        Gap::UnattendedSpaces { problem } => {
            format!("open files that keep port spaces were not all looked at: {problem}")
        }
        Gap::SpacesInFlight { count } => {
            let files = if *count == 1 { "1 open file is" } else { &format!("{count} open files are") };
            format!(
                "{files} being passed between processes, and a network namespace that only such a file keeps is not \
                 listed"
            )
        }
        Gap::UnlistedProtocol { space, protocol, count, .. } => {
            let sockets = if *count == 1 { "socket is" } else { "sockets are" };
            format!("space {space}: {count} {protocol} {sockets} open, which portscope does not list")
        }
        Gap::SpacesOfHiddenProcesses => {
            "/proc hides other users' processes, and with them the port spaces that they live in".to_owned()
        }
        Gap::Redirects { space, why, further_spaces } => {
            let rules = rules_unread(why);
            let of_space = space.as_ref().map_or(rules.clone(), |space| format!("space {space}: {rules}"));
            with_further(of_space, *further_spaces)
        }
        Gap::ContainerNamesNotAsked => {
            "containers are shown by their ids, since nobody was asked for their names".to_owned()
        }
        Gap::ContainerNames { problem } => format!("names of containers: {problem}"),
        Gap::ServiceNames { problem } => format!("services cannot be listed: {problem}"),
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
        more => format!("{sentence}; the same in {more} more port spaces"),
    }
}

fn hidden_owners(because: HiddenBecause, coverage: &Coverage) -> String {
    let Coverage { refused, uid, hidden_by_mount, problem, .. } = coverage;
    let all = coverage.processes();
    match because {
        HiddenBecause::Permission => {
            let user = uid.map_or("its user".to_owned(), |uid| format!("uid {}", uid.0));
            let mount = hidden_by_mount.as_ref().map(|option| format!(", and /proc is mounted with {option}"));
            format!(
                "{refused} of {all} processes may not be read by {user}{} (it takes CAP_SYS_PTRACE and \
                 CAP_DAC_READ_SEARCH)",
                mount.unwrap_or_default()
            )
        }
        HiddenBecause::Protected => format!(
            "{refused} of {all} processes may not be read even by root (it takes CAP_SYS_PTRACE and \
             CAP_DAC_READ_SEARCH, and some systems protect process 1)"
        ),
        HiddenBecause::PidNamespace => {
            format!("this pid namespace has {all} processes; holders outside of it cannot be seen from here")
        }
        HiddenBecause::NotFound => format!("none of {all} processes holds them: the kernel itself may"),
        HiddenBecause::NoProcesses => {
            format!("the processes could not be read: {}", problem.as_deref().unwrap_or("nobody looked"))
        }
        HiddenBecause::Ambiguous => "the kernel gave the same inode to several sockets".to_owned(),
        HiddenBecause::Unsupported => "the system does not say".to_owned(),
    }
}

fn rules_unread(why: &RulesUnread) -> String {
    match why {
        RulesUnread::NotWanted => {
            "ports forwarded without a socket were not looked for, since they were not asked for".to_owned()
        }
        RulesUnread::Unsupported => "ports forwarded without a socket were not looked for".to_owned(),
        RulesUnread::NotAsked => {
            "there are rules that may forward ports without a socket; nobody was asked for them".to_owned()
        }
        RulesUnread::TooLate => {
            "there was no time to read the rules that may forward ports without a socket".to_owned()
        }
        RulesUnread::Refused { problem } | RulesUnread::Failed { problem } => {
            format!("ports forwarded without a socket were not looked for: {problem}")
        }
        RulesUnread::NotUnderstood { reasons } => {
            format!("firewall rules were not all understood: {}", reasons.join("; "))
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
        let helps = "(it takes CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH)";
        assert_eq!(sentence(&gap), format!("70 of 90 processes may not be read by uid 1000 {helps}"));
        gap.redact();
        assert_eq!(sentence(&gap), format!("70 of 90 processes may not be read by its user {helps}"));
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
            "space a: firewall rules were not all understood: the target X is not known; the same in 2 \
             more port spaces"
        );
        assert!(!first.absorb(&Gap::OtherSpaces { wanted: false }));
    }
}
