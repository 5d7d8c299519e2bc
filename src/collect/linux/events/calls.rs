//! How the programs for bind(2) are called, and where they find its arguments.

use super::layout::LayoutError;
use crate::collect::linux::bpf::assembler::{Assembly, Label, R1, Register};
use crate::collect::linux::bpf::btf::{Btf, BtfError, kind};
use crate::collect::linux::bpf::field::{Field, Width, number, part};
use crate::collect::linux::bpf::kernel_btf::KernelBtf;

/// The argument of a tracepoint at this offset.
pub const fn argument(offset: i16) -> Field {
    Field { offset, width: Width::Eight }
}

/// What calls the programs.
#[derive(Clone, Debug)]
pub enum Calls {
    /// The tracepoints of bind(2) itself, by whose numbers in tracefs they are attached.
    Bind,
    /// Those that every system call passes. They cost every process some, and need no tracefs.
    Every(Registers),
}

/// Where `struct pt_regs` keeps a system call of this processor.
#[derive(Clone, Debug)]
pub struct Registers {
    /// BTF numbers of the types of the tracepoints `sys_enter` and `sys_exit`.
    pub tracepoints: [u32; 2],
    /// Which call it is.
    call: Field,
    arguments: [Field; 3],
}

impl Registers {
    /// Reads the description that the running kernel gives of itself.
    pub fn of_this_kernel() -> Result<Registers, LayoutError> {
        let bytes = KernelBtf::open()?;
        let btf = &mut Btf::new(&bytes)?;
        let [entered, left, registers] = btf.find([
            (kind::TYPEDEF, "btf_trace_sys_enter"),
            (kind::TYPEDEF, "btf_trace_sys_exit"),
            (kind::STRUCT, "pt_regs"),
        ])?;
        let (call, arguments) = of_processor(btf, registers)?;
        Ok(Registers { tracepoints: [entered, left], call, arguments })
    }
}

/// Source: syscall(2), "Architecture calling conventions".
fn of_processor(btf: &mut Btf, registers: u32) -> Result<(Field, [Field; 3]), BtfError> {
    if cfg!(target_arch = "x86_64") {
        let [first, second, third] =
            [["di"], ["si"], ["dx"]].map(|register| part(btf, registers, &register, Width::Eight));
        Ok((number(btf, registers, &["orig_ax"])?, [first?, second?, third?]))
    } else if cfg!(target_arch = "aarch64") {
        let first = part(btf, registers, &["regs"], Width::Eight)?;
        let behind = |bytes: i16| Field { offset: first.offset.saturating_add(bytes), ..first };
        Ok((number(btf, registers, &["syscallno"])?, [first, behind(8), behind(16)]))
    } else {
        Err(BtfError::Unexpected { name: "pt_regs" })
    }
}

impl Calls {
    /// Goes on only when bind(2) is entered: puts the address into one register and its length into another one. Leaves in
    /// `hand` what `descriptor` needs.
    pub fn enter(
        &self,
        code: &mut Assembly,
        context: Register,
        hand: Register,
        [address, length]: [Register; 2],
        other: &mut Label,
    ) {
        match self {
            Calls::Bind => {
                code.load(address, context, argument(24));
                code.load(length, context, argument(32));
                code.load(hand, context, argument(16));
            }
            Calls::Every(registers) => {
                code.load(R1, context, argument(8));
                code.unless_equal(R1, BIND, other);
                code.load(R1, context, argument(0));
                let [descriptor, its_address, its_length] = registers.arguments;
                code.load(address, R1, its_address);
                code.load(length, R1, its_length);
                code.load(hand, R1, descriptor);
            }
        }
    }

    /// Goes on only when bind(2) is left; says where what it returns is.
    pub fn leave(&self, code: &mut Assembly, context: Register, other: &mut Label) -> Field {
        match self {
            Calls::Bind => argument(16),
            Calls::Every(registers) => {
                code.load(R1, context, argument(0));
                code.load(R1, R1, registers.call);
                code.unless_equal(R1, BIND, other);
                argument(8)
            }
        }
    }
}

/// The number of bind(2).
const BIND: i32 = {
    #[expect(clippy::cast_possible_truncation, reason = "numbers of system calls are below a thousand")]
    let number = libc::SYS_bind as i32;
    number
};
