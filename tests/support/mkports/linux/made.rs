//! What was made, in the words of the report.

use std::net::SocketAddr;
use std::os::fd::AsFd;

use serde_json::{Map, Value, json};

use super::net;
use super::outcome::{Context, Failure, Outcome};
use super::sys;
use super::table;

/// One socket of the report.
#[derive(Clone, Debug)]
pub struct Row {
    pub protocol: &'static str,
    pub local: SocketAddr,
    pub peer: Option<SocketAddr>,
    pub state: &'static str,
    /// 0 where the kernel keeps no inode: `TIME_WAIT`, `SYN_RECV`, orphans, not yet accepted.
    pub inode: u64,
    /// Every process with a descriptor for it.
    pub pids: Vec<u32>,
    /// Its part in the scene, such as `listener`.
    pub note: String,
}

impl Row {
    /// Describes a socket of this process, by asking the kernel about the descriptor.
    pub fn of(socket: impl AsFd, note: &str) -> Outcome<Self> {
        let socket = socket.as_fd();
        let local = net::local(socket)?;
        let peer = net::peer(socket);
        let (protocol, state) = match sys::int_option(socket, libc::SOL_SOCKET, libc::SO_PROTOCOL)
            .context("ask a socket for its protocol")?
        {
            libc::IPPROTO_TCP | libc::IPPROTO_MPTCP => ("tcp", tcp_state(socket, local)?),
            number => (
                match number {
                    libc::IPPROTO_UDP => "udp",
                    libc::IPPROTO_UDPLITE => "udplite",
                    _ => "raw",
                },
                if peer.is_some() { "ESTABLISHED" } else { "UNCONN" },
            ),
        };
        let inode = net::inode(socket)?;
        Ok(Self { protocol, local, peer, state, inode, pids: vec![std::process::id()], note: note.to_owned() })
    }

    /// Describes a socket that only the kernel's table shows.
    pub fn of_table(protocol: &'static str, line: &table::Line, note: &str) -> Self {
        let state = match (protocol, line.state) {
            ("tcp", state) => table::state_name(state),
            (_, table::ESTABLISHED) => "ESTABLISHED",
            _ => "UNCONN",
        };
        let peer = (line.peer.port() != 0).then_some(line.peer);
        Self { protocol, local: line.local, peer, state, inode: line.inode, pids: Vec::new(), note: note.to_owned() }
    }

    pub fn held_by(mut self, pids: impl Into<Vec<u32>>) -> Self {
        self.pids = pids.into();
        self
    }

    fn json(&self) -> Value {
        json!({
            "protocol": self.protocol,
            "family": if self.local.is_ipv4() { "ipv4" } else { "ipv6" },
            "local": self.local.ip().to_string(),
            "port": self.local.port(),
            "peer": self.peer.map(|peer| json!({"address": peer.ip().to_string(), "port": peer.port()})),
            "state": self.state,
            "inode": self.inode,
            "pids": self.pids,
            "note": self.note,
        })
    }
}

fn tcp_state(socket: impl AsFd, local: SocketAddr) -> Outcome<&'static str> {
    let state = sys::tcp_state(socket.as_fd()).context("ask a socket for its state")?;
    Ok(match state {
        table::CLOSE if local.port() != 0 => "BOUND",
        state => table::state_name(state),
    })
}

/// Everything a factory made: sockets, and facts of its own.
#[derive(Debug, Default)]
pub struct Made {
    sockets: Vec<Value>,
    facts: Map<String, Value>,
}

impl Made {
    pub fn of(rows: impl IntoIterator<Item = Row>) -> Self {
        Self { sockets: rows.into_iter().map(|row| row.json()).collect(), facts: Map::new() }
    }

    /// Adds a key of the factory's own to the report.
    #[must_use]
    pub fn fact(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.facts.insert(key.to_owned(), value.into());
        self
    }

    /// A fact, both readable and exact: names may be any bytes.
    #[must_use]
    pub fn bytes_fact(self, key: &str, bytes: &[u8]) -> Self {
        self.fact(key, String::from_utf8_lossy(bytes)).fact(&format!("{key}_bytes"), bytes)
    }

    pub fn number(&self, key: &str) -> Outcome<u64> {
        self.facts.get(key).and_then(Value::as_u64).ok_or_else(|| Failure::Error(format!("no number `{key}` made")))
    }

    /// The port of the first socket.
    pub fn port(&self) -> Outcome<u16> {
        let port = self.sockets.first().and_then(|row| row["port"].as_u64());
        port.and_then(|port| u16::try_from(port).ok()).ok_or_else(|| Failure::Error("no socket made".to_owned()))
    }

    /// Takes over the sockets of a child, whose facts stay the child's.
    pub fn add_sockets(&mut self, other: &Made) {
        self.sockets.extend(other.sockets.iter().cloned());
    }

    /// Says by its outside number what a child reported about itself by the number that it sees.
    pub fn renumber(&mut self, inside: u32, outside: u32) {
        for pid in self.sockets.iter_mut().filter_map(|row| row["pids"].as_array_mut()).flatten() {
            if *pid == inside {
                *pid = outside.into();
            }
        }
    }

    pub fn to_json(&self) -> Value {
        json!({"sockets": self.sockets, "facts": self.facts})
    }

    pub fn from_json(value: &Value) -> Self {
        Self {
            sockets: value["sockets"].as_array().cloned().unwrap_or_default(),
            facts: value["facts"].as_object().cloned().unwrap_or_default(),
        }
    }

    /// The line that the program prints.
    pub fn line(&self, factory: &str) -> Value {
        let mut line = json!({"factory": factory, "pid": std::process::id(), "sockets": self.sockets});
        for (key, value) in &self.facts {
            line[key] = value.clone();
        }
        line
    }
}
