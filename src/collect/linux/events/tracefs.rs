//! The numbers of tracepoints, which perf_event_open(2) asks for.

use std::fs;
use std::io;
use std::path::Path;
use std::thread::Builder;

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Where it is mounted on most hosts: since Linux 4.1, and before.
const MOUNTED: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/// Returns the numbers of these tracepoints of system calls.
///
/// Where tracefs is not mounted, a thread that ends afterwards mounts it in a mount namespace of its own: nobody else
/// sees that.
pub fn numbers<const N: usize>(names: [&'static str; N]) -> io::Result<[u64; N]> {
    for folder in MOUNTED {
        if let Ok(numbers) = read(Path::new(folder), names) {
            return Ok(numbers);
        }
    }
    let privately = move || {
        mount_privately()?;
        read(Path::new(MOUNTED[0]), names)
    };
    let thread = Builder::new().spawn(privately)?;
    thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread that reads them has failed")))
}

fn read<const N: usize>(folder: &Path, names: [&str; N]) -> io::Result<[u64; N]> {
    let mut numbers = [0; N];
    for (number, name) in numbers.iter_mut().zip(names) {
        let text = fs::read_to_string(folder.join("events/syscalls").join(name).join("id"))?;
        *number = text.trim().parse().map_err(io::Error::other)?;
    }
    Ok(numbers)
}

fn mount_privately() -> io::Result<()> {
    #[expect(unsafe_code, reason = "unshare(2) of file descriptors would be unsound; this asks for other things")]
    // SAFETY: the thread gets a mount namespace and a working directory of its own; its descriptors stay shared.
    unsafe {
        unshare_unsafe(UnshareFlags::NEWNS | UnshareFlags::FS)?;
    }
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    mount("tracefs", MOUNTED[0], "tracefs", MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC, None)?;
    Ok(())
}
