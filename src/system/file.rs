//! Files that are there as a whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// Who may read a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// Its user only.
    Private,
    /// Everybody.
    Public,
}

/// Replaces the file: the text is written beside it, forced to the disk and then takes its name, so that a reader sees
/// the old or the new one, and a full disk costs neither.
///
/// What is there and no file is left alone: root would put a file in the place of `/dev/null` or of a link.
pub fn replace(path: &Path, text: &[u8], mode: Mode) -> io::Result<()> {
    if fs::symlink_metadata(path).is_ok_and(|there| !there.is_file()) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "what is there is not a regular file"));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it names no file"))?;
    let prefix = format!(".{}.", name.to_string_lossy());
    // Where writing fails the file beside it is removed. Its name is one that was not there, even if a killed run left some.
    let mut beside = tempfile::Builder::new().prefix(&prefix).make_in(folder, create)?;
    beside.write_all(text)?;
    #[cfg(unix)]
    if mode == Mode::Public {
        use std::os::unix::fs::PermissionsExt;
        // Not left to the umask: root's may well be 077.
        beside.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
    }
    #[cfg(not(unix))]
    let _ = mode;
    beside.as_file().sync_all()?;
    beside.persist(path).map(drop).map_err(|error| error.error)
}

/// A file that was not there: whatever somebody has put in its place is neither followed nor written to.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Opens a file to read it; a FIFO in its place does not make this wait for a writer.
pub fn open_without_waiting(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags);
    }
    options.open(path)
}

/// Says whether only root may write to the file; a system without root has no other user's files under sudo.
#[cfg(unix)]
pub fn is_of_root(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    metadata.uid() == 0 && metadata.mode() & 0o022 == 0
}

/// Says whether only root may write to the file; a system without root has no other user's files under sudo.
#[cfg(not(unix))]
pub fn is_of_root(_: &fs::Metadata) -> bool {
    true
}
