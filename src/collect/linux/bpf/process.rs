//! What a program can say of the process that it runs for.

use super::assembler::{Assembly, R1, R2, Register};
use super::btf::{Btf, BtfError, Member};
use super::field::{Field, Width, field, number, part, pointer};

/// Where `struct task_struct` keeps what is known of a process.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Process {
    /// The first thread, which speaks for the process.
    pub leader: Field,
    /// The two halves of `comm`.
    pub name: [Field; 2],
    /// Nanoseconds since boot.
    pub started: Field,
    pub parent: Field,
    /// In the parent.
    pub number: Field,
    pub credentials: Field,
    /// In `struct cred`, as the next three.
    pub effective_uid: Field,
    /// The user and the group that decide what files it may read.
    pub file_user: Field,
    pub file_group: Field,
    /// Its further groups.
    pub groups: Field,
    /// In `struct group_info`: how many there are, and the first of them, four bytes each.
    pub count: Field,
    pub first_group: Field,
}

/// Where in the record each fact goes.
#[derive(Clone, Copy, Debug)]
pub struct Places {
    /// Eight bytes.
    pub started: i16,
    /// Four bytes.
    pub parent: i16,
    /// Four bytes.
    pub effective_uid: i16,
    /// Sixteen bytes.
    pub name: i16,
}

/// How many groups of a process a record has room for.
pub const MOST_GROUPS: usize = 3;

impl Process {
    /// Looks them up; `task` is the structure.
    pub fn of(btf: &mut Btf, task: u32) -> Result<Process, BtfError> {
        let name = btf.member(task, "comm")?;
        let half = |start| field(Member { offset: name.offset.saturating_add(start), ..name }, 8, "comm");
        let (credentials, cred) = pointer(btf, task, "real_cred")?;
        let (groups, group_info) = pointer(btf, cred, "group_info")?;
        Ok(Process {
            leader: pointer(btf, task, "group_leader")?.0,
            name: [half(0)?, half(8)?],
            started: number(btf, task, &["start_boottime"])?,
            parent: pointer(btf, task, "real_parent")?.0,
            number: number(btf, task, &["tgid"])?,
            credentials,
            effective_uid: number(btf, cred, &["euid", "val"])?,
            file_user: number(btf, cred, &["fsuid", "val"])?,
            file_group: number(btf, cred, &["fsgid", "val"])?,
            groups,
            count: number(btf, group_info, &["ngroups"])?,
            first_group: part(btf, group_info, &["gid"], Width::Four)?,
        })
    }

    /// Puts into the record what is known of the process of a thread. Leaves its first thread in `leader`; uses r1.
    pub fn describe(&self, code: &mut Assembly, task: Register, leader: Register, at: Places) {
        code.load(leader, task, self.leader);
        code.load(R1, leader, self.started);
        code.store(at.started, Width::Eight, R1);
        code.load(R1, leader, self.parent);
        code.load(R1, R1, self.number);
        code.store(at.parent, Width::Four, R1);
        code.load(R1, leader, self.credentials);
        code.load(R1, R1, self.effective_uid);
        code.store(at.effective_uid, Width::Four, R1);
        let [first, second] = self.name;
        code.load(R1, leader, first);
        code.store(at.name, Width::Eight, R1);
        code.load(R1, leader, second);
        code.store(at.name + 8, Width::Eight, R1);
    }

    /// Puts into the record, from `at`, the user and the group for files, how many further groups there are, and the first
    /// ones of them: 12 bytes and four for each group. Uses r1 and r2.
    pub fn describe_rights(&self, code: &mut Assembly, leader: Register, at: i16) {
        code.load(R2, leader, self.credentials);
        code.load(R1, R2, self.file_user);
        code.store(at, Width::Four, R1);
        code.load(R1, R2, self.file_group);
        code.store(at + 4, Width::Four, R1);
        code.load(R2, R2, self.groups);
        code.load(R1, R2, self.count);
        code.store(at + 8, Width::Four, R1);
        // Behind the last group there is something else. The record says how many groups there are.
        for next in (0..).step_by(4).take(MOST_GROUPS) {
            code.load(R1, R2, Field { offset: self.first_group.offset + next, ..self.first_group });
            code.store(at + 12 + next, Width::Four, R1);
        }
    }
}
