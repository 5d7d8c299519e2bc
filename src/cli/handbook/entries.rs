//! The pages of the handbook, one for portscope itself and one for each of its commands.

use super::Entry;

const USAGE_OR_SYSTEM: (u8, &str) = (2, "the command line is wrong, or the system could not be asked");
const STRICT: (u8, &str) = (3, "--strict was given and something was hidden");

/// One entry for portscope itself and one for each of its commands.
pub const HANDBOOK: &[Entry] = &[
    Entry {
        command: "",
        examples: &[
            ("portscope -l", "everything that is listening"),
            ("portscope 8080", "what is on port 8080"),
            ("portscope nginx", "everything that nginx has open"),
            ("portscope -tulpn", "listeners, spelled as in ss and netstat"),
            ("portscope check 8080", "can I bind it? If not, why, and how to fix it"),
            ("portscope free", "a free port for your own service"),
            ("portscope kill 3000", "stop whatever is listening on port 3000"),
        ],
        statuses: &[
            (0, "success; also when nothing is open on a port"),
            (1, "no: no match for a name, a difference, a violation, a timeout"),
            USAGE_OR_SYSTEM,
            STRICT,
        ],
        files: &[],
        see_also: &["check", "info", "spaces", "kill"],
    },
    Entry {
        command: "list",
        examples: &[
            ("portscope list", "every TCP socket, the same as portscope alone"),
            ("portscope list 3000,5173 53/udp", "several ports"),
            ("portscope list localhost:3000", "what answers at this address"),
        ],
        statuses: &[
            (0, "success; also when nothing is open on a port"),
            (1, "no: no match for a name, a difference, a violation, a timeout"),
            USAGE_OR_SYSTEM,
            STRICT,
        ],
        files: &[],
        see_also: &["info", "spaces"],
    },
    Entry {
        command: "spaces",
        examples: &[
            ("portscope spaces", "the port spaces (network namespaces) of this host"),
            ("sudo portscope spaces --matrix", "which ports are open in several of them"),
            ("portscope spaces web-1.json web-2.json", "the same for snapshots of several hosts"),
        ],
        statuses: &[(0, "success"), USAGE_OR_SYSTEM],
        files: &[],
        see_also: &["snapshot", "info"],
    },
    Entry {
        command: "info",
        examples: &[
            ("portscope info 5432", "which processes have it and use it, and what it is registered for"),
            ("portscope info postgresql", "the same for the port of a service"),
            ("sudo portscope info 5432 --json", "everything that is known, as JSON"),
        ],
        statuses: &[(0, "success"), (1, "nothing here has the name"), USAGE_OR_SYSTEM, STRICT],
        files: &[],
        see_also: &["check", "services", "kill"],
    },
    Entry {
        command: "check",
        examples: &[
            ("portscope check 8080", "can a server bind port 8080?"),
            ("portscope check 80 443 -t", "several ports, TCP only"),
            ("portscope check 53 -u --address 127.0.0.1", "UDP, on one address"),
            ("portscope check 8080 --json", "the verdict, the blockers, and the fixes as JSON"),
        ],
        statuses: &[
            (0, "every bind would succeed"),
            (1, "a bind would fail, or a firewall rule would take its traffic"),
            USAGE_OR_SYSTEM,
        ],
        files: &[],
        see_also: &["free", "kill", "wait"],
    },
    Entry {
        command: "free",
        examples: &[
            ("portscope free", "one free port"),
            ("portscope free -n 3 --contiguous", "three in a row"),
            ("portscope free --seed .", "the same port for this folder every time"),
            ("PORT=$(portscope free) npm run dev", "start a server on a free port"),
        ],
        statuses: &[
            (0, "found"),
            (1, "not enough free ports, or with --explain: the port is not offered"),
            USAGE_OR_SYSTEM,
        ],
        files: &[],
        see_also: &["check", "services"],
    },
    Entry {
        command: "wait",
        examples: &[
            ("portscope wait 8080", "until something is listening on tcp 8080"),
            ("portscope wait localhost:5173", "until something answers at this address"),
            ("portscope wait 5432 6379 --timeout 2m", "until both ports are ready"),
            ("portscope wait 8080 --process nginx", "until nginx is listening"),
            ("portscope wait 8080 --free", "until a server can bind the port"),
        ],
        statuses: &[(0, "condition met"), (1, "timed out"), USAGE_OR_SYSTEM],
        files: &[],
        see_also: &["check", "kill"],
    },
    Entry {
        command: "kill",
        examples: &[
            ("portscope kill 8080", "show what is listening on tcp 8080, ask, then stop it"),
            ("portscope kill 8080 --dry-run", "only show it"),
            ("portscope kill 8080 --yes --force-after 5s", "do not ask; SIGKILL after 5 seconds"),
            ("portscope kill 127.0.0.1:8080", "only the process listening on this address"),
            ("sudo portscope kill 80 --via-manager", "let systemd, Docker, or Podman stop it for good"),
        ],
        statuses: &[
            (0, "stopped, and the port is free"),
            (1, "nothing is listening, or it was refused"),
            (
                2,
                "the command line is wrong, the system could not be asked, or --yes is missing where no one can be asked",
            ),
        ],
        files: &[],
        see_also: &["close", "check"],
    },
    Entry {
        command: "close",
        examples: &[
            ("sudo portscope close 8080", "destroy the listeners on tcp 8080, after asking"),
            ("sudo portscope close 443 --peer 203.0.113.7", "the connections of one peer"),
            ("sudo portscope close 5432 --clients --yes", "every connection on the port, but not the listener"),
        ],
        statuses: &[
            (0, "destroyed"),
            (1, "there is no such socket, or it was refused"),
            (2, "the command line is wrong, the system cannot do it, or --yes is missing where no one can be asked"),
        ],
        files: &[],
        see_also: &["kill"],
    },
    Entry {
        command: "usage",
        examples: &[
            ("portscope usage", "are ports running out?"),
            ("portscope usage --warn 80", "exit with status 1 if anything is above 80%"),
        ],
        statuses: &[(0, "nothing is above --warn"), (1, "something is above --warn"), USAGE_OR_SYSTEM],
        files: &[],
        see_also: &["export", "free"],
    },
    Entry {
        command: "services",
        examples: &[
            ("portscope services", "the well-known ports"),
            ("portscope services 5432", "what a port is registered for"),
            ("portscope services redis", "the ports registered for a service"),
            ("portscope services --all", "the whole IANA registry"),
        ],
        statuses: &[(0, "found"), (1, "no match"), USAGE_OR_SYSTEM],
        files: &[],
        see_also: &["info", "free"],
    },
    Entry {
        command: "snapshot",
        examples: &[
            ("sudo portscope snapshot before.json", "save what is open now"),
            ("portscope --from before.json -l", "list what was listening then"),
            ("portscope snapshot --redact", "without peers, users, and command lines"),
        ],
        statuses: &[(0, "success"), USAGE_OR_SYSTEM, STRICT],
        files: &[],
        see_also: &["diff", "audit"],
    },
    Entry {
        command: "diff",
        examples: &[
            ("portscope diff before.json", "what has changed since then"),
            ("portscope diff monday.json tuesday.json", "what changed between two snapshots"),
        ],
        statuses: &[(0, "no difference"), (1, "something changed"), USAGE_OR_SYSTEM],
        files: &[],
        see_also: &["snapshot", "audit"],
    },
    Entry {
        command: "audit",
        examples: &[
            ("sudo portscope audit", "what the built-in rules find"),
            ("sudo portscope audit --init > policy.toml", "a policy that allows what is open now"),
            ("sudo portscope audit --policy policy.toml", "what is open and not allowed"),
            ("portscope audit --fail-on medium -o junit", "a report for a build server"),
            ("portscope audit -o nagios", "for Nagios: one line, exit status 0 to 3"),
            ("portscope audit --explain exposed-service", "what a rule looks for, and why"),
        ],
        statuses: &[
            (0, "nothing at or above --fail-on"),
            (1, "something at or above --fail-on"),
            (2, "the command line or the policy is wrong, or the system could not be asked"),
            (3, "--strict was given, nothing fails, and something was hidden"),
        ],
        files: &[("/etc/portscope/policy.toml", "the policy, unless --policy names another")],
        see_also: &["diff", "snapshot"],
    },
    Entry {
        command: "events",
        examples: &[
            ("sudo portscope events", "every port that is opened or closed, and every bind that fails"),
            ("portscope events 3000 --for 10m", "what happens to port 3000 in the next ten minutes"),
            ("sudo portscope events --kind bind-failed", "binds that failed, and what stood in the way"),
            ("sudo portscope events --initial -o ndjson >> ports.ndjson", "a record, beginning with what is open"),
            ("portscope events --from ports.ndjson 8080", "which processes had port 8080 or failed to get it"),
            ("portscope events --from ports.ndjson --summary", "how often each port was opened, and by which program"),
        ],
        statuses: &[(0, "ended by a signal, --for, or --count, or at the end of the record"), USAGE_OR_SYSTEM],
        files: &[],
        see_also: &["diff", "wait"],
    },
    Entry {
        command: "watch",
        examples: &[
            ("sudo portscope watch", "the listing, live; ? shows the keys"),
            ("portscope watch -l", "listeners only"),
            ("portscope watch nginx 8000-8100", "only these"),
            ("portscope watch --from ports.ndjson --speed 10", "a record of events, ten times as fast"),
        ],
        statuses: &[
            (0, "ended by q, Ctrl-C, or a signal"),
            (2, "no terminal, a wrong command line, or no sockets to read"),
        ],
        files: &[],
        see_also: &["list", "events", "info", "kill"],
    },
    Entry {
        command: "export",
        examples: &[
            ("portscope export", "metrics in the OpenMetrics text format"),
            (
                "portscope export --textfile /var/lib/prometheus/node-exporter/portscope.prom",
                "for Prometheus' node_exporter",
            ),
        ],
        statuses: &[(0, "success"), USAGE_OR_SYSTEM, STRICT],
        files: &[],
        see_also: &["usage"],
    },
    Entry {
        command: "schema",
        examples: &[
            ("portscope schema", "the JSON Schema of the listing and of snapshots"),
            ("portscope schema check", "the schema of `portscope check --json`"),
        ],
        statuses: &[(0, "success"), (2, "the command line is wrong")],
        files: &[],
        see_also: &["snapshot"],
    },
    Entry {
        command: "completions",
        examples: &[
            ("portscope completions bash > ~/.local/share/bash-completion/completions/portscope", "bash"),
            ("portscope completions zsh > ~/.zfunc/_portscope", "zsh; a folder of $fpath, before compinit"),
            ("portscope completions fish > ~/.config/fish/completions/portscope.fish", "fish"),
        ],
        statuses: &[(0, "success"), (2, "the command line is wrong")],
        files: &[],
        see_also: &["man"],
    },
    Entry {
        command: "man",
        examples: &[
            ("portscope man | man -l -", "read the manual"),
            ("portscope man check | man -l -", "the page of one command"),
            ("portscope man --all /usr/local/share/man/man1", "write every page"),
        ],
        statuses: &[(0, "success"), (2, "the command line is wrong, or a file cannot be written")],
        files: &[],
        see_also: &["completions"],
    },
];
