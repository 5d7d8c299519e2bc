//! Instructions, and the few ways in which they are put together here.
//!
//! Source: Linux, Documentation/bpf/standardization/instruction-set.rst.

use super::field::{Field, Width};

/// `struct bpf_insn`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Instruction {
    code: u8,
    registers: u8,
    offset: i16,
    immediate: i32,
}

/// A register: r0 holds results, r1 to r5 arguments and scratch, r6 to r9 survive calls, r10 is the frame.
#[derive(Clone, Copy)]
pub struct Register(u8);

pub const R0: Register = Register(0);
pub const R1: Register = Register(1);
pub const R2: Register = Register(2);
pub const R3: Register = Register(3);
pub const R4: Register = Register(4);
/// Survives calls, as the next three.
pub const R6: Register = Register(6);
pub const R7: Register = Register(7);
pub const R8: Register = Register(8);
pub const R9: Register = Register(9);
/// The end of the frame, which grows downwards.
pub const FRAME: Register = Register(10);

const JUMP_IF_EQUAL: u8 = 0x15;
const JUMP_IF_ABOVE: u8 = 0x25;
const JUMP_IF_NOT_EQUAL: u8 = 0x55;

/// A place that jumps lead to; all of them are forward.
#[derive(Default)]
pub struct Label {
    jumps: Vec<usize>,
}

/// The program so far.
pub struct Assembly {
    instructions: Vec<Instruction>,
    /// Where the record that the program fills starts, from the frame register.
    record: i16,
}

/// A jump leads further than an instruction can say. No program here is anywhere near that long.
#[derive(Clone, Copy, Debug)]
pub struct TooFar;

impl Assembly {
    /// Starts a program that fills a record of so many bytes at the end of its frame.
    pub fn new(record: i16) -> Assembly {
        Assembly { instructions: Vec::new(), record: -record }
    }

    /// Returns the program.
    pub fn finish(self) -> Vec<Instruction> {
        self.instructions
    }

    fn emit(&mut self, code: u8, to: Register, from: Register, offset: i16, immediate: i32) {
        let registers = if cfg!(target_endian = "little") { from.0 << 4 | to.0 } else { to.0 << 4 | from.0 };
        self.instructions.push(Instruction { code, registers, offset, immediate });
    }

    /// `to = *(from + field)`, with zeros above.
    pub fn load(&mut self, to: Register, from: Register, field: Field) {
        self.emit(0x61 | size(field.width), to, from, field.offset, 0);
    }

    /// Puts the low bytes of a register into the record.
    pub fn store(&mut self, field: i16, width: Width, from: Register) {
        self.emit(0x63 | size(width), FRAME, from, self.record + field, 0);
    }

    /// Puts zeros into the record, eight bytes at a time. Uses r1.
    pub fn clear(&mut self, fields: std::ops::Range<i16>) {
        self.set(R1, 0);
        for field in fields.step_by(8) {
            self.store(field, Width::Eight, R1);
        }
    }

    /// Sets a number of four bytes in the record.
    pub fn store_number(&mut self, field: i16, number: i32) {
        self.emit(0x62, FRAME, R0, self.record + field, number);
    }

    /// `to = *(record + field)`.
    pub fn load_back(&mut self, to: Register, field: i16, width: Width) {
        self.emit(0x61 | size(width), to, FRAME, self.record + field, 0);
    }

    /// `to = &record[field]`.
    pub fn point_at(&mut self, to: Register, field: i16) {
        self.copy(to, FRAME);
        self.add(to, i32::from(self.record + field));
    }

    /// `to = map`, by the descriptor that the kernel replaces.
    pub fn map(&mut self, to: Register, map: i32) {
        const PSEUDO_MAP_FD: Register = Register(1);
        self.emit(0x18, to, PSEUDO_MAP_FD, 0, map);
        self.emit(0, R0, R0, 0, 0);
    }

    /// `*(u64 *)to += from`, at once for all processors.
    pub fn add_in_place(&mut self, to: Register, from: Register) {
        self.emit(0xDB, to, from, 0, 0);
    }

    /// `to += from`.
    pub fn add_register(&mut self, to: Register, from: Register) {
        self.emit(0x0F, to, from, 0, 0);
    }

    /// `to <<= bits`.
    pub fn shift_left(&mut self, to: Register, bits: i32) {
        self.emit(0x67, to, R0, 0, bits);
    }

    /// Jumps if the register, taken as a number without sign, is above the value.
    pub fn if_above(&mut self, register: Register, value: i32, label: &mut Label) {
        label.jumps.push(self.instructions.len());
        self.emit(JUMP_IF_ABOVE, register, R0, 0, value);
    }

    /// `to = from`.
    pub fn copy(&mut self, to: Register, from: Register) {
        self.emit(0xBF, to, from, 0, 0);
    }

    /// `to = value`, with its sign extended.
    pub fn set(&mut self, to: Register, value: i32) {
        self.emit(0xB7, to, R0, 0, value);
    }

    /// `to += value`.
    pub fn add(&mut self, to: Register, value: i32) {
        self.emit(0x07, to, R0, 0, value);
    }

    /// `to &= value`.
    pub fn and(&mut self, to: Register, value: i32) {
        self.emit(0x57, to, R0, 0, value);
    }

    /// Calls a helper: arguments in r1 to r5, result in r0.
    pub fn call(&mut self, helper: i32) {
        self.emit(0x85, R0, R0, 0, helper);
    }

    /// Ends the program with r0.
    pub fn exit(&mut self) {
        self.emit(0x95, R0, R0, 0, 0);
    }

    /// Jumps if the register holds the value.
    pub fn if_equal(&mut self, register: Register, value: i32, label: &mut Label) {
        label.jumps.push(self.instructions.len());
        self.emit(JUMP_IF_EQUAL, register, R0, 0, value);
    }

    /// Jumps if the register holds another value.
    pub fn unless_equal(&mut self, register: Register, value: i32, label: &mut Label) {
        label.jumps.push(self.instructions.len());
        self.emit(JUMP_IF_NOT_EQUAL, register, R0, 0, value);
    }

    /// Jumps.
    pub fn jump(&mut self, label: &mut Label) {
        label.jumps.push(self.instructions.len());
        self.emit(0x05, R0, R0, 0, 0);
    }

    /// Puts a label here.
    pub fn place(&mut self, label: Label) -> Result<(), TooFar> {
        let here = self.instructions.len();
        for jump in label.jumps {
            // An offset of 0 is the next instruction. The program is far too short for this to fail.
            let distance = here.checked_sub(jump + 1).and_then(|distance| i16::try_from(distance).ok());
            let instruction = self.instructions.get_mut(jump);
            let (Some(distance), Some(instruction)) = (distance, instruction) else {
                return Err(TooFar);
            };
            instruction.offset = distance;
        }
        Ok(())
    }
}

pub const fn size(width: Width) -> u8 {
    match width {
        Width::Four => 0x00,
        Width::Two => 0x08,
        Width::One => 0x10,
        Width::Eight => 0x18,
    }
}
