//! The names of accounts, by their SIDs.
//!
//! Source: Microsoft, LookupAccountSidW, MS-DTYP 2.4.2.

use std::sync::mpsc;
use std::time::Duration;

use windows_sys::Win32::Security::LookupAccountSidW;

/// How long a name may take: that of a domain's account can take a call to its controller.
const PATIENCE: Duration = Duration::from_millis(500);
/// More characters than a name has.
const MOST: usize = 512;

/// The name of the account; nothing where it is not known, or not in time.
pub fn name(sid: &str) -> Option<String> {
    let sid = binary(sid)?;
    let (send, receive) = mpsc::channel();
    std::thread::Builder::new().spawn(move || send.send(look_up(&sid))).ok()?;
    receive.recv_timeout(PATIENCE).ok()?
}

#[expect(unsafe_code, reason = "LookupAccountSidW has no safe wrapper")]
fn look_up(sid: &[u32]) -> Option<String> {
    let (mut name, mut domain) = ([0_u16; MOST], [0_u16; MOST]);
    let (mut name_length, mut domain_length) = (MOST as u32, MOST as u32);
    let mut kind = 0;
    // SAFETY: the SID is whole and aligned as its last part asks; both buffers have as many characters as is said.
    let is_known = unsafe {
        LookupAccountSidW(
            std::ptr::null(),
            sid.as_ptr().cast_mut().cast(),
            name.as_mut_ptr(),
            &raw mut name_length,
            domain.as_mut_ptr(),
            &raw mut domain_length,
            &raw mut kind,
        )
    } != 0;
    let name = String::from_utf16_lossy(name.get(..name_length as usize).filter(|_| is_known)?);
    (!name.is_empty()).then_some(name)
}

/// Reads `S-1-5-21-…`: the revision and the number of parts, an authority of six bytes, and the parts.
fn binary(sid: &str) -> Option<Vec<u32>> {
    let mut numbers = sid.strip_prefix("S-1-")?.split('-');
    let authority: u64 = numbers.next()?.parse().ok().filter(|authority| *authority < 1 << 48)?;
    let parts: Vec<u32> = numbers.map(str::parse).collect::<Result<_, _>>().ok()?;
    let count = u8::try_from(parts.len()).ok().filter(|count| *count <= 15)?;
    let [_, _, a, b, c, d, e, f] = authority.to_be_bytes();
    let mut words = vec![u32::from_ne_bytes([1, count, a, b]), u32::from_ne_bytes([c, d, e, f])];
    words.extend(parts);
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sid_is_read_as_windows_writes_it() {
        assert_eq!(binary("S-1-5-18"), Some(vec![u32::from_le_bytes([1, 1, 0, 0]), u32::from_be(5), 18]));
        for text in ["", "S-1", "S-1-", "S-2-5", "S-1-5-x", "S-1-5-4294967296"] {
            assert_eq!(binary(text), None, "{text}");
        }
    }

    #[test]
    fn the_systems_own_account_has_a_name() {
        assert_eq!(name("S-1-5-18").as_deref(), Some("SYSTEM"));
        assert_eq!(name("S-1-5-99-1-2-3"), None);
    }
}
