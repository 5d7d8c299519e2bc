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
        title: "a data store, broker or cluster interface that requires no authentication by default is open beyond loopback",
        severity: Severity::High,
        explanation: "\
By default these services do not require authentication, so anyone who can reach the port may read and change their \
data, and with some of them take over the host. They are recognized by their port, and some by their executable on any \
port. Whether authentication was turned on cannot be seen from outside; a policy can record that it was. The severity is \
the one in the table, and at most medium in a port space (network namespace) other than this one, which can be reached \
only from its own networks.",
        check: Some(exposed::stores),
    },
    Rule {
        id: "clear-text",
        title: "a legacy service without encryption is open beyond loopback",
        severity: Severity::High,
        explanation: "\
Anyone on the network path can read passwords and data, or the service discloses information to anyone who asks. The \
services are recognized by their port, and some by their executable on any port. The severity is the one in the table, \
and at most medium in a port space (network namespace) other than this one.",
        check: Some(exposed::clear_text),
    },
    Rule {
        id: "unknown-program",
        title: "a well-known port is held by a program that is not known to serve it",
        severity: Severity::Medium,
        explanation: "\
Clients trust whatever answers on a well-known port. The file name of each owner's executable, as the kernel reports \
it, is looked up in the table; the process name is not used, because a process can change it. Sockets whose executable \
cannot be seen are skipped: hidden owners are a separate finding. To accept more programs, add an [[allow]] with exe and \
suppress to the policy.",
        check: Some(programs::unknown),
    },
    Rule {
        id: "shared-port",
        title: "unrelated programs share one address and port through SO_REUSEPORT",
        severity: Severity::High,
        explanation: "\
With SO_REUSEPORT several sockets can use the same address and port, and the kernel distributes connections between \
them. This is meant for the workers of one server, but another program of the same user can take a share of its clients \
the same way. Sockets are related when any of their owners runs the same executable, including one that an upgrade \
replaced. UDP ports of multicast protocols (1900, 3702, 5353, 5355) are shared by design and are skipped.",
        check: Some(sharing::unrelated),
    },
    Rule {
        id: "executable-writable",
        title: "a listener runs code that other users can replace",
        severity: Severity::High,
        explanation: "\
Installed software does not run from a directory that every user can write to, such as /tmp, or from memory (memfd); \
malware often does. The rule checks the permissions and the owner of the executable and of every directory above it: an \
owner other than root and the process's own user could replace the file. For a loader (ld.so) it checks the files that \
are mapped, and for an interpreter the script named in its arguments; since a process can change its arguments, that \
severity is low. A file whose path exists only in the process's own mount namespace is judged by its owner.",
        check: Some(files::writable),
    },
    Rule {
        id: "executable-deleted",
        title: "a listener runs an executable that was deleted or replaced",
        severity: Severity::Medium,
        explanation: "\
After an upgrade the old program, with bugs that the upgrade fixed, keeps running until it is restarted. Malware also \
deletes its own file to avoid being found. The path is the one that the kernel reports (/proc/PID/exe), which ends with \
` (deleted)` in this case.",
        check: Some(files::deleted),
    },
    Rule {
        id: "user-on-system-port",
        title: "an ordinary user's process serves a well-known port",
        severity: Severity::High,
        explanation: "\
Ports below 1024 are reserved for root and system users, so that other users can trust what answers there. A process \
of an ordinary user (UID 1000 to 60513, or a user from a directory service) got there through a capability, an inherited \
socket or net.ipv4.ip_unprivileged_port_start. Where processes are hidden, the user that created the socket counts. Port \
spaces (network namespaces) of containers are skipped: they have their own users.",
        check: Some(programs::of_user),
    },
    Rule {
        id: "published-port",
        title: "a published port bypasses the host's input rules",
        severity: Severity::Medium,
        explanation: "\
Docker and similar tools publish a container's port by rewriting packet addresses before the firewall's input rules see \
them, so a host firewall (ufw, firewalld, the INPUT chain) that seems to block the port does not. The rule finds ports \
open beyond loopback that a firewall rule, or a proxy on behalf of a container, forwards. Ports that are forwarded to \
another port of this host are skipped, because the input rules apply there.",
        check: Some(network::published),
    },
    Rule {
        id: "ipv6-open",
        title: "a port is loopback-only over IPv4 but open to others over IPv6",
        severity: Severity::Medium,
        explanation: "\
A service bound to 127.0.0.1 is meant for this host only, but the same port on an IPv6 address is open to others, and an \
IPv4 firewall does not cover it. An IPv6 socket that also accepts IPv4 is skipped, since then both are open.",
        check: Some(sharing::ipv6_open),
    },
    Rule {
        id: "accept-queue",
        title: "a listener's accept queue is more than 80% full",
        severity: Severity::Medium,
        explanation: "\
Connections wait in the queue until the program accepts them. When the queue is full, the kernel drops new connections: \
clients see timeouts although the port is open.",
        check: Some(network::queue),
    },
    Rule {
        id: "ephemeral-listener",
        title: "a listener uses a port in the ephemeral range that is not reserved",
        severity: Severity::Low,
        explanation: "\
While the service is down, the kernel may use its port for an outgoing connection, and then the service cannot start \
again. The range is net.ipv4.ip_local_port_range of the socket's port space (network namespace); ports listed in \
net.ipv4.ip_local_reserved_ports are safe. UDP ports that the kernel chose are skipped; for TCP the kernel does not \
report that.",
        check: Some(network::ephemeral),
    },
    Rule {
        id: "policy-forbidden",
        title: "an open port is forbidden by the policy",
        severity: Severity::High,
        explanation: "A listener matches a [[forbid]] rule of the policy. It matches when any of its owners does.",
        check: None,
    },
    Rule {
        id: "policy-unlisted",
        title: "an open port is not allowed by the policy",
        severity: Severity::High,
        explanation: "\
The policy has `default = \"deny\"`, and no [[allow]] or [[require]] rule in force matches the listener. A rule matches \
when every process that holds the socket does. Where an owner is hidden and a rule that depends on it might match, the \
result is unknown and is reported as `incomplete`.",
        check: None,
    },
    Rule {
        id: "policy-missing",
        title: "a port required by the policy is not open",
        severity: Severity::High,
        explanation: "No listener matches a [[require]] rule of the policy.",
        check: None,
    },
    Rule {
        id: "policy-expired",
        title: "a policy rule has expired",
        severity: Severity::Medium,
        explanation: "\
The date in `expires` was the last day (UTC) on which the rule applied; it is now ignored. Renew it or remove it.",
        check: None,
    },
    Rule {
        id: "policy-hint",
        title: "a policy rule does not name a user",
        severity: Severity::Info,
        explanation: "\
An [[allow]] or [[require]] rule that names no user can be satisfied by any local user's process: users can choose the \
names of units and containers, and can make an allowed program run their own code (LD_PRELOAD, a loader, a script). The \
user is the one fact about a process that it cannot choose.",
        check: None,
    },
    Rule {
        id: "incomplete",
        title: "something could not be seen",
        severity: Severity::Medium,
        explanation: "\
An audit must not report as clean what it could not inspect: owners hidden from this user; sockets, port spaces or \
forwarded ports that could not be read; anything that a saved report (--from) leaves out; or a policy rule that cannot be \
evaluated without knowing the owner. In this case `--strict` exits with status 3. Run portscope as root to see more.",
        check: None,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_a_name_of_its_own_and_says_why() {
        for (index, rule) in RULES.iter().enumerate() {
            assert!(rule.id.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-' || byte.is_ascii_digit()));
            assert!(RULES[..index].iter().all(|other| other.id != rule.id), "{}", rule.id);
            assert!(rule.explanation.ends_with('.') && !rule.title.ends_with('.'), "{}", rule.id);
        }
    }
}
