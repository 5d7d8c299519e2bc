//! The programs that the kernel runs when a port is opened, closed or asked for.
//!
//! Source: helpers in bpf-helpers(7); the fields of the tracepoints in /sys/kernel/tracing/events/.

use super::calls::{Calls, argument};
use super::layout::Layout;
use super::record::{ASKED, FRAME, Kind, SIZE, at};
use crate::collect::linux::bpf::assembler::{
    Assembly, Instruction, Label, R0, R1, R2, R3, R4, R6, R7, R8, R9, Register, TooFar,
};
use crate::collect::linux::bpf::field::{Field, Width};
use crate::collect::linux::bpf::process::Places;

const MAP_LOOKUP: i32 = 1;
const MAP_UPDATE: i32 = 2;
const MAP_DELETE: i32 = 3;
const GET_CURRENT_PID_TGID: i32 = 14;
const GET_SOCKET_COOKIE: i32 = 46;
const PROBE_READ_USER: i32 = 112;
const PROBE_READ_KERNEL: i32 = 113;
const KTIME_GET_BOOT_NS: i32 = 125;
const RINGBUF_OUTPUT: i32 = 130;
const GET_CURRENT_TASK_BTF: i32 = 158;

const AF_INET: i32 = 2;
const AF_INET6: i32 = 10;
const TCP_ESTABLISHED: i32 = 1;
const TCP_SYN_SENT: i32 = 2;
const TCP_SYN_RECV: i32 = 3;
const TCP_CLOSE: i32 = 7;
const TCP_LISTEN: i32 = 10;
const EBADF: i32 = 9;
const ENOTSOCK: i32 = 88;
const SOCKFS_MAGIC: i32 = 0x534F_434B;
/// Bytes of `struct sockaddr_in6`.
const LONGEST_ADDRESS: i32 = 28;

const CONTEXT: Register = R6;
/// The socket.
const SOCK: Register = R7;
const TASK: Register = R8;
/// What is followed or kept for a moment.
const HAND: Register = R9;

const PROCESS: Places =
    Places { started: at::STARTED, parent: at::PARENT, effective_uid: at::EFFECTIVE_UID, name: at::NAME };

/// The numbers by which the programs refer to their maps.
#[derive(Clone, Copy, Debug)]
pub struct Maps {
    /// Where the records go.
    pub ring: i32,
    /// How many of each kind found no room there.
    pub lost: i32,
    /// What threads that are in bind(2) now have asked for.
    pub asked: i32,
}

/// Called with each change of state of a TCP socket. Nearly all of them are of connections: they are left after two
/// comparisons unless they are wanted.
pub fn states(layout: &Layout, maps: Maps, connections: bool) -> Result<Vec<Instruction>, TooFar> {
    let mut code = Assembly::new(FRAME);
    let mut ends: [Label; 2] = Default::default();
    let [end, is_end] = &mut ends;
    let mut found = Label::default();
    code.copy(CONTEXT, R1);
    code.load(R2, CONTEXT, argument(16));
    code.load(R3, CONTEXT, argument(8));
    code.set(HAND, Kind::Listening.number());
    code.if_equal(R2, TCP_LISTEN, &mut found);
    code.set(HAND, Kind::Unlistened.number());
    let mut is_of_another = Label::default();
    code.unless_equal(R3, TCP_LISTEN, &mut is_of_another);
    // A connection begins as a copy of its listener, in the same state, and goes on from there without being closed.
    code.if_equal(R2, TCP_CLOSE, &mut found);
    code.place(is_of_another)?;
    if connections {
        code.set(HAND, Kind::Connecting.number());
        code.if_equal(R2, TCP_SYN_SENT, &mut found);
        code.set(HAND, Kind::Connected.number());
        code.if_equal(R2, TCP_ESTABLISHED, &mut found);
        code.set(HAND, Kind::Disconnected.number());
        code.unless_equal(R2, TCP_CLOSE, is_end);
        // A connection that was never established is not reported as closed.
        code.if_equal(R3, TCP_SYN_SENT, is_end);
        code.if_equal(R3, TCP_SYN_RECV, is_end);
        code.if_equal(R3, TCP_CLOSE, is_end);
    } else {
        code.jump(is_end);
    }
    code.place(found)?;
    code.load(SOCK, CONTEXT, argument(0));
    code.clear(0..FRAME);
    code.store(at::KIND, Width::Four, HAND);
    code.call(KTIME_GET_BOOT_NS);
    code.store(at::TIME, Width::Eight, R0);
    code.copy(R1, SOCK);
    code.call(GET_SOCKET_COOKIE);
    code.store(at::COOKIE, Width::Eight, R0);
    socket(&mut code, layout, Via::Type)?;
    code.load(R1, SOCK, layout.sock.socket);
    code.load(R1, R1, layout.socket_file);
    code.load(R1, R1, layout.file_inode);
    code.load(R1, R1, layout.inode_number);
    code.store(at::INODE, Width::Eight, R1);
    code.call(GET_CURRENT_PID_TGID);
    code.store(at::THREAD, Width::Eight, R0);
    code.call(GET_CURRENT_TASK_BTF);
    code.copy(TASK, R0);
    layout.process.describe(&mut code, TASK, HAND, PROCESS);
    put(&mut code, maps, end);
    for end in ends {
        code.place(end)?;
    }
    code.set(R0, 0);
    code.exit();
    Ok(code.finish())
}

/// Called when bind(2) is entered: keeps what is asked for until it is left.
pub fn bind_entered(calls: &Calls, maps: Maps) -> Result<Vec<Instruction>, TooFar> {
    let mut code = Assembly::new(FRAME);
    let mut ends: [Label; 3] = Default::default();
    let [end, lost, other] = &mut ends;
    let [mut too_long, mut fits, mut wanted]: [Label; 3] = Default::default();
    code.copy(CONTEXT, R1);
    calls.enter(&mut code, CONTEXT, HAND, [R7, R8], other);
    code.clear(at::ASKED..at::ASKED + ASKED);
    code.clear(at::KIND..at::KIND + 8);
    code.if_above(R8, LONGEST_ADDRESS, &mut too_long);
    code.jump(&mut fits);
    code.place(too_long)?;
    code.set(R8, LONGEST_ADDRESS);
    code.place(fits)?;
    code.point_at(R1, at::ADDRESS);
    code.copy(R2, R8);
    code.copy(R3, R7);
    code.call(PROBE_READ_USER);
    code.load_back(R1, at::ADDRESS, Width::Two);
    code.if_equal(R1, AF_INET, &mut wanted);
    code.unless_equal(R1, AF_INET6, end);
    code.place(wanted)?;
    code.store(at::FD, Width::Four, HAND);
    code.call(GET_CURRENT_PID_TGID);
    code.store(at::THREAD, Width::Eight, R0);
    code.map(R1, maps.asked);
    code.point_at(R2, at::THREAD);
    code.point_at(R3, at::ASKED);
    code.set(R4, 0);
    code.call(MAP_UPDATE);
    code.if_equal(R0, 0, end);
    code.store_number(at::KIND, Kind::Bound.number());
    count_lost(&mut code, maps, lost);
    for end in ends {
        code.place(end)?;
    }
    code.set(R0, 0);
    code.exit();
    Ok(code.finish())
}

/// Called when bind(2) is left: describes the socket as it is now, with the port that the kernel may have chosen.
pub fn bind_left(layout: &Layout, calls: &Calls, maps: Maps) -> Result<Vec<Instruction>, TooFar> {
    let mut code = Assembly::new(FRAME);
    let mut end = Label::default();
    let [mut bound, mut known]: [Label; 2] = Default::default();
    code.copy(CONTEXT, R1);
    let result = calls.leave(&mut code, CONTEXT, &mut end);
    code.clear(0..FRAME);
    code.call(GET_CURRENT_PID_TGID);
    code.store(at::THREAD, Width::Eight, R0);
    code.map(R1, maps.asked);
    code.point_at(R2, at::THREAD);
    code.call(MAP_LOOKUP);
    code.if_equal(R0, 0, &mut end);
    for offset in (0..ASKED).step_by(8) {
        code.load(R1, R0, argument(offset));
        code.store(at::ASKED + offset, Width::Eight, R1);
    }
    code.map(R1, maps.asked);
    code.point_at(R2, at::THREAD);
    code.call(MAP_DELETE);
    code.load(R1, CONTEXT, result);
    code.store(at::RESULT, Width::Four, R1);
    code.if_equal(R1, -EBADF, &mut end);
    code.if_equal(R1, -ENOTSOCK, &mut end);
    code.store_number(at::KIND, Kind::Bound.number());
    code.if_equal(R1, 0, &mut bound);
    code.store_number(at::KIND, Kind::BindFailed.number());
    code.jump(&mut known);
    code.place(bound)?;
    code.place(known)?;
    code.call(KTIME_GET_BOOT_NS);
    code.store(at::TIME, Width::Eight, R0);
    code.call(GET_CURRENT_TASK_BTF);
    code.copy(TASK, R0);
    layout.process.describe(&mut code, TASK, HAND, PROCESS);
    let [files, table, array] = layout.to_files;
    code.load(HAND, TASK, files);
    code.load(HAND, HAND, table);
    // An array of pointers: from here on the verifier knows no types.
    code.load(HAND, HAND, array);
    code.load_back(R1, at::FD, Width::Four);
    code.shift_left(R1, 3);
    code.add_register(HAND, R1);
    probe(&mut code, HAND, argument(0));
    code.copy(HAND, R1);
    probe(&mut code, HAND, layout.file_inode);
    code.copy(TASK, R1);
    probe(&mut code, TASK, layout.inode_number);
    code.store(at::INODE, Width::Eight, R1);
    probe(&mut code, TASK, layout.inode_super);
    code.copy(TASK, R1);
    probe(&mut code, TASK, layout.super_magic);
    code.unless_equal(R1, SOCKFS_MAGIC, &mut end);
    probe(&mut code, HAND, layout.file_private);
    code.copy(HAND, R1);
    probe(&mut code, HAND, layout.socket_sock);
    code.copy(SOCK, R1);
    code.if_equal(SOCK, 0, &mut end);
    probe(&mut code, SOCK, layout.sock.cookie);
    code.store(at::COOKIE, Width::Eight, R1);
    socket(&mut code, layout, Via::Address)?;
    put(&mut code, maps, &mut end);
    code.place(end)?;
    code.set(R0, 0);
    code.exit();
    Ok(code.finish())
}

/// How memory of the kernel is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Via {
    /// The verifier knows what the pointer is of.
    Type,
    /// It is a number, and reading there may fail, which gives zeros.
    Address,
}

/// `r1 = *(from + field)`, where reading may fail.
fn probe(code: &mut Assembly, from: Register, field: Field) {
    code.set(R1, 0);
    code.store(at::SCRATCH, Width::Eight, R1);
    code.point_at(R1, at::SCRATCH);
    code.set(
        R2,
        match field.width {
            Width::One => 1,
            Width::Two => 2,
            Width::Four => 4,
            Width::Eight => 8,
        },
    );
    code.copy(R3, from);
    code.add(R3, field.offset.into());
    code.call(PROBE_READ_KERNEL);
    code.load_back(R1, at::SCRATCH, field.width);
}

/// Puts into the record what is known of the socket.
fn socket(code: &mut Assembly, layout: &Layout, via: Via) -> Result<(), TooFar> {
    let sock = &layout.sock;
    let copy = |code: &mut Assembly, from: Field, to: i16, width: Width| {
        match via {
            Via::Type => code.load(R1, SOCK, from),
            Via::Address => probe(code, SOCK, from),
        }
        code.store(to, width, R1);
    };
    copy(code, sock.protocol, at::PROTOCOL, Width::Two);
    copy(code, sock.port, at::PORT, Width::Two);
    copy(code, sock.peer_port, at::PEER_PORT, Width::Two);
    // It lies behind what the verifier knows the type of.
    probe(code, SOCK, sock.source_port);
    code.store(at::SOURCE_PORT, Width::Two, R1);
    copy(code, sock.device, at::DEVICE, Width::Four);
    copy(code, sock.uid, at::UID, Width::Four);
    copy(code, sock.flags, at::FLAGS, Width::One);
    let [mut ipv4, mut done]: [Label; 2] = Default::default();
    copy(code, sock.family, at::FAMILY, Width::Two);
    code.if_equal(R1, AF_INET, &mut ipv4);
    let second = |field: Field| Field { offset: field.offset.saturating_add(8), ..field };
    copy(code, sock.ipv6, at::LOCAL, Width::Eight);
    copy(code, second(sock.ipv6), at::LOCAL + 8, Width::Eight);
    copy(code, sock.peer_ipv6, at::PEER, Width::Eight);
    copy(code, second(sock.peer_ipv6), at::PEER + 8, Width::Eight);
    code.jump(&mut done);
    code.place(ipv4)?;
    copy(code, sock.ipv4, at::LOCAL, Width::Four);
    copy(code, sock.peer_ipv4, at::PEER, Width::Four);
    code.place(done)?;
    match via {
        Via::Type => {
            code.load(R1, SOCK, sock.network);
            code.load(R1, R1, sock.network_number);
        }
        Via::Address => {
            probe(code, SOCK, sock.network);
            code.copy(HAND, R1);
            probe(code, HAND, sock.network_number);
        }
    }
    code.store(at::NETWORK, Width::Four, R1);
    Ok(())
}

/// Gives the record away, or counts it as lost where there is no room.
fn put(code: &mut Assembly, maps: Maps, end: &mut Label) {
    code.map(R1, maps.ring);
    code.point_at(R2, 0);
    code.set(R3, SIZE.into());
    code.set(R4, 0);
    code.call(RINGBUF_OUTPUT);
    code.if_equal(R0, 0, end);
    count_lost(code, maps, end);
}

fn count_lost(code: &mut Assembly, maps: Maps, end: &mut Label) {
    code.map(R1, maps.lost);
    code.point_at(R2, at::KIND);
    code.call(MAP_LOOKUP);
    code.if_equal(R0, 0, end);
    code.set(R1, 1);
    code.add_in_place(R0, R1);
}
