//! `ss` as an oracle.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

/// Local end and, for TCP, peer and state of a socket, as text that both sides can agree on.
pub type Shape = (String, Option<String>, Option<String>);

/// What `ss` lists with these flags.
pub fn list(flags: &str) -> Vec<Shape> {
    let output = super::output(Command::new("ss").args([flags, "-H"]));
    let text = String::from_utf8(output.stdout).unwrap();
    let is_tcp = flags.contains('t');
    text.lines().map(|line| shape_of_line(line, is_tcp)).collect()
}

fn shape_of_line(line: &str, is_tcp: bool) -> Shape {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (state, local, peer) = (fields[0], end(fields[3]), end(fields[4]));
    let peer = Some(peer).filter(|peer| is_tcp && !peer.ends_with(":0"));
    (local, peer, is_tcp.then(|| state_name(state)))
}

/// `[::1]:80`, `127.0.0.1%lo:53`, `*:80` and `0.0.0.0:*` in one spelling.
fn end(text: &str) -> String {
    let (address, port) = text.rsplit_once(':').unwrap();
    let address = address.trim_start_matches('[').trim_end_matches(']');
    let address = address.split(['%', ']']).next().unwrap();
    let address = if address == "*" { "::" } else { address };
    let port = if port == "*" { "0" } else { port };
    format!("{address}:{port}")
}

fn state_name(state: &str) -> String {
    match state {
        "ESTAB" => "ESTABLISHED".to_owned(),
        "UNCONN" => "CLOSE".to_owned(),
        other => other.replace("WAIT-", "WAIT").replace('-', "_"),
    }
}

/// The same of the sockets of a JSON report.
pub fn of_report(sockets: &[Value], is_tcp: bool) -> Vec<Shape> {
    let end = |value: &Value| format!("{}:{}", value["address"].as_str().unwrap(), value["port"]);
    let shape = |socket: &Value| {
        let peer = Some(&socket["peer"]).filter(|peer| is_tcp && !peer.is_null()).map(end);
        let state = socket["state"].as_str().filter(|_| is_tcp).map(str::to_owned);
        (end(&socket["local"]), peer, state)
    };
    sockets.iter().map(shape).collect()
}

/// What only one side has.
pub fn difference(ours: &[Shape], theirs: &[Shape]) -> Option<String> {
    let (mut ours, mut theirs) = (ours.to_vec(), theirs.to_vec());
    ours.sort();
    theirs.sort();
    if ours == theirs {
        return None;
    }
    let (a, b): (BTreeSet<_>, BTreeSet<_>) = (ours.iter().collect(), theirs.iter().collect());
    Some(format!("only here: {:?}; only in ss: {:?}", a.difference(&b), b.difference(&a)))
}
