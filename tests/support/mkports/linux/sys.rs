//! The system calls that rustix does not wrap: the only unsafe code here.
#![expect(unsafe_code, reason = "system calls that no safe crate covers; each is small and says why it is sound")]

use std::io;
use std::mem::size_of_val;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use libc::{c_int, c_long, c_void, socklen_t};
use rustix::process::Pid;
use rustix::thread::UnshareFlags;

fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn check_long(result: c_long) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(c_int::try_from(result).unwrap_or(c_int::MAX)) }
}

/// Forks. `None` in the child, which must end by [`exit_now`] and never return to `main`.
pub fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: mkports' supervisor and the children that fork again have one thread, so no lock can be left taken.
    Ok(Pid::from_raw(check(unsafe { libc::fork() })?))
}

/// Ends the process without running anything that the parent left behind in our copy of its memory.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: takes a number and does not return.
    unsafe { libc::_exit(code) }
}

/// Ends this thread only; as the last act of a main thread it leaves a zombie leader.
pub fn exit_thread() -> ! {
    // SAFETY: nothing of this thread's stack is borrowed by another: see `threads.rs`.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
    exit_now(1)
}

/// Waits for signals, for ever.
pub fn park() -> ! {
    loop {
        // SAFETY: takes nothing.
        unsafe { libc::pause() };
    }
}

/// A fork whose parent the kernel stops in state D until the child ends: an ordinary, killable way into that state.
pub fn fork_and_block() -> io::Result<Option<Pid>> {
    // SAFETY: without CLONE_VM this is a fork that also waits; the child has memory of its own.
    let result = unsafe { libc::syscall(libc::SYS_clone, libc::CLONE_VFORK | libc::SIGCHLD, 0, 0, 0, 0) };
    Ok(Pid::from_raw(check_long(result)?))
}

/// Closes every descriptor above standard error.
pub fn close_all() {
    // SAFETY: only for children that own nothing and use no descriptor afterwards.
    unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 0_u32) };
}

/// Lets the kernel reap this process's children.
pub fn ignore_children() {
    // SAFETY: SIG_IGN is no handler, so no code runs in signal context.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
}

fn stop_signals() -> libc::sigset_t {
    // SAFETY: a zeroed set is valid memory for sigemptyset, which initialises it.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
            libc::sigaddset(&raw mut set, signal);
        }
        set
    }
}

/// Turns SIGTERM, SIGINT and SIGHUP into something to read.
pub fn catch_stop_signals() -> io::Result<OwnedFd> {
    let set = stop_signals();
    // SAFETY: the set is initialised; the new descriptor is ours alone.
    unsafe {
        check(libc::sigprocmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut()))?;
        Ok(OwnedFd::from_raw_fd(check(libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC))?))
    }
}

/// Undoes [`catch_stop_signals`] in a child.
pub fn release_stop_signals() {
    let set = stop_signals();
    // SAFETY: the set is initialised.
    unsafe { libc::sigprocmask(libc::SIG_UNBLOCK, &raw const set, ptr::null_mut()) };
}

/// Leaves namespaces; the calling process must have one thread.
pub fn unshare(flags: UnshareFlags) -> io::Result<()> {
    assert!(!flags.contains(UnshareFlags::FILES), "see unshare_files");
    // SAFETY: unsafe only because of FILES, which is excluded.
    Ok(unsafe { rustix::thread::unshare_unsafe(flags) }?)
}

/// Gives the calling thread a file table of its own.
pub fn unshare_files() -> io::Result<()> {
    // SAFETY: the thread takes no descriptor from another and gives none away: see `threads.rs`.
    Ok(unsafe { rustix::thread::unshare_unsafe(UnshareFlags::FILES) }?)
}

pub fn int_option(socket: BorrowedFd<'_>, level: c_int, name: c_int) -> io::Result<c_int> {
    let mut value: c_int = 0;
    get_option(socket, level, name, &mut value)?;
    Ok(value)
}

/// The state byte of `TCP_INFO`.
pub fn tcp_state(socket: BorrowedFd<'_>) -> io::Result<u8> {
    let mut state = 0_u8; // its first field; the kernel copies no more than we have room for
    get_option(socket, libc::IPPROTO_TCP, libc::TCP_INFO, &mut state)?;
    Ok(state)
}

fn get_option<T>(socket: BorrowedFd<'_>, level: c_int, name: c_int, value: &mut T) -> io::Result<()> {
    let mut length = socklen_t::try_from(size_of_val(value)).expect("small");
    // SAFETY: the kernel writes at most `length` bytes, all integers, into `value`.
    let result = unsafe {
        libc::getsockopt(socket.as_raw_fd(), level, name, ptr::from_mut(value).cast::<c_void>(), &raw mut length)
    };
    check(result).map(drop)
}

pub fn set_int_option(socket: &OwnedFd, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    set_option(socket, level, name, &value.to_ne_bytes())
}

/// `SO_BINDTODEVICE`.
pub fn bind_to_device(socket: &OwnedFd, device: &str) -> io::Result<()> {
    set_option(socket, libc::SOL_SOCKET, libc::SO_BINDTODEVICE, device.as_bytes())
}

fn set_option(socket: &OwnedFd, level: c_int, name: c_int, value: &[u8]) -> io::Result<()> {
    let length = socklen_t::try_from(value.len()).expect("small");
    // SAFETY: the kernel reads `length` bytes.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, value.as_ptr().cast(), length) }).map(drop)
}

/// Switches on `lo` in the calling thread's network namespace.
pub fn loopback_up(any_socket: &OwnedFd) -> io::Result<()> {
    // SAFETY: a zeroed ifreq is valid; SIOCSIFFLAGS reads the name and the flags.
    unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        request.ifr_name[0] = libc::c_char::from_ne_bytes([b'l']);
        request.ifr_name[1] = libc::c_char::from_ne_bytes([b'o']);
        request.ifr_ifru.ifru_flags = i16::try_from(libc::IFF_UP | libc::IFF_RUNNING).expect("small");
        check(libc::ioctl(any_socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request)).map(drop)
    }
}

/// An `io_uring` instance in which one file is registered; the caller may then close the file's descriptor.
pub fn uring_with(file: impl AsFd) -> io::Result<OwnedFd> {
    const REGISTER_FILES: c_long = 2;
    let mut parameters = [0_u32; 30]; // struct io_uring_params: 120 bytes
    let files: [c_int; 1] = [file.as_fd().as_raw_fd()];
    // SAFETY: the kernel fills the parameters, reads the one number, and keeps neither pointer.
    unsafe {
        let ring = check_long(libc::syscall(libc::SYS_io_uring_setup, 8, parameters.as_mut_ptr()))?;
        let ring = OwnedFd::from_raw_fd(ring);
        check_long(libc::syscall(libc::SYS_io_uring_register, ring.as_raw_fd(), REGISTER_FILES, files.as_ptr(), 1))?;
        Ok(ring)
    }
}

/// Makes descriptor `number`, which nothing else may own, a copy that survives exec.
pub fn duplicate_to(original: &OwnedFd, number: c_int) -> io::Result<OwnedFd> {
    // SAFETY: the caller owns what was at `number`, if anything; the result is the only owner of the copy.
    unsafe { Ok(OwnedFd::from_raw_fd(check(libc::dup2(original.as_raw_fd(), number))?)) }
}
