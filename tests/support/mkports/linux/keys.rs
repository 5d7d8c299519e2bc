//! `KEY=VALUE` arguments. A key that the factory does not know is an error, so that a typing slip cannot pass a test.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::str::FromStr;

use super::outcome::{Failure, Outcome};

/// The keys of one command line.
#[derive(Debug)]
pub struct Keys(BTreeMap<String, Vec<u8>>);

impl Keys {
    pub fn parse(arguments: &[OsString], known: &[&str]) -> Outcome<Self> {
        let mut keys = BTreeMap::new();
        for argument in arguments {
            let bytes = argument.as_bytes();
            let shown = argument.to_string_lossy();
            let Some(equals) = bytes.iter().position(|byte| *byte == b'=') else {
                return Err(Failure::Error(format!("`{shown}` is not KEY=VALUE")));
            };
            let key = String::from_utf8_lossy(&bytes[..equals]).into_owned();
            if !known.contains(&key.as_str()) {
                let known = known.join(", ");
                return Err(Failure::Error(format!("`{key}` is not a key of this factory, which knows: {known}")));
            }
            keys.insert(key, bytes[equals + 1..].to_vec());
        }
        Ok(Self(keys))
    }

    /// A number, an address, a word.
    pub fn value<T: FromStr>(&self, key: &str, default: T) -> Outcome<T> {
        let Some(bytes) = self.0.get(key) else { return Ok(default) };
        let text = String::from_utf8_lossy(bytes);
        text.parse().map_err(|_| Failure::Error(format!("`{text}` is not a value for `{key}`")))
    }

    /// One of a few words; the first is the default.
    pub fn choice<'a>(&self, key: &str, words: &[&'a str]) -> Outcome<&'a str> {
        let given = self.value(key, words[0].to_owned())?;
        words.iter().find(|word| **word == given).copied().ok_or_else(|| {
            Failure::Error(format!("`{given}` is not a value for `{key}`: expected {}", words.join(" or ")))
        })
    }

    /// Arbitrary bytes, written with `\xNN`, `\u{...}`, `\n`, `\t`, `\r`, `\0`, `\\`.
    pub fn bytes(&self, key: &str, default: &[u8]) -> Outcome<Vec<u8>> {
        match self.0.get(key) {
            Some(text) => unescape(text),
            None => Ok(default.to_vec()),
        }
    }

    /// Where to bind: the keys `address` and `port`, which is 0 unless the test asks for a number.
    pub fn endpoint(&self, default: &str) -> Outcome<SocketAddr> {
        let default: IpAddr = default.parse().expect("defaults are addresses");
        Ok(SocketAddr::new(self.value("address", default)?, self.value("port", 0)?))
    }

    /// The listen queue: the key `backlog`.
    pub fn backlog(&self) -> Outcome<i32> {
        self.value("backlog", 16)
    }
}

fn unescape(text: &[u8]) -> Outcome<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        let wrong = || Failure::Error(format!("`{}` has a wrong escape", String::from_utf8_lossy(text)));
        let (kind, tail) = rest.split_first().ok_or_else(wrong)?;
        rest = tail;
        match kind {
            b'\\' => bytes.push(b'\\'),
            b'n' => bytes.push(b'\n'),
            b'r' => bytes.push(b'\r'),
            b't' => bytes.push(b'\t'),
            b'0' => bytes.push(0),
            b'x' => {
                let (digits, tail) = rest.split_at_checked(2).ok_or_else(wrong)?;
                let number = hexadecimal(digits).ok_or_else(wrong)?;
                bytes.push(u8::try_from(number).map_err(|_| wrong())?);
                rest = tail;
            }
            b'u' => {
                let end = rest.iter().position(|byte| *byte == b'}').ok_or_else(wrong)?;
                let digits = rest[..end].strip_prefix(b"{").ok_or_else(wrong)?;
                let character = hexadecimal(digits).and_then(char::from_u32).ok_or_else(wrong)?;
                bytes.extend(character.encode_utf8(&mut [0; 4]).bytes());
                rest = &rest[end + 1..];
            }
            _ => return Err(wrong()),
        }
    }
    Ok(bytes)
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    u32::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}
