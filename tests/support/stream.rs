//! A run of `events` that goes on.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{ChildStdout, Stdio};

use serde_json::Value;

use super::{Kept, Run, is_root, portscope, skip, start};

/// A run that goes on, and what it has printed.
pub struct Stream {
    pub child: Kept,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Stream {
    /// Starts it and waits until it has begun with what is open.
    pub fn start(run: Run) -> Stream {
        let mut stream = Stream::at_once(run);
        // From then on it sees everything.
        stream.until("what is open", |event| event["event"] == "opened");
        stream
    }

    /// Starts it where nothing may be open yet.
    pub fn at_once(run: Run) -> Stream {
        let mut command = run.command();
        let mut child = Kept(start(command.stdout(Stdio::piped()).stderr(Stdio::null())));
        let lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
        Stream { child, lines }
    }

    pub fn next(&mut self) -> Option<Value> {
        let line = self.lines.next()?.unwrap();
        Some(serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}")))
    }

    /// Reads until an event is the one that is looked for.
    pub fn until(&mut self, what: &str, mut is_it: impl FnMut(&Value) -> bool) -> Value {
        let mut seen = Vec::new();
        while let Some(event) = self.next() {
            if is_it(&event) {
                return event;
            }
            seen.push(event);
        }
        panic!("the stream ended without {what}: {seen:#?}")
    }

    /// Asks it to end, and returns what it has yet to say.
    pub fn end(mut self) -> Vec<Value> {
        let pid = rustix::process::Pid::from_child(&self.child.0);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        let rest = std::iter::from_fn(|| self.next()).collect();
        let status = self.child.0.wait().unwrap();
        assert_eq!(status.code(), Some(0), "a stream that is ended by a signal ends whole");
        rest
    }
}

pub fn json() -> Run {
    portscope(["events", "-o", "ndjson", "--initial", "--for", "60s"])
}

pub fn is(event: &Value, kind: &str, port: u16) -> bool {
    event["event"] == kind && event["local"]["port"] == port
}

pub fn pids(owner: &Value) -> Vec<u64> {
    owner["processes"].as_array().unwrap().iter().map(|process| process["pid"].as_u64().unwrap()).collect()
}

pub fn needs_root() -> bool {
    if !is_root() {
        skip("BPF programs need root");
    }
    is_root()
}

/// A listener on an address that nothing else has, so that its events are known from all others.
pub fn listener_at(address: &str) -> TcpListener {
    TcpListener::bind((address, 0)).unwrap()
}
