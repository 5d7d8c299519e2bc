//! Where the running kernel keeps what the programs read.

use std::io;

use crate::collect::linux::bpf::btf::{Btf, BtfError, kind};
use crate::collect::linux::bpf::field::{Field, Width, flag, number, part, pointer};
use crate::collect::linux::bpf::kernel_btf::KernelBtf;
use crate::collect::linux::bpf::process::Process;

/// Offsets of the running kernel.
#[derive(Clone, Debug)]
pub struct Layout {
    /// BTF number of the type of the tracepoint `inet_sock_set_state`.
    pub tracepoint: u32,
    pub process: Process,
    /// From a task to its open files: `files`, `fdt`, `fd`.
    pub to_files: [Field; 3],
    pub file_inode: Field,
    /// Of a socket's file: its `struct socket`.
    pub file_private: Field,
    pub inode_number: Field,
    pub inode_super: Field,
    pub super_magic: Field,
    pub socket_sock: Field,
    pub socket_file: Field,
    pub sock: Sock,
}

/// In `struct sock`.
#[derive(Clone, Debug)]
pub struct Sock {
    pub family: Field,
    pub protocol: Field,
    /// Host order.
    pub port: Field,
    /// In `struct inet_sock`, which starts with it: the port as it is sent, which stays when the socket is closed. Network
    /// order, as what follows.
    pub source_port: Field,
    pub peer_port: Field,
    pub ipv4: Field,
    pub peer_ipv4: Field,
    pub ipv6: Field,
    pub peer_ipv6: Field,
    pub device: Field,
    /// 0 until somebody asks for it.
    pub cookie: Field,
    pub uid: Field,
    pub socket: Field,
    pub network: Field,
    /// In `struct net`.
    pub network_number: Field,
    /// The byte with the flags.
    pub flags: Field,
    pub masks: Masks,
}

/// Which bits of the byte with flags say what.
#[derive(Clone, Copy, Debug, Default)]
pub struct Masks {
    pub v6only: u8,
    pub reuseaddr: u8,
    pub reuseport: u8,
}

/// Why the layout is not known.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    #[error("32-bit programs do not load BPF programs")]
    Not64Bit,
    #[error("cannot read /sys/kernel/btf/vmlinux: {0}")]
    Read(#[from] io::Error),
    #[error("/sys/kernel/btf/vmlinux: {0}")]
    Btf(#[from] BtfError),
}

impl Layout {
    /// Reads the description that the running kernel gives of itself.
    pub fn of_this_kernel() -> Result<Layout, LayoutError> {
        if cfg!(not(target_pointer_width = "64")) {
            return Err(LayoutError::Not64Bit);
        }
        Ok(Layout::of(&KernelBtf::open()?)?)
    }

    pub(super) fn of(bytes: &[u8]) -> Result<Layout, BtfError> {
        let btf = &mut Btf::new(bytes)?;
        let [tracepoint, sock, inet, socket, task] = btf.find([
            (kind::TYPEDEF, "btf_trace_inet_sock_set_state"),
            (kind::STRUCT, "sock"),
            (kind::STRUCT, "inet_sock"),
            (kind::STRUCT, "socket"),
            (kind::STRUCT, "task_struct"),
        ])?;
        let (files, files_struct) = pointer(btf, task, "files")?;
        let (table, table_struct) = pointer(btf, files_struct, "fdt")?;
        let (socket_file, file) = pointer(btf, socket, "file")?;
        let (file_inode, inode) = pointer(btf, file, "f_inode")?;
        let (inode_super, super_block) = pointer(btf, inode, "i_sb")?;
        Ok(Layout {
            tracepoint,
            process: Process::of(btf, task)?,
            to_files: [files, table, part(btf, table_struct, &["fd"], Width::Eight)?],
            file_inode,
            file_private: part(btf, file, &["private_data"], Width::Eight)?,
            inode_number: number(btf, inode, &["i_ino"])?,
            inode_super,
            super_magic: number(btf, super_block, &["s_magic"])?,
            socket_sock: pointer(btf, socket, "sk")?.0,
            socket_file,
            sock: Sock::of(btf, sock, inet)?,
        })
    }
}

impl Sock {
    fn of(btf: &mut Btf, sock: u32, inet: u32) -> Result<Sock, BtfError> {
        const COMMON: &str = "__sk_common";
        let network = part(btf, sock, &[COMMON, "skc_net", "net"], Width::Eight)?;
        let common = btf.member(sock, COMMON)?;
        let of_net = btf.member(common.type_id, "skc_net")?;
        let (_, net) = pointer(btf, of_net.type_id, "net")?;
        let (flags, v6only) = flag(btf, sock, [COMMON, "skc_ipv6only"])?;
        let mut beside = |name| match flag(btf, sock, [COMMON, name])? {
            (field, mask) if field == flags => Ok(mask),
            _ => Err(BtfError::Unexpected { name }),
        };
        let masks = Masks { v6only, reuseaddr: beside("skc_reuse")?, reuseport: beside("skc_reuseport")? };
        Ok(Sock {
            family: number(btf, sock, &[COMMON, "skc_family"])?,
            protocol: number(btf, sock, &["sk_protocol"])?,
            port: number(btf, sock, &[COMMON, "skc_num"])?,
            source_port: number(btf, inet, &["inet_sport"])?,
            peer_port: number(btf, sock, &[COMMON, "skc_dport"])?,
            ipv4: part(btf, sock, &[COMMON, "skc_rcv_saddr"], Width::Four)?,
            peer_ipv4: part(btf, sock, &[COMMON, "skc_daddr"], Width::Four)?,
            ipv6: part(btf, sock, &[COMMON, "skc_v6_rcv_saddr"], Width::Eight)?,
            peer_ipv6: part(btf, sock, &[COMMON, "skc_v6_daddr"], Width::Eight)?,
            device: number(btf, sock, &[COMMON, "skc_bound_dev_if"])?,
            cookie: number(btf, sock, &[COMMON, "skc_cookie", "counter"])?,
            uid: number(btf, sock, &["sk_uid", "val"])?,
            socket: pointer(btf, sock, "sk_socket")?.0,
            network,
            network_number: number(btf, net, &["ns", "inum"])?,
            flags,
            masks,
        })
    }
}
