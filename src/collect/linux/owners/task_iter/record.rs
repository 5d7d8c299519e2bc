//! What the program writes for each socket, and how it is read back.

use std::collections::HashMap;

use super::TaskIterError;
use crate::collect::linux::bpf::process::MOST_GROUPS;

/// One descriptor, as the kernel's `task_file` iterator reports it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct OpenFile {
    /// Inode number; for a socket on sockfs, as `sock_diag` and `/proc/net` give it.
    pub inode: u64,
    /// Process, as numbered in the initial pid namespace.
    pub tgid: u32,
    /// Thread whose table it was read from.
    ///
    /// Equal to `tgid` unless the thread has a table of its own, or the first thread has ended. In the latter case
    /// each surviving thread repeats the table that they share (before Linux 5.10 each thread always does).
    pub pid: u32,
    /// Number of the descriptor in that table.
    pub fd: u32,
    /// What it is.
    pub kind: Kind,
}

/// What one pass reports.
#[derive(Debug, Default)]
pub struct Pass {
    /// The descriptors; those of a process follow each other.
    pub files: Vec<OpenFile>,
    /// Their processes by number.
    pub processes: HashMap<u32, Facts>,
}

/// What the pass tells of a process besides its number.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Facts {
    /// Nanoseconds since boot.
    pub started: u64,
    /// The process that started it; 0 for none.
    pub parent: u32,
    pub effective_uid: u32,
    /// Ends with NUL.
    pub name: [u8; 16],
    /// What decides about files, where that was found out.
    pub rights: Option<FileRights>,
}

/// The user and the groups that decide what files a process may read.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FileRights {
    pub uid: u32,
    pub gid: u32,
    /// How many of the groups there are.
    count: u32,
    groups: [u32; MOST_GROUPS],
}

impl FileRights {
    /// The further groups; nothing where there are too many of them to be known here.
    pub fn groups(&self) -> Option<&[u32]> {
        self.groups.get(..usize::try_from(self.count).ok()?)
    }
}

/// What kind of file was met.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// A socket of IPv4 or IPv6.
    Internet,
    /// A unix socket.
    Unix,
    /// A socket that the kernel could not look into (before Linux 5.11).
    Unknown,
    /// A file without a place in any directory: epoll, eventfd, io_uring and so on.
    Anonymous,
}

impl Kind {
    /// What stands in the record: the address family of a socket, or a number that is not a family.
    pub const ANONYMOUS: i32 = 0x7FFF;

    fn of(number: u32) -> Kind {
        match number {
            1 => Kind::Unix,
            2 | 10 => Kind::Internet,
            0x7FFF => Kind::Anonymous,
            _ => Kind::Unknown,
        }
    }
}

/// Bytes of one record.
pub const SIZE: usize = 80;

/// Where the program puts what, in bytes from the start of the record; native byte order, nothing in between.
pub mod at {
    pub const INODE: i16 = 0;
    pub const TGID: i16 = 8;
    pub const PID: i16 = 12;
    pub const FD: i16 = 16;
    pub const KIND: i16 = 20;
    pub const STARTED: i16 = 24;
    pub const PARENT: i16 = 32;
    pub const EFFECTIVE_UID: i16 = 36;
    pub const RIGHTS: i16 = 40;
    pub const NAME: i16 = 64;
}

/// Closes a pass. No task has number 0 in a pid namespace, so it cannot be mistaken.
pub const END: [u8; SIZE] = [0; SIZE];

/// The records of one pass, collected from reads of any size.
#[derive(Debug, Default)]
pub struct Records {
    pass: Pass,
    /// Start of a record whose rest comes with the next read. The kernel cuts records when its buffer is larger than
    /// ours.
    cut: Vec<u8>,
    ended: bool,
}

impl Records {
    /// Takes the bytes of one read.
    pub fn add(&mut self, mut bytes: &[u8]) -> Result<(), TaskIterError> {
        if !self.cut.is_empty() {
            let missing = (SIZE - self.cut.len()).min(bytes.len());
            let (rest, others) = bytes.split_at(missing);
            self.cut.extend_from_slice(rest);
            bytes = others;
            if let Ok(record) = <[u8; SIZE]>::try_from(self.cut.as_slice()) {
                self.cut.clear();
                self.push(&record)?;
            }
        }
        let (records, cut) = bytes.as_chunks::<SIZE>();
        self.pass.files.reserve(records.len());
        for record in records {
            self.push(record)?;
        }
        self.cut.extend_from_slice(cut);
        Ok(())
    }

    fn push(&mut self, record: &[u8; SIZE]) -> Result<(), TaskIterError> {
        if self.ended {
            return Err(self.incomplete());
        }
        if *record == END {
            self.ended = true;
        } else {
            let (file, process) = decoded(record);
            if self.pass.files.last().is_none_or(|last| last.tgid != file.tgid) {
                self.pass.processes.insert(file.tgid, process);
            }
            self.pass.files.push(file);
        }
        Ok(())
    }

    /// Returns what was reported, if the program has said that this is all.
    pub fn finish(self) -> Result<Pass, TaskIterError> {
        if self.ended && self.cut.is_empty() { Ok(self.pass) } else { Err(self.incomplete()) }
    }

    fn incomplete(&self) -> TaskIterError {
        TaskIterError::Incomplete { records: self.pass.files.len() }
    }
}

/// Reads the fields in the order of [`at`].
fn decoded(record: &[u8; SIZE]) -> (OpenFile, Facts) {
    let (words, _) = record.as_chunks::<4>();
    let word = |index: usize| words.get(index).copied().unwrap_or_default();
    let two = |index| u64::from_ne_bytes([word(index), word(index + 1)].concat().try_into().unwrap_or_default());
    let file = OpenFile {
        inode: two(0),
        tgid: u32::from_ne_bytes(word(2)),
        pid: u32::from_ne_bytes(word(3)),
        fd: u32::from_ne_bytes(word(4)),
        kind: Kind::of(u32::from_ne_bytes(word(5))),
    };
    let process = Facts {
        started: two(6),
        parent: u32::from_ne_bytes(word(8)),
        effective_uid: u32::from_ne_bytes(word(9)),
        name: record.last_chunk().copied().unwrap_or_default(),
        rights: Some(FileRights {
            uid: u32::from_ne_bytes(word(10)),
            gid: u32::from_ne_bytes(word(11)),
            count: u32::from_ne_bytes(word(12)),
            groups: [13, 14, 15].map(|index| u32::from_ne_bytes(word(index))),
        }),
    };
    (file, process)
}

/// A record as the program would write it.
#[cfg(test)]
pub fn encoded(inode: u64, tgid: u32) -> Vec<u8> {
    let mut bytes = inode.to_ne_bytes().to_vec();
    for number in [tgid, tgid, 3, 2, 0, 0, 1, 0, 7, 8, 2, 9, 10, 0] {
        bytes.extend(number.to_ne_bytes());
    }
    bytes.extend(b"nginx\0\0\0\0\0\0\0\0\0\0\0");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_without_its_closing_mark_is_incomplete() {
        let mut records = Records::default();
        records.add(&encoded(5, 9)).unwrap();

        assert!(matches!(records.finish(), Err(TaskIterError::Incomplete { records: 1 })));
    }

    #[test]
    fn a_pass_that_goes_on_after_its_closing_mark_is_refused() {
        let bytes = [END.to_vec(), encoded(5, 9)].concat();

        assert!(matches!(Records::default().add(&bytes), Err(TaskIterError::Incomplete { records: 0 })));
    }

    #[test]
    fn a_record_cut_at_the_end_is_incomplete() {
        let mut records = Records::default();
        records.add(&[encoded(5, 9), END.to_vec()].concat()).unwrap();
        records.add(&[1]).unwrap();

        assert!(matches!(records.finish(), Err(TaskIterError::Incomplete { records: 1 })));
    }

    #[test]
    fn of_too_many_groups_none_is_known() {
        let rights = |count| FileRights { uid: 7, gid: 8, count, groups: [9, 10, 11] };
        assert_eq!(rights(0).groups(), Some(&[][..]));
        assert_eq!(rights(2).groups(), Some(&[9, 10][..]));
        assert_eq!(rights(3).groups(), Some(&[9, 10, 11][..]));
        assert_eq!(rights(4).groups(), None);
        assert_eq!(rights(u32::MAX).groups(), None);
    }

    #[test]
    fn reads_of_any_size_give_the_same_records() {
        let bytes = [encoded(5, 9), encoded(1 << 40, 10), END.to_vec()].concat();
        for size in 1..=bytes.len() {
            let mut records = Records::default();
            for part in bytes.chunks(size) {
                records.add(part).unwrap();
            }
            let Pass { files, processes } = records.finish().unwrap();
            assert_eq!((files.len(), processes.len()), (2, 2), "{size}");
            assert_eq!((files[1].inode, files[1].fd), (1 << 40, 3), "{size}");
            let rights = FileRights { uid: 7, gid: 8, count: 2, groups: [9, 10, 0] };
            assert_eq!((processes[&10].rights, &processes[&10].name[..6]), (Some(rights), &b"nginx\0"[..]), "{size}");
        }
    }
}
