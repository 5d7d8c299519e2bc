//! The ring buffer: programs put records in, this process takes them out, and nobody waits for the other.
//!
//! Source: Linux, Documentation/bpf/ringbuf.rst. The first page holds the position of the reader, the second one that
//! of the writers; behind them the data is mapped twice, so that no record is cut by the end.

use std::ffi::c_void;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use rustix::mm::{MapFlags, ProtFlags};

use super::sys::{self, MapKind};

/// In the head of a record: its writer has not finished it.
const BUSY: u32 = 1 << 31;
/// In the head of a record: its writer has given it up.
const DISCARDED: u32 = 1 << 30;
/// Bytes before each record: its length, and where it lies.
const HEAD: u64 = 8;

/// A ring buffer of the kernel. Dropping it removes it once no program uses it any more.
#[derive(Debug)]
pub struct Ring {
    map: OwnedFd,
    /// The reader's page.
    consumer: Mapping,
    /// The writers' page and the data, twice.
    producer: Mapping,
    page: usize,
    /// Bytes of data, a power of two.
    size: u64,
}

impl Ring {
    /// Makes one for so many bytes: a power of two, and a multiple of the size of a page.
    pub fn new(size: u32) -> io::Result<Ring> {
        let map = sys::create_map(MapKind::Ring, 0, 0, size)?;
        let page = rustix::param::page_size();
        let data = usize::try_from(size).map_err(io::Error::other)?;
        let consumer = Mapping::new(map.as_fd(), page, 0, ProtFlags::READ | ProtFlags::WRITE)?;
        let offset = u64::try_from(page).map_err(io::Error::other)?;
        let producer = Mapping::new(map.as_fd(), page + 2 * data, offset, ProtFlags::READ)?;
        Ok(Ring { map, consumer, producer, page, size: u64::from(size) })
    }

    /// The number by which programs refer to it.
    pub fn number(&self) -> i32 {
        self.map.as_raw_fd()
    }

    /// Takes out what has been written by now, at most `most` records.
    pub fn take(&mut self, most: usize, mut take: impl FnMut(&[u8])) -> usize {
        let consumed = self.consumer.position();
        let mut at = consumed.load(Ordering::Acquire);
        let written = self.producer.position().load(Ordering::Acquire);
        let mut taken = 0;
        while at < written && taken < most {
            let Some(head) = self.head(at).map(|head| head.load(Ordering::Acquire)) else { break };
            if head & BUSY != 0 {
                break;
            }
            let length = u64::from(head & !DISCARDED);
            if head & DISCARDED == 0 {
                take(self.data(at + HEAD, length));
                taken += 1;
            }
            at += (HEAD + length).next_multiple_of(8);
            consumed.store(at, Ordering::Release);
        }
        taken
    }

    /// Where in the second mapping a position lies.
    fn offset(&self, at: u64) -> usize {
        usize::try_from(at & (self.size - 1)).unwrap_or(0) + self.page
    }

    fn head(&self, at: u64) -> Option<&AtomicU32> {
        let offset = self.offset(at);
        if offset + 4 > self.producer.length || !offset.is_multiple_of(4) {
            return None;
        }
        #[expect(unsafe_code, reason = "the memory is shared with the kernel")]
        // SAFETY: it lies within the mapping, is aligned to four bytes and lives as long as `self`. The kernel writes it
        // atomically.
        Some(unsafe { AtomicU32::from_ptr(self.producer.start.byte_add(offset).cast::<u32>()) })
    }

    /// A record that its writer has finished.
    fn data(&self, at: u64, length: u64) -> &[u8] {
        let offset = self.offset(at);
        let length = usize::try_from(length).unwrap_or(0).min(self.producer.length.saturating_sub(offset));
        #[expect(unsafe_code, reason = "the memory is shared with the kernel")]
        // SAFETY: it lies within the mapping. The kernel does not write there again before the reader's position has
        // passed it, which `take` moves only after the record was looked at.
        unsafe {
            std::slice::from_raw_parts(self.producer.start.byte_add(offset).cast::<u8>(), length)
        }
    }
}

impl AsFd for Ring {
    /// Ready to be read once there is a record.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.map.as_fd()
    }
}

/// A part of the ring buffer that is mapped into this process.
#[derive(Debug)]
struct Mapping {
    start: *mut c_void,
    length: usize,
}

#[expect(unsafe_code, reason = "the memory is shared with the kernel")]
// SAFETY: nothing in it belongs to the thread that made it, and all access goes through atomics or finished records.
unsafe impl Send for Mapping {}

impl Mapping {
    fn new(map: BorrowedFd<'_>, length: usize, offset: u64, protection: ProtFlags) -> io::Result<Mapping> {
        #[expect(unsafe_code, reason = "there is no safe wrapper of mmap(2)")]
        // SAFETY: a new mapping at a place of the kernel's choice touches no memory of ours.
        let start = unsafe { rustix::mm::mmap(ptr::null_mut(), length, protection, MapFlags::SHARED, map, offset) }?;
        Ok(Mapping { start, length })
    }

    /// The number at the start of the page.
    fn position(&self) -> &AtomicU64 {
        #[expect(unsafe_code, reason = "the memory is shared with the kernel")]
        // SAFETY: a page is long enough and aligned, and lives as long as `self`. The kernel uses it atomically.
        unsafe {
            AtomicU64::from_ptr(self.start.cast::<u64>())
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        #[expect(unsafe_code, reason = "there is no safe wrapper of munmap(2)")]
        // SAFETY: mapped by `new`, and nothing of it outlives `self`. A failure would leave it mapped, which is harmless.
        let _ = unsafe { rustix::mm::munmap(self.start, self.length) };
    }
}
