//! What is said of a command line that asks for what is not there or cannot be.

use std::fmt::Display;
use std::path::Path;

use crate::model::{Port, PortRange};
use crate::render::text::safe::{Charset, Text};

fn safe(text: &str) -> String {
    Text::of(text, Charset::Unicode).into_string()
}

/// The value of a flag is no percentage.
pub fn not_a_percentage(text: &str) -> String {
    format!("`{text}` is not a percentage: expected 0% to 100%, such as 80%")
}

/// The value of a flag is no count.
pub fn not_a_count(text: &str) -> String {
    format!("`{text}` is not a count: expected 0 or more")
}

/// The value of `check --user` is no number of a user.
pub fn not_a_uid(text: &str) -> String {
    format!("`{text}` is not a user ID: expected 0-4294967294")
}

/// The value of a flag is no address.
pub fn not_an_address(text: &str) -> String {
    format!("`{text}` is not an address: expected an IPv4 or IPv6 address, such as 127.0.0.1 or ::1")
}

/// An address of one link stands without its interface.
pub fn no_interface(text: &str, scope: &str, address: &dyn Display) -> String {
    format!("`{text}` is {scope}: expected its interface too, such as {address}%eth0")
}

/// An address that is the same on every link stands with an interface.
pub fn needless_interface(text: &str) -> String {
    format!("`{text}`: only a link-local address has an interface; see --device")
}

/// No interface has the name.
pub fn unknown_interface(name: &str) -> String {
    format!("--address: `{}` is not an interface here: `ip link` lists them", safe(name))
}

/// An address was given with the port and apart from it.
pub fn two_addresses(target: &str) -> String {
    format!("`{}` has an address already: leave out --address", safe(target))
}

/// The target of a command that takes ports is not a port.
pub fn not_a_port(text: &str) -> String {
    format!("`{text}` is not a port: expected a port (8080, 53/udp, 8000-8100), ADDR:PORT or a service")
}

/// No rule of the audit has the name.
pub fn not_a_rule(text: &str, known: &[&str]) -> String {
    format!("`{text}` is not a rule: expected {}", known.join(", "))
}

/// No command has the name.
pub fn not_a_command(name: &str, known: &[&str]) -> String {
    format!("`{name}` is not a command: expected {}", known.join(", "))
}

/// The command line is that of another tool.
pub fn of_another_tool(words: &[String]) -> String {
    format!("`{}` is written for another tool", safe(&words.join(" ")))
}

/// No port space has one of the names.
pub fn unknown_space(names: &[String], known: &[&str]) -> String {
    format!("no port space is named `{}`: expected all or one of {}", names.join(","), known.join(", "))
}

/// Two reports are of one host.
pub fn same_host(path: &Path, host: &str) -> String {
    format!(
        "{} is another report of host {host}: expected one report per host; to compare two reports of one host, use \
         `portscope diff`",
        path.display()
    )
}

/// A query of `services` is empty.
pub const EMPTY_QUERY: &str = "the query is empty: expected a port, a range or a word";

/// A file is no text.
pub const NOT_UTF8: &str = "it is not valid UTF-8";

/// The host's policy is not trusted under sudo.
pub const UNTRUSTED_POLICY: &str =
    "under sudo it must be owned by root and writable by root only; use --no-policy to ignore it";

/// A policy that was to be written could not be read again.
pub fn policy_too_large(rules: usize, size: usize, most: u64) -> String {
    format!(
        "the policy would have {rules} rules and {size} MiB, but --policy reads at most {most} MiB: write it by hand with \
         port ranges, or for one port space (--space)"
    )
}

/// More ports are asked for than there are.
pub fn too_many(count: u16, size: u32, range: PortRange) -> String {
    format!("--count: `{count}` exceeds the {size} ports in {range}")
}

/// A command takes one port.
pub const ONE_PORT: &str = "--exec runs the command with one port: expected --count 1";

/// The command does not say where its port goes.
pub fn no_placeholder(placeholder: &str) -> String {
    format!(
        "--exec: the command has no `{placeholder}`, which stands for the port: add it to an argument, or use \
         --listen-fds before --exec"
    )
}

/// The system cannot run a command instead of this one.
pub const NO_EXEC: &str = "--exec: this system cannot replace a running program; use the port that is printed";

/// The seed is empty.
pub const EMPTY_SEED: &str = "--seed: the seed is empty: expected a text or a path";

/// The seed is the current directory, which was removed.
pub fn no_directory(seed: &str) -> String {
    format!("--seed: the directory `{seed}` no longer exists")
}

/// The port cannot be listened on for the command.
pub fn cannot_listen(port: Port, address: Option<&dyn Display>, problem: &str) -> String {
    let address = address.map_or_else(|| "every address".to_owned(), ToString::to_string);
    format!("--listen-fds: cannot listen on port {port} at {address}: {problem}")
}

/// The variable of the completion scripts is set and nothing is to be completed.
pub fn stray_variable(variable: &str) -> String {
    format!("{variable} is set for the scripts of `portscope completions`: unset it")
}

/// Nothing is known of completing in this shell.
pub fn not_a_shell(variable: &str, shell: &str) -> String {
    format!("{variable}: `{shell}` is not a shell that can be completed")
}

/// The system does not say when it sends a signal.
pub fn cannot_wait(problem: &dyn Display) -> String {
    format!("cannot wait for signals: {problem}")
}
