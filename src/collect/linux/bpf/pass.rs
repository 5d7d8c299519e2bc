//! Reads what an iterator writes in one pass over what the kernel has.

use std::io::{self, Read};

/// How much is asked for at once. The kernel gives at most 8 pages per read, which is 32 KiB with pages of 4 KiB and
/// 512 KiB with pages of 64 KiB; untouched pages of this buffer cost nothing.
const CHUNK: usize = 256 << 10;

/// How often the kernel may answer `EAGAIN`: it does so after a million objects without a record (a pass is not lost by
/// it), so this bounds a pass at a billion.
pub const PATIENCE: u32 = 1000;

/// Hands on the pass piece by piece, up to its end. `failed` makes the error of a read that has failed.
pub fn read<E>(
    pass: &mut impl Read,
    mut add: impl FnMut(&[u8]) -> Result<(), E>,
    failed: impl FnOnce(io::Error) -> E,
) -> Result<(), E> {
    let mut buffer = vec![0; CHUNK];
    let mut patience = PATIENCE;
    loop {
        match pass.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => add(buffer.get(..length).unwrap_or_default())?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && patience > 0 => {
                patience -= 1;
            }
            Err(error) => return Err(failed(error)),
        }
    }
}
