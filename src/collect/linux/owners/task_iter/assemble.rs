//! The BPF program, written instruction by instruction for the kernel that runs.
//!
//! Source: Linux, Documentation/bpf/standardization/instruction-set.rst; helpers in bpf-helpers(7).

use super::layout::Layout;
use super::record::{self, Kind, at};
use super::{Options, StreamStates};
use crate::collect::linux::bpf::assembler::{
    Assembly, FRAME, Instruction, Label, R0, R1, R2, R3, R4, R6, R7, R8, R9, Register, TooFar,
};
use crate::collect::linux::bpf::field::Width;
use crate::collect::linux::bpf::process::Places;

const CONTEXT: Register = R6;
const TASK: Register = R7;
const FILE: Register = R8;
const INODE: Register = R9;
/// Free again once the inode is in the record.
const LEADER: Register = INODE;

/// How the program tells a socket from another file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Recognize {
    /// By `bpf_sock_from_file`, which gives the socket too. Since Linux 5.11.
    Helper,
    /// By the inode: a socket (`S_IFSOCK`) on sockfs. The mode alone would take in the path of a unix socket that was
    /// opened with `O_PATH`.
    Filesystem,
}

const SEQ_WRITE: i32 = 127;
const SOCK_FROM_FILE: i32 = 162;

const AF_UNIX: i32 = 1;
const AF_INET: i32 = 2;
const AF_INET6: i32 = 10;
const SOCK_STREAM: i32 = 1;
const SOCK_DGRAM: i32 = 2;
const SS_UNCONNECTED: i32 = 1;
const TCP_CLOSE: i32 = 7;
const TCP_LISTEN: i32 = 10;
const S_IFMT: i32 = 0o170_000;
const S_IFSOCK: i32 = 0o140_000;
const SOCKFS_MAGIC: i32 = 0x534F_434B;
const ANON_INODE_FS_MAGIC: i32 = 0x0904_1934;

/// Bytes of the record.
#[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "a few dozen bytes")]
const RECORD: i16 = record::SIZE as i16;

/// Where in the record the facts of the process go.
const PROCESS: Places =
    Places { started: at::STARTED, parent: at::PARENT, effective_uid: at::EFFECTIVE_UID, name: at::NAME };

/// Returns the program for a kernel of this layout.
///
/// The kernel calls it for every open file with the task and the file, and once more at the end with neither.
pub fn assemble(layout: &Layout, options: Options, recognize: Recognize) -> Result<Vec<Instruction>, TooFar> {
    let mut code = Assembly::new(RECORD);
    let [mut end, mut skip, mut write] = [Label::default(), Label::default(), Label::default()];

    code.copy(CONTEXT, R1);
    code.load(FILE, CONTEXT, layout.context.file);
    code.if_equal(FILE, 0, &mut end);
    code.load(TASK, CONTEXT, layout.context.task);
    code.if_equal(TASK, 0, &mut skip);

    match recognize {
        Recognize::Helper => by_helper(&mut code, layout, options, &mut skip)?,
        Recognize::Filesystem => by_filesystem(&mut code, layout, options, &mut skip)?,
    }

    code.load(INODE, FILE, layout.file_inode);
    code.load(R1, INODE, layout.inode_number);
    code.store(at::INODE, Width::Eight, R1);
    code.load(R1, TASK, layout.task_tgid);
    code.store(at::TGID, Width::Four, R1);
    code.load(R1, TASK, layout.task_pid);
    code.store(at::PID, Width::Four, R1);
    code.load(R1, CONTEXT, layout.context.fd);
    code.store(at::FD, Width::Four, R1);
    layout.process.describe(&mut code, TASK, LEADER, PROCESS);
    layout.process.describe_rights(&mut code, LEADER, at::RIGHTS);
    code.jump(&mut write);

    code.place(end)?;
    code.set(R1, 0);
    for field in (0..).step_by(8).take(record::SIZE / 8) {
        code.store(field, Width::Eight, R1);
    }

    code.place(write)?;
    code.load(R1, CONTEXT, layout.context.meta);
    code.load(R1, R1, layout.meta_seq);
    code.copy(R2, FRAME);
    code.add(R2, -i32::from(RECORD));
    code.set(R3, RECORD.into());
    // When the buffer is full the record is dropped whole and the program called again for the file with the next
    // read, so the result need not be looked at.
    code.call(SEQ_WRITE);

    code.place(skip)?;
    code.set(R0, 0);
    code.exit();
    Ok(code.finish())
}

/// Goes on for wanted files only, with their kind in the record.
///
/// The time of a pass goes into cache misses, so nothing is read that need not be: the family is taken from the
/// operations, which all sockets of a kind share, because `struct sock` is memory of its own for each. Reading it for
/// every socket made passes half as long again.
fn by_helper(code: &mut Assembly, layout: &Layout, options: Options, skip: &mut Label) -> Result<(), TooFar> {
    let [mut internet, mut keep, mut no_socket] = [Label::default(), Label::default(), Label::default()];
    code.copy(R1, FILE);
    code.call(SOCK_FROM_FILE);
    code.if_equal(R0, 0, if options.keepers { &mut no_socket } else { skip });
    // Pointers that are null read as zeros from here on: the kernel mends such loads.
    code.load(R2, R0, layout.socket.operations);
    code.load(R2, R2, layout.operations_family);
    code.store(at::KIND, Width::Four, R2);
    code.if_equal(R2, AF_INET, &mut internet);
    if options.keepers {
        code.if_equal(R2, AF_UNIX, &mut keep);
    }
    code.unless_equal(R2, AF_INET6, skip);
    code.place(internet)?;
    code.load(R3, R0, layout.socket.r#type);
    keep_wanted(code, layout, options, &mut keep, skip)?;
    code.jump(&mut keep);
    code.place(no_socket)?;
    if options.keepers {
        unless_anonymous(code, layout, skip);
    }
    code.place(keep)
}

/// Goes on for files without a place in any directory.
fn unless_anonymous(code: &mut Assembly, layout: &Layout, skip: &mut Label) {
    code.load(INODE, FILE, layout.file_inode);
    code.load(R1, INODE, layout.inode_super);
    code.load(R1, R1, layout.super_magic);
    code.unless_equal(R1, ANON_INODE_FS_MAGIC, skip);
    code.set(R1, Kind::ANONYMOUS);
    code.store(at::KIND, Width::Four, R1);
}

/// Goes on for the types and states that are wanted. The socket is in r0, its type in r3.
fn keep_wanted(
    code: &mut Assembly,
    layout: &Layout,
    options: Options,
    keep: &mut Label,
    skip: &mut Label,
) -> Result<(), TooFar> {
    let mut stream = Label::default();
    code.if_equal(R3, SOCK_STREAM, &mut stream);
    code.unless_equal(R3, SOCK_DGRAM, skip);
    code.jump(if options.datagram { &mut *keep } else { &mut *skip });

    code.place(stream)?;
    match options.stream {
        None => code.jump(skip),
        Some(StreamStates::Any) => {}
        Some(StreamStates::Listening) => {
            // listen(2) demands it and it stays so (net/ipv4/af_inet.c), which spares reading the sock of connections.
            code.load(R4, R0, layout.socket.state);
            code.unless_equal(R4, SS_UNCONNECTED, skip);
            code.load(R1, R0, layout.socket.sock);
            code.load(R4, R1, layout.sock_state);
            code.unless_equal(R4, TCP_LISTEN, skip);
        }
        Some(StreamStates::ListeningOrBound) => {
            // A connection that was reset keeps the port it was bound to, and stays SS_CONNECTED: no short cut here.
            code.load(R1, R0, layout.socket.sock);
            code.load(R4, R1, layout.sock_state);
            code.if_equal(R4, TCP_LISTEN, keep);
            code.unless_equal(R4, TCP_CLOSE, skip);
            code.load(R4, R1, layout.sock_port);
            code.if_equal(R4, 0, skip);
        }
    }
    Ok(())
}

/// Goes on for sockets, and anonymous files where they are wanted.
fn by_filesystem(code: &mut Assembly, layout: &Layout, options: Options, skip: &mut Label) -> Result<(), TooFar> {
    let [mut keep, mut no_socket] = [Label::default(), Label::default()];
    code.load(INODE, FILE, layout.file_inode);
    code.load(R1, INODE, layout.inode_mode);
    code.and(R1, S_IFMT);
    code.unless_equal(R1, S_IFSOCK, if options.keepers { &mut no_socket } else { &mut *skip });
    code.load(R1, INODE, layout.inode_super);
    code.load(R1, R1, layout.super_magic);
    code.unless_equal(R1, SOCKFS_MAGIC, skip);
    code.set(R1, 0);
    code.store(at::KIND, Width::Four, R1);
    code.jump(&mut keep);
    code.place(no_socket)?;
    if options.keepers {
        unless_anonymous(code, layout, skip);
    }
    code.place(keep)
}
