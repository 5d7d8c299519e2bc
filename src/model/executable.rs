//! The file that a process runs, as the kernel tells it, and who else could have put it there.

use std::path::PathBuf;

use super::Uid;

/// What is known of the file that a process runs, beside its path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Executable {
    /// Whether the path names this very file here too. It does not where the process lives in a mount namespace of its
    /// own, in which any file can have any path.
    pub is_here: bool,
    /// The user that owns the file, where it may be asked.
    pub owner: Option<Uid>,
    /// Everything on the way to it, and to what runs in it, that a user other than root and the process's own can replace.
    pub replaceable: Vec<Replaceable>,
}

/// A file or folder that decides what a process runs and that others can replace.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Replaceable {
    /// What it is part of.
    pub part: Part,
    /// The file or folder.
    pub path: PathBuf,
    /// Who can replace it.
    pub by: Replacer,
}

/// What a file is to the process that runs it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Part {
    /// The file that the kernel was asked to run.
    Program,
    /// A file that a loader such as ld.so has mapped to be run.
    Loaded,
    /// What an interpreter runs, by the arguments of its process: a claim.
    Script,
}

/// Who can replace a file.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Replacer {
    /// Every user.
    Everybody,
    /// This user.
    User(Uid),
}

/// Programs that load another file and run that.
#[allow(dead_code, reason = "asked on Linux")]
pub fn is_loader(file_name: &str) -> bool {
    let mut parts = file_name.split('.').skip(1);
    parts.any(|part| part == "so")
        && (file_name.starts_with("ld-") || file_name.starts_with("ld.") || file_name.starts_with("ld64."))
}

/// Programs that run the file which their arguments name.
#[allow(dead_code, reason = "asked on Linux")]
pub fn is_interpreter(file_name: &str) -> bool {
    const INTERPRETERS: [&str; 19] = [
        "python", "node", "nodejs", "deno", "bun", "ruby", "perl", "php", "java", "dotnet", "beam.smp", "sh", "bash",
        "dash", "zsh", "lua", "luajit", "tclsh", "Rscript",
    ];
    let base = file_name.trim_end_matches(|character: char| character.is_ascii_digit() || character == '.');
    INTERPRETERS.iter().any(|known| *known == file_name || *known == base.trim_end_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loaders_and_interpreters_are_known_by_their_file() {
        for name in ["ld-linux-x86-64.so.2", "ld-musl-x86_64.so.1", "ld.so.1", "ld64.so.2", "ld-2.31.so"] {
            assert!(is_loader(name), "{name}");
        }
        for name in ["python3.11", "python", "node", "php8.2", "java", "perl5.36.0", "sh", "ruby3.1", "lua5.4"] {
            assert!(is_interpreter(name), "{name}");
        }
        for name in ["nginx", "ld", "ldap.so", "sshd", "nodemon", "pythonista", ""] {
            assert!(!is_loader(name) && !is_interpreter(name), "{name}");
        }
    }
}
