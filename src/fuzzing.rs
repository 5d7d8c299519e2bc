//! Readers of bytes that portscope does not control, each under the name of its fuzz target.
//!
//! None of them may panic, whatever it is given. `fuzz/` tries them with random input; the unit test below replays the
//! inputs in `tests/seeds/`. A new reader needs an entry in a list below, a fuzz target and a folder with seeds: the test
//! says which of them is missing.

use crate::collect::fuzzing::Reader;
use crate::{analyse, catalogue, collect};

const OTHERS: &[(&str, Reader)] =
    &[("policy", analyse::policy::fuzzing::policy), ("services", |bytes| drop(catalogue::host::parse(bytes)))];

/// Has the reader of this name read the bytes.
///
/// # Panics
///
/// Panics where no reader has the name.
pub fn read(name: &str, bytes: &[u8]) {
    let (_, reader) =
        readers().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no reader is called {name}"));
    reader(bytes);
}

fn readers() -> impl Iterator<Item = (&'static str, Reader)> {
    collect::fuzzing::READERS.iter().chain(OTHERS).copied()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;

    fn root() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR"))
    }

    fn paths_in(folder: &str) -> Vec<PathBuf> {
        std::fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    fn names_in(folder: &str) -> BTreeSet<String> {
        paths_in(folder).iter().map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn no_seed_makes_a_reader_panic() {
        for (name, _) in readers() {
            let seeds = paths_in(&format!("tests/seeds/{name}"));
            assert!(!seeds.is_empty(), "{name} has no seeds");
            for seed in seeds {
                let bytes = std::fs::read(&seed).unwrap();
                read(name, &bytes);
                // What is cut short, or has one byte wrong, is the cheapest input of a fuzzer.
                for end in (0..bytes.len()).step_by(bytes.len() / 64 + 1) {
                    read(name, &bytes[..end]);
                    let mut damaged = bytes.clone();
                    damaged[end] ^= 0x81;
                    read(name, &damaged);
                }
            }
        }
        if collect::fuzzing::HAS_ALL {
            let names: BTreeSet<String> = readers().map(|(name, _)| name.to_owned()).collect();
            assert_eq!(names_in("tests/seeds"), names);
        }
    }

    #[test]
    fn every_reader_has_a_fuzz_target() {
        // The published package has no fuzz/: cargo leaves out a package that lies inside of another one.
        let Ok(manifest) = std::fs::read_to_string(root().join("fuzz/Cargo.toml")) else { return };
        let names: BTreeSet<String> = readers().map(|(name, _)| name.to_owned()).collect();
        for name in &names {
            let path = format!("fuzz_targets/{name}.rs");
            let target = std::fs::read_to_string(root().join("fuzz").join(&path)).unwrap();
            assert!(target.contains(&format!("read(\"{name}\", bytes)")), "{name}: {target}");
            assert!(manifest.contains(&format!("path = \"{path}\"")), "{name} is not in fuzz/Cargo.toml");
        }
        if collect::fuzzing::HAS_ALL {
            assert_eq!(names_in("fuzz/fuzz_targets"), names);
        }
    }
}
