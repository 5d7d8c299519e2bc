//! Where the running kernel keeps what the program reads.
//!
//! Everything is reached from the function that the program is attached to, through the types of its parameters, so
//! that another structure of the same name cannot be mistaken for the right one.

use super::TaskIterError;
use crate::collect::linux::bpf::btf::{Btf, BtfError, kind};
use crate::collect::linux::bpf::field::{Field, Width, number, parameter, pointer};
use crate::collect::linux::bpf::kernel_btf::KernelBtf;
use crate::collect::linux::bpf::process::Process;

/// Offsets of the running kernel, for any number of programs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Layout {
    /// BTF number of the function `bpf_iter_task_file`.
    pub attach_to: u32,
    pub context: Context,
    pub meta_seq: Field,
    pub task_tgid: Field,
    pub task_pid: Field,
    /// What is known of a process.
    pub process: Process,
    pub file_inode: Field,
    pub inode_number: Field,
    pub inode_mode: Field,
    pub inode_super: Field,
    pub super_magic: Field,
    pub socket: Socket,
    /// In `struct proto_ops`.
    pub operations_family: Field,
    /// In `struct sock`, as the next.
    pub sock_state: Field,
    /// Local port in host order, 0 when there is none.
    pub sock_port: Field,
}

/// The parameters of `bpf_iter_task_file`, which the program finds in its context, eight bytes each.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Context {
    pub meta: Field,
    pub task: Field,
    pub fd: Field,
    pub file: Field,
}

/// In `struct socket`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Socket {
    pub r#type: Field,
    /// `SS_UNCONNECTED` and so on; not the state of TCP.
    pub state: Field,
    pub operations: Field,
    pub sock: Field,
}

impl Layout {
    /// Reads the description that the running kernel gives of itself.
    ///
    /// # Errors
    /// `ReadBtf` when there is none, `Btf` when it lacks something, `Not64Bit` in a 32-bit program.
    pub fn of_this_kernel() -> Result<Self, TaskIterError> {
        // Pointers are read as eight bytes below. A 32-bit program cannot tell cheaply what kernel it runs on.
        if cfg!(not(target_pointer_width = "64")) {
            return Err(TaskIterError::Not64Bit);
        }
        let bytes = KernelBtf::open().map_err(|source| TaskIterError::ReadBtf { source })?;
        Ok(Self::of(&bytes)?)
    }

    /// Reads it from BTF.
    pub fn of(bytes: &[u8]) -> Result<Self, BtfError> {
        let mut btf = Btf::new(bytes)?;
        let [attach_to, socket] = btf.find([
            (kind::FUNC, "bpf_iter_task_file"),
            // The one name that is not reached from the function: the helper returns it as a pointer.
            (kind::STRUCT, "socket"),
        ])?;
        let (meta, meta_type) = parameter(&mut btf, attach_to, "meta", Width::Eight)?;
        let (task, task_type) = parameter(&mut btf, attach_to, "task", Width::Eight)?;
        let (fd, _) = parameter(&mut btf, attach_to, "fd", Width::Four)?;
        let (file, file_type) = parameter(&mut btf, attach_to, "file", Width::Eight)?;
        let meta_struct = btf.pointee(meta_type, "meta")?;
        let task_struct = btf.pointee(task_type, "task")?;
        let file_struct = btf.pointee(file_type, "file")?;
        let (file_inode, inode) = pointer(&mut btf, file_struct, "f_inode")?;
        let (inode_super, super_block) = pointer(&mut btf, inode, "i_sb")?;
        let (socket_sock, sock) = pointer(&mut btf, socket, "sk")?;
        let (operations, proto_ops) = pointer(&mut btf, socket, "ops")?;
        Ok(Self {
            attach_to,
            context: Context { meta, task, fd, file },
            meta_seq: pointer(&mut btf, meta_struct, "seq")?.0,
            task_tgid: number(&mut btf, task_struct, &["tgid"])?,
            task_pid: number(&mut btf, task_struct, &["pid"])?,
            process: Process::of(&mut btf, task_struct)?,
            file_inode,
            inode_number: number(&mut btf, inode, &["i_ino"])?,
            inode_mode: number(&mut btf, inode, &["i_mode"])?,
            inode_super,
            super_magic: number(&mut btf, super_block, &["s_magic"])?,
            socket: Socket {
                r#type: number(&mut btf, socket, &["type"])?,
                state: number(&mut btf, socket, &["state"])?,
                operations,
                sock: socket_sock,
            },
            operations_family: number(&mut btf, proto_ops, &["family"])?,
            sock_state: number(&mut btf, sock, &["__sk_common", "skc_state"])?,
            sock_port: number(&mut btf, sock, &["__sk_common", "skc_num"])?,
        })
    }
}
