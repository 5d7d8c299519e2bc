//! What a program can say of the process that it runs for.

use super::assembler::{Assembly, R1, Register};
use super::btf::{Btf, BtfError, Member};
use super::field::{Field, Width, field, number, pointer};

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
    /// In `struct cred`.
    pub effective_uid: Field,
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

impl Process {
    /// Looks them up; `task` is the structure.
    pub fn of(btf: &mut Btf, task: u32) -> Result<Process, BtfError> {
        let name = btf.member(task, "comm")?;
        let half = |start| field(Member { offset: name.offset.saturating_add(start), ..name }, 8, "comm");
        let (credentials, cred) = pointer(btf, task, "real_cred")?;
        Ok(Process {
            leader: pointer(btf, task, "group_leader")?.0,
            name: [half(0)?, half(8)?],
            started: number(btf, task, &["start_boottime"])?,
            parent: pointer(btf, task, "real_parent")?.0,
            number: number(btf, task, &["tgid"])?,
            credentials,
            effective_uid: number(btf, cred, &["euid", "val"])?,
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
}
