//! A port space of the test's own: a network namespace that ends with it.

use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::{Kept, is_root, skip, start};

/// A network namespace with loopback, kept by a process.
pub struct OwnSpace(Kept);

impl OwnSpace {
    /// Makes one and runs the script in it; nothing where this user cannot.
    pub fn new(script: &str) -> Option<OwnSpace> {
        if !is_root() {
            skip("needs root to make a network namespace");
            return None;
        }
        let script = format!("set -e; ip link set lo up; {script}\necho ready; exec sleep 1000");
        let mut command = Command::new("unshare");
        command.args(["-n", "sh", "-c", &script]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut keeper = Kept(start(&mut command));
        let mut line = String::new();
        BufReader::new(keeper.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if line != "ready\n" {
            skip(&format!("cannot prepare a network namespace: {script}"));
            return None;
        }
        Some(OwnSpace(keeper))
    }

    /// The command that runs another one inside.
    pub fn inside(&self) -> [String; 2] {
        ["nsenter".to_owned(), format!("--net={}", self.path())]
    }

    /// Does something inside: sockets that it makes belong there.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let namespace = std::fs::File::open(self.path()).unwrap();
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
                work()
            });
            inside.join().unwrap()
        })
    }

    /// Its number.
    pub fn id(&self) -> u64 {
        std::fs::metadata(self.path()).unwrap().ino()
    }

    /// The number by which those know it who may not know its own: that of a table of it.
    pub fn tables(&self) -> u64 {
        std::fs::metadata(format!("/proc/{}/net/protocols", self.0.pid())).unwrap().ino()
    }

    fn path(&self) -> String {
        format!("/proc/{}/ns/net", self.0.pid())
    }
}
