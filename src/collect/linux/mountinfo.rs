//! The list of mounts that a process sees.
//!
//! Source: proc_pid_mountinfo(5).

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// One line of the list.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Mount<'a> {
    /// The number of the mount, unique over all mount namespaces while the mount exists.
    pub id: u64,
    /// Which part of the file system is mounted: a path in it, or for `nsfs` a link such as `net:[4026531840]`.
    pub root: &'a [u8],
    /// The kind of file system, such as `proc` or `fuse.sshfs`.
    pub filesystem: &'a [u8],
    /// The options of the file system, separated by commas.
    pub options: &'a [u8],
    /// Where it is mounted, as the line has it.
    point: &'a [u8],
}

impl Mount<'_> {
    /// Where it is mounted.
    pub fn point(&self) -> PathBuf {
        let mut path = Vec::with_capacity(self.point.len());
        let mut rest = self.point;
        while let Some((byte, after)) = rest.split_first() {
            let escaped = if *byte == b'\\' { escape(after) } else { None };
            path.push(escaped.unwrap_or(*byte));
            rest = if escaped.is_some() { &after[3..] } else { after };
        }
        PathBuf::from(OsStr::from_bytes(&path))
    }
}

/// Reads the list that this process sees.
pub fn read() -> io::Result<Vec<u8>> {
    // The size of a file in /proc is 0, so reading it whole would begin with 32 bytes.
    let mut text = Vec::with_capacity(16 * 1024);
    File::open("/proc/self/mountinfo")?.read_to_end(&mut text)?;
    Ok(text)
}

/// Splits the list into mounts, in the order in which they were made; a line of another form is left out.
pub fn parse(text: &[u8]) -> impl DoubleEndedIterator<Item = Mount<'_>> {
    text.split(|byte| *byte == b'\n').filter_map(mount)
}

/// `36 35 98:0 /root /point rw,noatime master:1 - ext3 /dev/root rw,errors=continue`; there may be any number of fields
/// before the hyphen.
fn mount(line: &[u8]) -> Option<Mount<'_>> {
    let mut fields = line.split(|byte| *byte == b' ');
    let id = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
    let (root, point) = (fields.nth(2)?, fields.next()?);
    fields.find(|field| *field == b"-")?;
    let filesystem = fields.next()?;
    Some(Mount { id, root, filesystem, options: fields.nth(1)?, point })
}

/// The byte that three octal digits stand for: blanks, tabs, line breaks and backslashes are written as `\040` and the
/// like.
fn escape(digits: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits.get(..3)?).ok()?, 8).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_is_read_with_any_number_of_optional_fields() {
        for optional in ["", "shared:1 ", "shared:1 master:2 unbindable "] {
            let line = format!("36 35 98:0 /root /mnt/a\\040b\\134 rw {optional}- ext3 /dev/root rw,errors=continue\n");
            let mounts: Vec<_> = parse(line.as_bytes()).collect();
            let [mount] = mounts[..] else { panic!("{mounts:?}") };
            assert_eq!((mount.id, mount.root, mount.filesystem), (36, &b"/root"[..], &b"ext3"[..]));
            assert_eq!((mount.options, mount.point()), (&b"rw,errors=continue"[..], PathBuf::from("/mnt/a b\\")));
        }
    }

    #[test]
    fn a_line_of_another_form_is_left_out() {
        assert_eq!(parse(b"x\n\n36 35 98:0 / /a rw\n\xff - cgroup2\n36 35 98:0 / /a rw - ext3\n").count(), 0);
    }

    #[test]
    fn a_path_may_hold_any_byte_and_what_only_looks_like_an_escape() {
        let mounts: Vec<_> = parse(b"1 1 0:1 / /\xff\\04\\999\\ rw - x y rw").collect();
        assert_eq!(mounts[0].point().as_os_str().as_bytes(), b"/\xff\\04\\999\\");
    }

    proptest! {
        #[test]
        fn no_list_makes_it_panic(text in any::<Vec<u8>>(), point in any::<Vec<u8>>()) {
            parse(&text).for_each(|mount| drop(mount.point()));
            let line = [&b"1 1 0:1 / "[..], &point, b" rw - x y rw"].concat();
            parse(&line).for_each(|mount| drop(mount.point()));
        }
    }
}
