//! A network namespace of a test's own, in which fixed ports can be taken, and programs of any name that take them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::scene::Scene;
use super::{Kept, Run, eventually, is_root, output, skip, start};

/// Binds the addresses that it is given, becomes the given user, then runs the file with the sockets open.
///
/// A place is `PROTOCOL ADDRESS PORT`; a protocol with `+` asks for SO_REUSEPORT.
const HOLD: &str = "\
import os, socket, sys
exe, uid, places, kept = sys.argv[1], int(sys.argv[2]), sys.argv[3:], []
for place in places:
    protocol, address, port = place.split()
    family = socket.AF_INET6 if ':' in address else socket.AF_INET
    one = socket.socket(family, socket.SOCK_STREAM if protocol.startswith('tcp') else socket.SOCK_DGRAM)
    if family == socket.AF_INET6:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if protocol.endswith('+'):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    one.bind((address, int(port)))
    if protocol.startswith('tcp'):
        one.listen()
    one.set_inheritable(True)
    kept.append(one)
if exe == 'memfd:':
    memory = os.memfd_create('implant', 0)
    os.write(memory, open('/bin/sleep', 'rb').read())
    exe = '/proc/self/fd/%d' % memory
os.setgroups([])
os.setuid(uid)
os.execv(exe, [exe, '1000'])
";

/// The namespace; it ends with this value.
pub struct Room {
    keeper: Kept,
    wrapper: Vec<String>,
}

impl Room {
    /// Makes one with its loopback up; nothing where this user cannot.
    pub fn new() -> Option<Room> {
        Room::with("true")
    }

    /// The same with a mount namespace as well, in which the script has been run.
    pub fn with(script: &str) -> Option<Room> {
        if !is_root() {
            skip("needs root to make a network namespace");
            return None;
        }
        let script = format!("ip link set lo up && {script} && exec sleep 1000");
        let mut command = Command::new("unshare");
        command.args(["-m", "-n", "sh", "-c", &script]).stdin(Stdio::null()).stdout(Stdio::null());
        let keeper = Kept(start(&mut command));
        let pid = keeper.pid();
        eventually("the namespace is there", || runs(pid, "sleep").then_some(()));
        let ns = |kind: &str, file: &str| format!("--{kind}=/proc/{pid}/ns/{file}");
        let wrapper = vec!["nsenter".to_owned(), ns("net", "net"), ns("mount", "mnt")];
        Some(Room { keeper, wrapper })
    }

    pub fn pid(&self) -> u32 {
        self.keeper.pid()
    }

    /// Starts a scene in it.
    pub fn scene(&self, words: &str) -> Option<Scene> {
        let wrapper: Vec<&str> = self.wrapper.iter().map(String::as_str).collect();
        Scene::start_under(&wrapper, words)
    }

    /// Lets the program look at this namespace.
    pub fn look(&self, run: Run) -> Run {
        run.under(&self.wrapper)
    }

    /// Runs a command in it.
    #[track_caller]
    pub fn runs(&self, words: &[&str]) {
        let output = output(Command::new(&self.wrapper[0]).args(&self.wrapper[1..]).args(words));
        assert!(output.status.success(), "{words:?}: {output:?}");
    }

    /// Starts the file as the user, holding sockets at these places.
    pub fn holds(&self, exe: &str, uid: u32, places: &[&str]) -> Kept {
        let mut command = Command::new(&self.wrapper[0]);
        command.args(&self.wrapper[1..]).args(["python3", "-c", HOLD, exe, &uid.to_string()]).args(places);
        let child = Kept(start(command.stdin(Stdio::null()).stdout(Stdio::null())));
        let pid = child.pid();
        let is_it = || {
            let now = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
            let now = now.to_string_lossy().into_owned();
            let ends = if exe == "memfd:" { now.starts_with("/memfd:implant") } else { Path::new(&now) == real(exe) };
            ends.then_some(())
        };
        eventually(&format!("{exe} holds {places:?}"), is_it);
        child
    }
}

fn real(path: &str) -> PathBuf {
    std::fs::canonicalize(path).unwrap()
}

fn runs(pid: u32, name: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == name)
}
