//! Why the iterator could not be used.

use std::io;

use crate::collect::linux::bpf::assembler::TooFar;
use crate::collect::linux::bpf::btf::BtfError;
use crate::collect::linux::bpf::loaded::LoadError;

/// Which step towards the list failed, and how.
///
/// None of them says anything about the sockets: the caller walks `/proc` instead.
#[derive(Debug, thiserror::Error)]
pub enum TaskIterError {
    /// A 32-bit build. The kernel below may have pointers of another size than ours.
    #[error("32-bit programs do not use the BPF task_file iterator")]
    Not64Bit,
    /// Our pid namespace could not be told, for example for want of /proc.
    #[error("cannot read /proc/self/ns/pid: {source}")]
    PidNamespace { source: io::Error },
    /// We are in a pid namespace of our own, a container for example, where the kernel's numbers mean nothing.
    #[error("this PID namespace is not the initial one, whose PIDs the BPF task_file iterator returns")]
    ForeignPidNamespace,
    /// The kernel does not describe its types: built without `CONFIG_DEBUG_INFO_BTF`, or /sys is not mounted.
    #[error("cannot read /sys/kernel/btf/vmlinux: {source}")]
    ReadBtf { source: io::Error },
    /// It does, in a form that this version cannot use, or it is too old to have the iterator.
    #[error("/sys/kernel/btf/vmlinux: {source}")]
    Btf {
        #[from]
        source: BtfError,
    },
    /// The kernel did not take the program.
    #[error(transparent)]
    Program(#[from] LoadError),
    /// `BPF_LINK_CREATE` failed.
    #[error("cannot attach the BPF program to the task_file iterator: {source}")]
    Attach { source: io::Error },
    /// `BPF_ITER_CREATE` failed.
    #[error("cannot open the BPF task_file iterator: {source}")]
    Open { source: io::Error },
    /// Reading stopped with an error before the end.
    #[error("cannot read the BPF task_file iterator: {source}")]
    Read { source: io::Error },
    /// The end was reached without the program's closing mark, or the mark was not the end.
    #[error("the BPF task_file iterator ended after {records} records without being complete")]
    Incomplete { records: usize },
}

impl From<TooFar> for TaskIterError {
    fn from(TooFar: TooFar) -> TaskIterError {
        TaskIterError::Program(LoadError::Load { source: io::ErrorKind::FileTooLarge.into() })
    }
}
