//! The columns of a listing: one enum, one match per question.

mod value;

use std::path::Path;
use std::str::FromStr;

use compact_str::{ToCompactString, format_compact};

use self::value::{address, address_cell, descriptor, list, number, peer, peer_cell, user};
pub use self::value::{command_line, container, foremost, name};
use crate::model::{Row, Uid};
use crate::render::text::safe::{Charset, Text};
use crate::render::text::time;
use crate::render::words::cell::{process_cell, project_cell, running};
use crate::render::words::traffic;

/// One column.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Column {
    /// The port space.
    Space,
    /// The transport protocol.
    Protocol,
    /// The local address.
    Address,
    /// The local port.
    Port,
    /// The port's category.
    Category,
    /// What the port is assigned to.
    Service,
    /// What the socket is doing.
    State,
    /// The other end.
    Peer,
    /// The process at the other end, where that is on this machine.
    PeerProcess,
    /// The processes' numbers.
    Pid,
    /// The processes' names.
    Process,
    /// The user that holds or made it.
    User,
    /// The systemd unit that made it.
    Unit,
    /// The container that made it.
    Container,
    /// Who can reach it.
    Exposure,
    /// The address family.
    Family,
    /// The interface that it is bound to.
    Device,
    /// The accept queue.
    Queue,
    /// Bytes not read yet; for a listener the connections that wait to be accepted.
    RecvQueue,
    /// Bytes not acknowledged yet; for a listener how many connections may wait.
    SendQueue,
    /// The running timer of TCP.
    Timer,
    /// The descriptors' numbers.
    Fd,
    /// The socket's inode.
    Inode,
    /// The socket's user number.
    Uid,
    /// The file that the process runs.
    Exe,
    /// When the process started.
    Started,
    /// The process's arguments.
    Argv,
    /// What the process runs, when it is an interpreter.
    Runs,
    /// The project that it belongs to.
    Project,
    /// The folder that it works in.
    Cwd,
    /// The service in words.
    Description,
    /// Where the service's name comes from.
    Source,
    /// Whether a listener on an IPv6 address leaves IPv4 alone.
    V6only,
    /// Bytes received.
    Rx,
    /// Bytes sent.
    Tx,
    /// The round-trip time.
    Rtt,
    /// Segments that were sent again.
    Retransmits,
    /// The time since anything was sent or received.
    Idle,
}

impl Column {
    /// Every column.
    pub const ALL: [Column; 38] = [
        Column::Space,
        Column::Protocol,
        Column::Address,
        Column::Port,
        Column::Category,
        Column::Service,
        Column::State,
        Column::Peer,
        Column::PeerProcess,
        Column::Pid,
        Column::Process,
        Column::User,
        Column::Unit,
        Column::Container,
        Column::Exposure,
        Column::Family,
        Column::Device,
        Column::Queue,
        Column::RecvQueue,
        Column::SendQueue,
        Column::Timer,
        Column::Fd,
        Column::Inode,
        Column::Uid,
        Column::Exe,
        Column::Started,
        Column::Argv,
        Column::Runs,
        Column::Project,
        Column::Cwd,
        Column::Description,
        Column::Source,
        Column::V6only,
        Column::Rx,
        Column::Tx,
        Column::Rtt,
        Column::Retransmits,
        Column::Idle,
    ];

    /// What `--traffic` shows: those of what connections carry.
    pub const TRAFFIC: [Column; 5] = [Column::Rx, Column::Tx, Column::Rtt, Column::Retransmits, Column::Idle];

    /// The columns that are shown unless others are asked for.
    pub const DEFAULT: [Column; 10] = [
        Column::Protocol,
        Column::Address,
        Column::Port,
        Column::Category,
        Column::Service,
        Column::State,
        Column::Peer,
        Column::Pid,
        Column::Process,
        Column::User,
    ];

    /// The columns of `-o wide`: all but the arguments, which carry secrets.
    pub const WIDE: [Column; 22] = [
        Column::Space,
        Column::Protocol,
        Column::Family,
        Column::Address,
        Column::Device,
        Column::Port,
        Column::Category,
        Column::Service,
        Column::Source,
        Column::Exposure,
        Column::State,
        Column::Queue,
        Column::Peer,
        Column::Pid,
        Column::Fd,
        Column::Process,
        Column::User,
        Column::Unit,
        Column::Container,
        Column::Inode,
        Column::Started,
        Column::Exe,
    ];

    /// The name on the command line and in the header of CSV and TSV.
    pub const fn name(self) -> &'static str {
        match self {
            Column::Space => "space",
            Column::Protocol => "proto",
            Column::Address => "local",
            Column::Port => "port",
            Column::Category => "category",
            Column::Service => "service",
            Column::State => "state",
            Column::Peer => "peer",
            Column::PeerProcess => "peer-process",
            Column::Pid => "pid",
            Column::Process => "process",
            Column::User => "user",
            Column::Unit => "unit",
            Column::Container => "container",
            Column::Exposure => "exposure",
            Column::Family => "family",
            Column::Device => "device",
            Column::Queue => "queue",
            Column::RecvQueue => "recv-q",
            Column::SendQueue => "send-q",
            Column::Timer => "timer",
            Column::Fd => "fd",
            Column::Inode => "inode",
            Column::Uid => "uid",
            Column::Exe => "exe",
            Column::Started => "started",
            Column::Argv => "argv",
            Column::Runs => "runs",
            Column::Project => "project",
            Column::Cwd => "cwd",
            Column::Description => "description",
            Column::Source => "source",
            Column::V6only => "v6only",
            Column::Rx => "rx",
            Column::Tx => "tx",
            Column::Rtt => "rtt",
            Column::Retransmits => "retransmits",
            Column::Idle => "idle",
        }
    }

    /// The head of the column in a table.
    pub fn header(self) -> String {
        match self {
            Column::Address => "ADDRESS".to_owned(),
            column => column.name().to_ascii_uppercase(),
        }
    }

    /// Says whether its values are numbers, which stand flush right.
    pub const fn is_number(self) -> bool {
        matches!(
            self,
            Column::Port
                | Column::Pid
                | Column::Inode
                | Column::Uid
                | Column::RecvQueue
                | Column::SendQueue
                | Column::Rx
                | Column::Tx
                | Column::Rtt
                | Column::Retransmits
                | Column::Idle
        )
    }

    /// The cell as a person reads it: the foremost holder, and how many more there are.
    pub fn cell(self, row: &Row<'_>, charset: Charset) -> Text {
        match self {
            Column::Process => process_cell(row, charset),
            Column::Address => address_cell(row, charset),
            Column::Peer => peer_cell(row, charset).unwrap_or_else(Text::unknown),
            Column::Project => project_cell(row, charset).unwrap_or_else(Text::unknown),
            Column::Pid => row.processes.first().map_or_else(Text::unknown, |(pid, _)| number(pid.0)),
            Column::Fd => {
                row.socket.owner.holders().first().and_then(|holder| holder.fd).map_or_else(Text::unknown, number)
            }
            Column::Container => {
                let made_by = row.belonging().and_then(|belonging| belonging.container.as_ref());
                made_by.map_or_else(Text::unknown, |made_by| container(made_by, charset))
            }
            column if Column::TRAFFIC.contains(&column) => {
                traffic::cell(column, row.socket.traffic.as_deref()).unwrap_or_else(Text::unknown)
            }
            _ => self.value(row, charset).unwrap_or_else(Text::unknown),
        }
    }

    /// The whole value, as programs read it: every holder, and nothing where nothing is known.
    pub fn value(self, row: &Row<'_>, charset: Charset) -> Option<Text> {
        let socket = row.socket;
        let plain = |text: &str| Some(Text::plain(text));
        match self {
            Column::Space => Some(Text::of(&row.space.label, charset)),
            Column::Protocol => plain(socket.protocol.name()),
            Column::Address => Some(address(row, charset)),
            Column::Port => Some(number(u32::from(socket.local.port.get()))),
            Column::Category => plain(row.category.name()),
            Column::Service => row.service().map(|service| Text::of(service.name, charset)),
            Column::State => socket.state.and_then(|state| plain(state.name())),
            Column::Peer => peer(row, charset),
            Column::PeerProcess => running(row.peer_process(), charset),
            Column::Pid => list(row.processes.iter().map(|(pid, _)| Some(number(pid.0)))),
            Column::Process => list(row.processes.iter().map(|(_, process)| name(process.as_ref().copied(), charset))),
            Column::User => user(row, charset),
            Column::Unit => row.unit().map(|unit| Text::of(unit, charset)),
            Column::Container => row.belonging()?.container.as_ref().map(|made_by| {
                let name = made_by.name.as_ref().unwrap_or(&made_by.id);
                Text::join(&[Text::plain(made_by.runtime.name()), Text::of(name, charset)], " ")
            }),
            Column::Exposure => plain(row.exposure.name()),
            Column::Family => plain(socket.family.name()),
            Column::Device => socket.device.as_deref().map(|device| Text::of(device, charset)),
            Column::Queue => socket.queue().map(|queue| Text::plain(format_compact!("{}/{}", queue.used, queue.limit))),
            Column::RecvQueue => {
                let of_listener = || socket.queue().map(|queue| queue.used);
                socket.pending().map(|pending| pending.unread).or_else(of_listener).map(number)
            }
            Column::SendQueue => {
                let of_listener = || socket.queue().map(|queue| queue.limit);
                socket.pending().map(|pending| pending.unacknowledged).or_else(of_listener).map(number)
            }
            Column::Timer => socket.timer.map(|timer| Text::plain(value::timer(timer))),
            Column::Fd => list(socket.owner.holders().iter().map(descriptor)),
            Column::Inode => socket.inode.map(|inode| Text::plain(inode.get().to_compact_string())),
            Column::Uid => socket.uid.map(|Uid(uid)| number(uid)),
            Column::Exe => foremost(row)?.exe.as_deref().map(|path: &Path| Text::of_os(path.as_os_str(), charset)),
            Column::Started => foremost(row)?.started_at.map(|time| Text::plain(time::rfc3339(time))),
            Column::Argv => foremost(row)?.argv.as_ref().and_then(|argv| command_line(argv, charset)),
            Column::Runs => foremost(row)?.runs.as_deref().map(|runs| Text::of_os(runs, charset)),
            Column::Project => project_cell(row, charset),
            Column::Cwd => foremost(row)?.cwd.as_deref().map(|path: &Path| Text::of_os(path.as_os_str(), charset)),
            Column::Description => row.service()?.description.map(|text| Text::of(text, charset)),
            Column::Source => row.service().and_then(|service| plain(service.source.name())),
            Column::V6only => socket.v6only.and_then(|v6only| plain(if v6only { "true" } else { "false" })),
            Column::Rx | Column::Tx | Column::Rtt | Column::Retransmits | Column::Idle => {
                traffic::value(self, socket.traffic.as_deref())
            }
        }
    }
}

impl Text {
    /// What a table shows for an unknown or absent value.
    pub fn unknown() -> Text {
        Text::plain("-")
    }
}

impl FromStr for Column {
    type Err = String;

    fn from_str(text: &str) -> Result<Column, String> {
        // What stands above a column in the table names it, too.
        let is_called = |name: &str| name.eq_ignore_ascii_case(text);
        let found = Column::ALL.into_iter().find(|column| is_called(column.name()));
        found.or_else(|| Column::ALL.into_iter().find(|column| is_called(&column.header()))).ok_or_else(|| {
            let names: Vec<_> = Column::ALL.iter().map(|column| column.name()).collect();
            format!("`{text}` is not a column: expected {}", names.join(", "))
        })
    }
}
