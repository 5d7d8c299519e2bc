//! How the allocator shares memory among threads.

/// Makes all threads take memory from one place.
///
/// The C library gives each thread an arena of its own, 64 MiB of address space that it maps, aligns and unmaps again:
/// a fifth of the time of a listing on a quiet host. The few threads of this program allocate little beside each other,
/// so they do not wait for the one arena. Source: mallopt(3).
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "no maintained crate has mallopt(3)")]
pub fn share_one_arena() {
    // SAFETY: the call sets a number inside the allocator; it is made before there is a second thread.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
}

/// Other allocators have no such arenas.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn share_one_arena() {}
