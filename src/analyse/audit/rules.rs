//! The table of rules: what each is called, how bad it is, and why.

use super::{Finding, Severity, exposed, files, network, programs, sharing};
use crate::model::Row;

/// What a built-in rule does: finds what is wrong among the open ports.
pub type Check = for<'a> fn(&'static Rule, &[&'a Row<'a>]) -> Vec<Finding<'a>>;

/// A rule of the audit.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Its name on the command line, in a policy and in every output.
    pub id: &'static str,
    /// What it finds, in a few words.
    pub title: &'static str,
    /// How bad that is, where the finding does not say otherwise.
    pub severity: Severity,
    /// Why it is bad, what exactly is looked at, and what is not.
    pub explanation: &'static str,
    /// What looks for it; absent for rules about a policy and about the run itself.
    pub check: Option<Check>,
}

/// Returns the rule with this id.
pub fn rule(id: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.id == id)
}

/// Every rule: the built-in ones, then what a policy and the run itself give rise to.
pub static RULES: [Rule; 17] = [
    Rule {
        id: "exposed-service",
        title: "a store, broker or cluster interface without authentication by default is open beyond loopback",
        severity: Severity::High,
        explanation: "\
These services ask nobody who he is unless they are told to, so whoever reaches the port may read and change what they \
keep, and of some of them take the host. They are known by their port, and some by the file that they run on any port. \
Whether authentication was turned on cannot be seen from outside; a policy says so. The severity is that of the table, \
and at most medium in a port space other than this one, which only its own networks reach.",
        check: Some(exposed::stores),
    },
    Rule {
        id: "clear-text",
        title: "a legacy service that speaks in the clear is open beyond loopback",
        severity: Severity::High,
        explanation: "\
Passwords and data can be read by whoever the packets pass, or the service tells strangers what is none of their \
business. They are known by their port, and some by the file that they run on any port. The severity is that of the \
table, and at most medium in a port space other than this one.",
        check: Some(exposed::clear_text),
    },
    Rule {
        id: "unknown-program",
        title: "a well-known port is held by a program that is not known for it",
        severity: Severity::Medium,
        explanation: "\
Clients trust what answers on a well-known port. The file that each holder runs, as the kernel names it, is looked up by \
its name in the table; the process's own name is a claim and is not asked. A socket whose file cannot be seen is passed \
over: that owners are hidden is a finding of its own. A policy adds programs: [[allow]] with exe and suppress.",
        check: Some(programs::unknown),
    },
    Rule {
        id: "shared-port",
        title: "unrelated programs share one address and port through SO_REUSEPORT",
        severity: Severity::High,
        explanation: "\
With SO_REUSEPORT several sockets take the same address and port, and the kernel deals out connections between them. \
That is meant for the workers of one server; another program of the same user can take a share of its clients the same \
way. Sockets are related when one of their holders runs the same file, also one that was replaced by an upgrade. UDP \
ports of multicast protocols (1900, 3702, 5353, 5355) are shared by design and passed over.",
        check: Some(sharing::unrelated),
    },
    Rule {
        id: "executable-writable",
        title: "a listener runs a file from a place where every user may put one",
        severity: Severity::High,
        explanation: "\
Nothing that is installed runs from a folder where every user may put a file, such as /tmp, or from memory (memfd); \
intruders do. The modes of the file and of every folder above it decide, and so does their owner: a user other than root \
and the process's own could put another file there. Of a loader (ld.so) the files that it has mapped count, of an \
interpreter the script that its arguments name; since these are the process's own words, the severity is low. A file whose \
path exists only in the process's own mount namespace is judged by its owner.",
        check: Some(files::writable),
    },
    Rule {
        id: "executable-deleted",
        title: "a listener runs a file that was deleted or replaced",
        severity: Severity::Medium,
        explanation: "\
After an upgrade the old program, with the faults that were mended, serves on until it is restarted; an intruder deletes \
his file so that nobody finds it. The path is the kernel's (/proc/PID/exe), which ends in ` (deleted)` then.",
        check: Some(files::deleted),
    },
    Rule {
        id: "user-on-system-port",
        title: "a process of a person serves a well-known port",
        severity: Severity::High,
        explanation: "\
Ports below 1024 are for root and the system's own users, so that what answers there can be trusted by other users. A \
process whose effective user is a person's (1000 to 60513, or one of a directory) came there by a capability, by a \
socket that was handed on or by net.ipv4.ip_unprivileged_port_start. Where processes are hidden, the user that made the socket counts. The port \
spaces of containers are passed over: their users are their own.",
        check: Some(programs::of_user),
    },
    Rule {
        id: "published-port",
        title: "a published port bypasses the host's input rules",
        severity: Severity::Medium,
        explanation: "\
Docker and others publish a container's port by rewriting the address of packets before the firewall's input rules see \
them. A firewall of the host (ufw, firewalld, the chain INPUT) that seems to close the port does not. Found are ports \
that are sent on by a rule of the firewall, or by a proxy in a container's place, and are open beyond loopback. What is \
sent to another port of this host passes the input rules there and is passed over.",
        check: Some(network::published),
    },
    Rule {
        id: "ipv6-open",
        title: "a port is open over IPv6 and on loopback only over IPv4",
        severity: Severity::Medium,
        explanation: "\
Who bound a service to 127.0.0.1 meant it for this host; the same port on an address of IPv6 is open to others, and a \
firewall for IPv4 does not cover it. A socket of IPv6 that serves IPv4 too is passed over, since then both are open.",
        check: Some(sharing::ipv6_open),
    },
    Rule {
        id: "accept-queue",
        title: "a listener's accept queue is over 80 % full",
        severity: Severity::Medium,
        explanation: "\
Connections wait in the queue until the program takes them. When it is full the kernel drops further ones: clients see \
time-outs though the port is open.",
        check: Some(network::queue),
    },
    Rule {
        id: "ephemeral-listener",
        title: "a listener is inside the ephemeral range and its port is not reserved",
        severity: Severity::Low,
        explanation: "\
While the service is down, the kernel may hand its port to an outgoing connection, and then it cannot start again. The \
range is net.ipv4.ip_local_port_range of the socket's own port space; what net.ipv4.ip_local_reserved_ports names is \
safe. UDP ports that the kernel itself chose are passed over; for TCP it does not tell.",
        check: Some(network::ephemeral),
    },
    Rule {
        id: "policy-forbidden",
        title: "the policy forbids what is open",
        severity: Severity::High,
        explanation: "A listener fits a [[forbid]] rule of the policy. It fits when one of its holders does.",
        check: None,
    },
    Rule {
        id: "policy-unlisted",
        title: "the policy does not allow what is open",
        severity: Severity::High,
        explanation: "\
The policy has `default = \"deny\"`, and no [[allow]] or [[require]] rule in force fits the listener. A rule fits when \
every process that holds the socket does. Where an owner is hidden and a rule that asks for it may fit, nothing can be \
said, which is a finding of `incomplete`.",
        check: None,
    },
    Rule {
        id: "policy-missing",
        title: "what the policy requires is not open",
        severity: Severity::High,
        explanation: "No listener fits a [[require]] rule of the policy.",
        check: None,
    },
    Rule {
        id: "policy-expired",
        title: "a rule of the policy has expired",
        severity: Severity::Medium,
        explanation: "\
The day in `expires` was the last on which the rule holds (UTC); since then it counts for nothing. Renew it or remove it.",
        check: None,
    },
    Rule {
        id: "policy-hint",
        title: "a rule of the policy names no user",
        severity: Severity::Info,
        explanation: "\
An [[allow]] or [[require]] rule that names no user can be met by a process of any local user: a unit or container is a \
name that users can give, and an allowed program runs a user's code when it is told to (LD_PRELOAD, a loader, a script). The \
user is the one fact about a process that it cannot choose.",
        check: None,
    },
    Rule {
        id: "incomplete",
        title: "something could not be seen",
        severity: Severity::Medium,
        explanation: "\
An audit must not call clean what it did not look at: owners that are hidden from this user, sockets, port spaces or \
forwarded ports that were not seen, what a report leaves out (--from), or a rule of the policy that cannot be judged \
without an owner. `--strict` exits with 3 then. Run it as root to see more.",
        check: None,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_a_name_of_its_own_and_says_why() {
        for (place, rule) in RULES.iter().enumerate() {
            assert!(rule.id.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-' || byte.is_ascii_digit()));
            assert!(RULES[..place].iter().all(|other| other.id != rule.id), "{}", rule.id);
            assert!(rule.explanation.ends_with('.') && !rule.title.ends_with('.'), "{}", rule.id);
        }
    }
}
