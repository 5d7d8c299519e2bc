//! The bytes of the kernel's description of its types.

use std::ffi::c_void;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Deref;
use std::{ptr, slice};

use rustix::mm::{MapFlags, ProtFlags};

/// The bytes of `/sys/kernel/btf/vmlinux`: a few megabytes.
pub enum KernelBtf {
    /// Since Linux 6.16, which saves the copy.
    Mapped { start: *mut c_void, length: usize },
    /// Before.
    Copied(Vec<u8>),
}

impl KernelBtf {
    pub fn open() -> io::Result<Self> {
        let mut file = File::open("/sys/kernel/btf/vmlinux")?;
        let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        Self::map(&file, length).or_else(|_| {
            let mut bytes = Vec::with_capacity(length + 1);
            file.read_to_end(&mut bytes)?;
            Ok(Self::Copied(bytes))
        })
    }

    fn map(file: &File, length: usize) -> io::Result<Self> {
        #[expect(unsafe_code, reason = "there is no safe wrapper of mmap(2)")]
        // SAFETY: a new mapping at a place of the kernel's choice touches no memory of ours.
        let start = unsafe { rustix::mm::mmap(ptr::null_mut(), length, ProtFlags::READ, MapFlags::PRIVATE, file, 0) }?;
        Ok(Self::Mapped { start, length })
    }
}

impl Deref for KernelBtf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            #[expect(unsafe_code, reason = "there is no safe wrapper of mmap(2)")]
            // SAFETY: `length` bytes are mapped at `start` until drop. The file is a part of the kernel's image, so it
            // neither changes nor shrinks.
            Self::Mapped { start, length } => unsafe { slice::from_raw_parts(start.cast::<u8>(), *length) },
            Self::Copied(bytes) => bytes,
        }
    }
}

impl Drop for KernelBtf {
    fn drop(&mut self) {
        if let Self::Mapped { start, length } = *self {
            #[expect(unsafe_code, reason = "there is no safe wrapper of munmap(2)")]
            // SAFETY: mapped by `map`, and no slice of it outlives `self`. A failure would leave it mapped, which is
            // harmless.
            let _ = unsafe { rustix::mm::munmap(start, length) };
        }
    }
}
