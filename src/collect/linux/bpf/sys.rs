//! bpf(2), which no safe wrapper covers.
//!
//! Source: bpf(2), `include/uapi/linux/bpf.h`.

use std::ffi::{CStr, c_int};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

use super::assembler::Instruction;
use super::program::Kind;

const BPF_PROG_LOAD: c_int = 5;
const BPF_LINK_CREATE: c_int = 28;
const BPF_ITER_CREATE: c_int = 33;
const BPF_PROG_TYPE_TRACING: u32 = 26;
const BPF_TRACE_ITER: u32 = 28;

/// The licence that the program of this module is offered under besides the crate's own.
///
/// The kernel demands one compatible with the GPL for `bpf_seq_write` and for reading its structures.
const LICENCE: &CStr = c"Dual MIT/GPL";

/// Shown by `bpftool prog`, so that an administrator sees whose program it is. At most 15 bytes.
const NAME: &[u8; 16] = b"portscope_sock\0\0";

/// Start of `union bpf_attr` as `BPF_PROG_LOAD` reads it; an older kernel accepts more than it knows if that is zero.
#[repr(C)]
#[derive(Default)]
struct LoadAttributes {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
    prog_ifindex: u32,
    expected_attach_type: u32,
    prog_btf_fd: u32,
    func_info_rec_size: u32,
    func_info: u64,
    func_info_cnt: u32,
    line_info_rec_size: u32,
    line_info: u64,
    line_info_cnt: u32,
    attach_btf_id: u32,
}

#[repr(C)]
#[derive(Default)]
struct LinkAttributes {
    prog_fd: u32,
    target_fd: u32,
    attach_type: u32,
    flags: u32,
}

#[repr(C)]
#[derive(Default)]
struct IteratorAttributes {
    link_fd: u32,
    flags: u32,
}

/// Loads a program, with the verifier's words in `log`.
pub fn load_program(kind: Kind, instructions: &[Instruction], log: Option<&mut [u8]>) -> io::Result<OwnedFd> {
    let (prog_type, expected_attach_type, attach_btf_id) = match kind {
        Kind::Iterator(function) => (BPF_PROG_TYPE_TRACING, BPF_TRACE_ITER, function),
    };
    let mut attributes = LoadAttributes {
        prog_type,
        insn_cnt: length(instructions.len())?,
        insns: address(instructions.as_ptr()),
        license: address(LICENCE.as_ptr()),
        prog_name: *NAME,
        expected_attach_type,
        attach_btf_id,
        ..LoadAttributes::default()
    };
    if let Some(log) = log {
        attributes.log_level = 1;
        attributes.log_size = length(log.len())?;
        attributes.log_buf = address(log.as_mut_ptr());
    }
    #[expect(unsafe_code, reason = "bpf(2) has no safe wrapper")]
    // SAFETY: the three addresses are of live slices with the lengths given beside them (the licence ends with NUL),
    // and `log`, the only one written to, is borrowed exclusively.
    unsafe {
        bpf(BPF_PROG_LOAD, &attributes)
    }
}

/// Attaches an iterator program.
pub fn create_link(program: &OwnedFd) -> io::Result<OwnedFd> {
    let attributes = LinkAttributes {
        prog_fd: program.as_raw_fd().cast_unsigned(),
        attach_type: BPF_TRACE_ITER,
        ..LinkAttributes::default()
    };
    #[expect(unsafe_code, reason = "bpf(2) has no safe wrapper")]
    // SAFETY: the attributes hold no address.
    unsafe {
        bpf(BPF_LINK_CREATE, &attributes)
    }
}

/// Opens a pass of an attached iterator.
pub fn create_iterator(link: &OwnedFd) -> io::Result<OwnedFd> {
    let attributes = IteratorAttributes { link_fd: link.as_raw_fd().cast_unsigned(), ..IteratorAttributes::default() };
    #[expect(unsafe_code, reason = "bpf(2) has no safe wrapper")]
    // SAFETY: the attributes hold no address.
    unsafe {
        bpf(BPF_ITER_CREATE, &attributes)
    }
}

fn length(length: usize) -> io::Result<u32> {
    u32::try_from(length).map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))
}

fn address<T>(pointer: *const T) -> u64 {
    pointer.expose_provenance() as u64
}

/// Calls bpf(2) for a command that returns a descriptor; the kernel sets close-on-exec on all of them.
///
/// # Safety
/// `T` is laid out as the start of `union bpf_attr` for `command`, without padding, and addresses in it are valid for
/// what the command does with them.
#[expect(unsafe_code, reason = "bpf(2) has no safe wrapper")]
unsafe fn bpf<T>(command: c_int, attributes: &T) -> io::Result<OwnedFd> {
    // SAFETY: the kernel reads `size_of::<T>()` bytes of the attributes; the rest is the caller's promise.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, ptr::from_ref(attributes), size_of::<T>()) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    let descriptor = c_int::try_from(result).map_err(io::Error::other)?;
    // SAFETY: the kernel has just opened it for us, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_attributes_have_the_offsets_of_the_kernel_header() {
        assert_eq!(std::mem::offset_of!(LoadAttributes, prog_name), 48);
        assert_eq!(std::mem::offset_of!(LoadAttributes, expected_attach_type), 68);
        assert_eq!(std::mem::offset_of!(LoadAttributes, attach_btf_id), 108);
        assert_eq!(size_of::<LoadAttributes>(), 112);
    }

    #[test]
    fn a_program_for_no_function_is_refused_with_an_errno() {
        let error = load_program(Kind::Iterator(0), &[], None).unwrap_err();

        assert!(error.raw_os_error().is_some());
    }
}
