//! A part of the machine for itself: own mounts, network, host name and processes, which end with it.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::{Kept, eventually, output, start};

/// Shell commands that mount an empty folder over this one in a mount namespace of its own. Where the checkout lies below
/// it, the programs that were built stay where they are.
pub fn empty(folder: &str) -> String {
    let programs = Path::new(env!("CARGO_BIN_EXE_portscope")).parent().unwrap();
    let mount = format!("mount -t tmpfs tmpfs {folder}");
    if !programs.starts_with(folder) {
        return mount;
    }
    let programs = programs.display();
    format!(
        "exec 9<'{programs}'; {mount}; mkdir -p '{programs}'; \
         mount --no-canonicalize --bind /proc/self/fd/9 '{programs}'; exec 9<&-"
    )
}

/// Namespaces of their own. Process 1 in them runs a script; when this value ends, everything in them is killed.
pub struct Apart {
    process: Kept,
    init: u32,
}

impl Apart {
    /// Starts the script with an empty /run, and with lo up. Needs root.
    pub fn start(script: &str) -> Apart {
        let script = format!("set -e; {}; ip link set lo up; {script}", empty("/run"));
        let unshare = ["-m", "-n", "-u", "-p", "-f", "--mount-proc", "--kill-child", "sh", "-c", &script];
        let process = Kept(start(Command::new("unshare").args(unshare).stdin(Stdio::null())));
        let children = format!("/proc/{0}/task/{0}/children", process.pid());
        let init = eventually("namespaces of their own", || {
            std::fs::read_to_string(&children).ok()?.split_whitespace().next()?.parse().ok()
        });
        Apart { process, init }
    }

    /// The process that the namespaces end with.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The words that run a command there.
    pub fn inside(&self) -> Vec<String> {
        let namespace = |kind: &str, file: &str| format!("--{kind}=/proc/{}/ns/{file}", self.init);
        vec!["nsenter".into(), namespace("mount", "mnt"), namespace("net", "net"), namespace("pid", "pid")]
    }

    /// Runs a command there.
    pub fn run(&self, words: &[&str]) -> Output {
        let inside = self.inside();
        output(Command::new(&inside[0]).args(&inside[1..]).args(words).stdin(Stdio::null()))
    }
}
