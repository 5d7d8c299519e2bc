//! Why the iterator could not be used.

use std::io;

use super::BtfError;

/// Which step towards the list failed, and how.
///
/// None of them says anything about the sockets: the caller walks `/proc` instead.
#[derive(Debug, thiserror::Error)]
pub enum TaskIterError {
    /// A 32-bit build. The kernel below may have pointers of another size than ours.
    #[error("the BPF task_file iterator is not used by 32-bit programs")]
    Not64Bit,
    /// Our pid namespace could not be told, for example for want of /proc.
    #[error("cannot read /proc/self/ns/pid: {source}")]
    PidNamespace { source: io::Error },
    /// We are in a pid namespace of our own, a container for example, where the kernel's numbers mean nothing.
    #[error("this pid namespace is not the initial one, whose numbers the BPF task_file iterator gives")]
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
    /// bpf(2) does not load programs for us: `EPERM` without the capabilities or under seccomp, `ENOSYS` without BPF.
    #[error("cannot load the BPF program: {source}")]
    Load { source: io::Error },
    /// The verifier refused the program.
    #[error("the kernel refused the BPF program: {source}: {reason}")]
    Refused {
        source: io::Error,
        /// The end of what the verifier said, on one line, printable ASCII; may be empty.
        reason: String,
    },
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

/// Returns the end of a verifier log as one printable line.
///
/// The statistics on the last lines are left out ("processed 12 insns ..."): the objection stands before them.
pub fn last_words(log: &[u8]) -> String {
    let end = log.iter().position(|&byte| byte == 0).unwrap_or(log.len());
    let text = String::from_utf8_lossy(log.get(..end).unwrap_or_default());
    let lines: Vec<_> =
        text.lines().filter(|line| !line.starts_with("processed ") && !line.trim().is_empty()).collect();
    let last = lines.get(lines.len().saturating_sub(2)..).unwrap_or(&[]);
    let printable = |c: char| {
        if c == ' ' || c.is_ascii_graphic() { c } else { '?' }
    };
    last.join("; ").chars().map(printable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_are_the_objection() {
        let log = b"0: (85) call unknown#999\ninvalid func unknown#999\nprocessed 1 insns (limit 5)\n\0\0";

        assert_eq!(last_words(log), "0: (85) call unknown#999; invalid func unknown#999");
        assert_eq!(last_words(b""), "");
        assert_eq!(last_words(b"\x1b[2J\xff"), "?[2J?");
    }

    #[test]
    fn the_message_names_the_step_and_the_errno() {
        let error = TaskIterError::Load { source: io::Error::from_raw_os_error(1) };

        assert_eq!(error.to_string(), "cannot load the BPF program: Operation not permitted (os error 1)");
    }
}
