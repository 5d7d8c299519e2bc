//! A program that the kernel has checked and compiled.

use std::io;
use std::os::fd::OwnedFd;

use super::assembler::Instruction;
use super::sys;

/// What a program is called by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// An iterator, by the BTF number of its function.
    Iterator(u32),
    /// A raw tracepoint whose arguments the verifier knows the types of, by the BTF number of its type.
    TypedTracepoint(u32),
    /// A tracepoint of perf.
    Tracepoint,
}

/// A program, not yet attached. Dropping it removes it from the kernel.
#[derive(Debug)]
pub struct Program {
    file: OwnedFd,
}

/// Why the kernel did not take a program.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// bpf(2) does not load programs for this user: `EPERM` without the capabilities or under seccomp, `ENOSYS` without
    /// BPF.
    #[error("cannot load the BPF program: {source}")]
    Load {
        /// What the system answered.
        source: io::Error,
    },
    /// The verifier refused the program.
    #[error("the kernel refused the BPF program: {source}: {reason}")]
    Refused {
        /// What the system answered.
        source: io::Error,
        /// The end of what the verifier said, on one line, printable ASCII; may be empty.
        reason: String,
    },
}

impl Program {
    /// Has the kernel check and compile the program.
    ///
    /// # Errors
    /// `Load` when bpf(2) is not permitted or absent, `Refused` when the verifier objects.
    pub fn load(kind: Kind, instructions: &[Instruction]) -> Result<Self, LoadError> {
        match sys::load_program(kind, instructions, None) {
            Ok(file) => Ok(Self { file }),
            Err(error) if is_about_the_program(&error) => {
                // Once more for the verifier's words: asking for them the first time would slow down every run.
                let mut log = vec![0; 1 << 16];
                match sys::load_program(kind, instructions, Some(&mut log)) {
                    Ok(file) => Ok(Self { file }),
                    Err(source) => Err(LoadError::Refused { source, reason: last_words(&log) }),
                }
            }
            Err(source) => Err(LoadError::Load { source }),
        }
    }

    /// Attaches a raw tracepoint whose name is in the program.
    pub fn attach_tracepoint(&self) -> io::Result<OwnedFd> {
        sys::open_tracepoint(&self.file)
    }

    /// Attaches a tracepoint of perf by its number. It is called on every processor, though the event is opened on one.
    pub fn attach_event(&self, number: u64) -> io::Result<OwnedFd> {
        let event = sys::open_event(number)?;
        sys::set_program(&event, &self.file)?;
        Ok(event)
    }

    /// Attaches an iterator.
    pub fn attach_iterator(&self) -> io::Result<OwnedFd> {
        sys::create_link(&self.file)
    }
}

/// Whether bpf(2) objects to the program itself, not to the rights of the caller or to the call.
///
/// `EPERM` is excluded: it means no capability, seccomp or an LSM, and would only be repeated.
fn is_about_the_program(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EACCES | libc::ENOENT | libc::E2BIG))
}

/// Returns the end of a verifier log as one printable line.
///
/// The statistics on the last lines are left out ("processed 12 insns ..."): the objection stands before them.
fn last_words(log: &[u8]) -> String {
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

/// Says whether this thread has the capabilities that iterators of BPF take.
pub fn may_load_programs() -> bool {
    use rustix::thread::CapabilitySet as Set;
    let Ok(sets) = rustix::thread::capabilities(None) else { return false };
    sets.effective.contains(Set::SYS_ADMIN) || sets.effective.contains(Set::BPF | Set::PERFMON)
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
        let error = LoadError::Load { source: io::Error::from_raw_os_error(1) };

        assert_eq!(error.to_string(), "cannot load the BPF program: Operation not permitted (os error 1)");
    }
}
