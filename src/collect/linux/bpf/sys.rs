//! bpf(2), which no safe wrapper covers.
//!
//! Source: bpf(2), `include/uapi/linux/bpf.h`.

use std::ffi::{CStr, c_int};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

use super::assembler::Instruction;
use super::loaded::Kind;

const BPF_MAP_CREATE: c_int = 0;
const BPF_MAP_LOOKUP_ELEM: c_int = 1;
const BPF_PROG_LOAD: c_int = 5;
const BPF_RAW_TRACEPOINT_OPEN: c_int = 17;
const BPF_LINK_CREATE: c_int = 28;
const BPF_ITER_CREATE: c_int = 33;
const BPF_PROG_TYPE_TRACEPOINT: u32 = 5;
const BPF_PROG_TYPE_TRACING: u32 = 26;
const BPF_TRACE_RAW_TP: u32 = 23;
const BPF_TRACE_ITER: u32 = 28;

/// The license that the program of this module is offered under besides the crate's own.
///
/// The kernel demands one compatible with the GPL for `bpf_seq_write` and for reading its structures.
const LICENSE: &CStr = c"Dual MIT/GPL";

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
        Kind::TypedTracepoint(tracepoint) => (BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP, tracepoint),
        Kind::Tracepoint => (BPF_PROG_TYPE_TRACEPOINT, 0, 0),
    };
    let mut attributes = LoadAttributes {
        prog_type,
        insn_cnt: length(instructions.len())?,
        insns: address(instructions.as_ptr()),
        license: address(LICENSE.as_ptr()),
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
    // SAFETY: the three addresses are of live slices with the lengths given beside them (the license ends with NUL),
    // and `log`, the only one written to, is borrowed exclusively.
    unsafe {
        bpf(BPF_PROG_LOAD, &attributes)
    }
}

#[repr(C)]
#[derive(Default)]
struct MapAttributes {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    map_flags: u32,
    inner_map_fd: u32,
    numa_node: u32,
    map_name: [u8; 16],
}

#[repr(C)]
#[derive(Default)]
struct ElementAttributes {
    map_fd: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
#[derive(Default)]
struct TracepointAttributes {
    name: u64,
    prog_fd: u32,
    padding: u32,
}

/// What a map is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MapKind {
    /// From any key to any value.
    Hash,
    /// From numbers to any value, all of them there from the start.
    Array,
    /// What programs put in, a process takes out.
    Ring,
}

/// Makes a map.
pub fn create_map(kind: MapKind, key_size: u32, value_size: u32, max_entries: u32) -> io::Result<OwnedFd> {
    let map_type = match kind {
        MapKind::Hash => 1,
        MapKind::Array => 2,
        MapKind::Ring => 27,
    };
    let attributes =
        MapAttributes { map_type, key_size, value_size, max_entries, map_name: *NAME, ..MapAttributes::default() };
    #[expect(unsafe_code, reason = "bpf(2) has no safe wrapper")]
    // SAFETY: the attributes hold no address.
    unsafe {
        bpf(BPF_MAP_CREATE, &attributes)
    }
}

/// Reads a number out of a map whose keys are of four bytes and whose values are of eight.
pub fn look_up(map: &OwnedFd, key: u32) -> io::Result<u64> {
    let mut value = 0_u64;
    let attributes = ElementAttributes {
        map_fd: map.as_raw_fd().cast_unsigned(),
        key: address(&raw const key),
        value: (&raw mut value).expose_provenance() as u64,
        ..ElementAttributes::default()
    };
    #[expect(unsafe_code, reason = "bpf(2) has no safe wrapper")]
    // SAFETY: the key and the value live until the call returns, and have the sizes that the map was made with.
    let result = unsafe { call(BPF_MAP_LOOKUP_ELEM, &attributes) };
    result.map(|_| value)
}

/// Attaches a program to the raw tracepoint that it was loaded for.
pub fn open_tracepoint(program: &OwnedFd) -> io::Result<OwnedFd> {
    let attributes =
        TracepointAttributes { prog_fd: program.as_raw_fd().cast_unsigned(), ..TracepointAttributes::default() };
    #[expect(unsafe_code, reason = "bpf(2) has no safe wrapper")]
    // SAFETY: the attributes hold no address: the program knows the tracepoint.
    unsafe {
        bpf(BPF_RAW_TRACEPOINT_OPEN, &attributes)
    }
}

/// Start of `struct perf_event_attr`, as long as its first published version.
///
/// Source: perf_event_open(2).
#[repr(C)]
#[derive(Default)]
struct EventAttributes {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    bp_type: u32,
    config1: u64,
}

/// Opens a tracepoint by its number, for all processes; it counts from the start.
pub fn open_event(number: u64) -> io::Result<OwnedFd> {
    const TRACEPOINT: u32 = 2;
    const CLOSE_ON_EXEC: libc::c_ulong = 8;
    let attributes = EventAttributes {
        kind: TRACEPOINT,
        size: length(size_of::<EventAttributes>())?,
        config: number,
        sample_period: 1,
        ..EventAttributes::default()
    };
    let (every_process, first_processor, no_group) = (-1 as c_int, 0 as c_int, -1 as c_int);
    #[expect(unsafe_code, reason = "perf_event_open(2) has no safe wrapper")]
    // SAFETY: the kernel reads the attributes, whose size they say themselves, and keeps no address.
    let result = unsafe {
        let attributes = ptr::from_ref(&attributes);
        libc::syscall(libc::SYS_perf_event_open, attributes, every_process, first_processor, no_group, CLOSE_ON_EXEC)
    };
    descriptor(result)
}

/// Has a program called for each event.
pub fn set_program(event: &OwnedFd, program: &OwnedFd) -> io::Result<()> {
    // `PERF_EVENT_IOC_SET_BPF`: _IOW('$', 8, u32).
    const SET_BPF: rustix::ioctl::Opcode = rustix::ioctl::opcode::write::<u32>(b'$', 8);
    #[expect(unsafe_code, reason = "this ioctl has no safe wrapper")]
    // SAFETY: the request takes a descriptor by value, and touches no memory of ours.
    unsafe {
        let request = rustix::ioctl::IntegerSetter::<SET_BPF>::new_usize(
            usize::try_from(program.as_raw_fd()).map_err(io::Error::other)?,
        );
        rustix::ioctl::ioctl(event, request)?;
    }
    Ok(())
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
/// As for `call`.
#[expect(unsafe_code, reason = "bpf(2) has no safe wrapper")]
unsafe fn bpf<T>(command: c_int, attributes: &T) -> io::Result<OwnedFd> {
    // SAFETY: the caller's promise is the same.
    let result = unsafe { call(command, attributes) }?;
    descriptor(result)
}

/// Takes the descriptor that a system call has returned.
fn descriptor(result: libc::c_long) -> io::Result<OwnedFd> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    let descriptor = c_int::try_from(result).map_err(io::Error::other)?;
    #[expect(unsafe_code, reason = "a descriptor of a system call without a safe wrapper")]
    // SAFETY: the kernel has just opened it for us, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Calls bpf(2).
///
/// # Safety
/// `T` is laid out as the start of `union bpf_attr` for `command`, without padding, and addresses in it are valid for
/// what the command does with them.
#[expect(unsafe_code, reason = "bpf(2) has no safe wrapper")]
unsafe fn call<T>(command: c_int, attributes: &T) -> io::Result<libc::c_long> {
    // SAFETY: the kernel reads `size_of::<T>()` bytes of the attributes; the rest is the caller's promise.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, ptr::from_ref(attributes), size_of::<T>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
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
