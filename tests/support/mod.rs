//! Runs the built binary and asks it about sockets that the test opened itself.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::pedantic, reason = "test code reads better without its ceremonies")]

#[cfg(target_os = "linux")]
pub mod apart;
pub mod background;
#[cfg(target_os = "linux")]
pub mod emulator;
#[cfg(target_os = "linux")]
pub mod netns;
pub mod pty;
pub mod random;
#[cfg(target_os = "linux")]
pub mod refused;
#[cfg(target_os = "linux")]
pub mod room;
pub mod scene;
pub mod server;
pub mod ss;
#[cfg(target_os = "linux")]
pub mod stream;
#[cfg(target_os = "linux")]
pub mod watching;
pub mod workstation;

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long a condition may take to come true.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// A run of portscope that is being prepared. Unless said otherwise nothing may come on stderr.
#[must_use]
pub struct Run {
    program: OsString,
    arguments: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
    stderr: Stderr,
}

enum Stderr {
    Empty,
    Any,
    Contains(String),
}

/// Prepares a run with these arguments.
pub fn portscope<I: IntoIterator<Item: Into<OsString>>>(arguments: I) -> Run {
    Run {
        program: env!("CARGO_BIN_EXE_portscope").into(),
        arguments: arguments.into_iter().map(Into::into).collect(),
        variables: Vec::new(),
        stderr: Stderr::Empty,
    }
}

impl Run {
    pub fn arg(mut self, argument: impl ToString) -> Run {
        self.arguments.push(argument.to_string().into());
        self
    }

    pub fn args<I: IntoIterator<Item: ToString>>(mut self, arguments: I) -> Run {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.to_string().into()));
        self
    }

    pub fn backend(mut self, name: &str) -> Run {
        self.arguments.splice(0..0, ["--backend".into(), name.into()]);
        self
    }

    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Run {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Lets stderr hold anything: where other processes of the machine may be hidden from the test.
    pub fn any_stderr(mut self) -> Run {
        self.stderr = Stderr::Any;
        self
    }

    pub fn stderr_contains(mut self, text: &str) -> Run {
        self.stderr = Stderr::Contains(text.to_owned());
        self
    }

    /// Runs a copy that every user can reach.
    pub fn by(mut self, reachable: &ReachableBinary) -> Run {
        self.program = reachable.path().into();
        self
    }

    /// Runs as uid 65534 without groups or capabilities.
    pub fn run_by_nobody(self, reachable: &ReachableBinary) -> Run {
        let mut arguments: Vec<OsString> =
            ["--reuid", "65534", "--clear-groups", "--inh-caps=-all"].map(OsString::from).to_vec();
        arguments.push(reachable.path().into());
        arguments.extend(self.arguments);
        Run { program: "setpriv".into(), arguments, ..self }
    }

    /// Runs it by way of another command, such as `nsenter`.
    pub fn under<I: IntoIterator<Item: Into<OsString>>>(mut self, wrapper: I) -> Run {
        let mut words: Vec<OsString> = wrapper.into_iter().map(Into::into).collect();
        words.push(std::mem::replace(&mut self.program, OsString::new()));
        words.append(&mut self.arguments);
        self.program = words.remove(0);
        self.arguments = words;
        self
    }

    /// The command with a clean environment.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).env_clear().stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", "/nonexistent").env("LC_ALL", "C.UTF-8");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs it, whatever comes of it.
    pub fn output(&self) -> std::process::Output {
        output(&mut self.command())
    }

    /// Runs it and demands exit code 0.
    #[track_caller]
    pub fn success(self) -> Output {
        self.exits(0)
    }

    /// Runs it and demands this exit code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Output {
        self.exits_with([code])
    }

    /// Runs it and demands one of these exit codes.
    #[track_caller]
    pub fn exits_with<const N: usize>(self, codes: [i32; N]) -> Output {
        let output = self.output();
        let stdout = String::from_utf8(output.stdout).expect("output is UTF-8");
        let stderr = String::from_utf8(output.stderr).expect("messages are UTF-8");
        let line = format!("{:?} {:?}", self.program, self.arguments);
        let shown = format!("{line}\n--- stdout\n{stdout}\n--- stderr\n{stderr}\n--- {}", output.status);
        assert!(output.status.code().is_some_and(|code| codes.contains(&code)), "expected {codes:?}: {shown}");
        match &self.stderr {
            Stderr::Empty => assert!(stderr.is_empty(), "{shown}"),
            Stderr::Any => {}
            Stderr::Contains(text) => assert!(stderr.contains(text), "no `{text}`: {shown}"),
        }
        Output { stdout, stderr }
    }
}

/// What a run printed.
#[must_use]
#[derive(Debug)]
pub struct Output {
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }

    /// The sockets of a JSON report.
    #[track_caller]
    pub fn sockets(&self) -> Vec<Value> {
        self.json()["sockets"].as_array().expect("a report has sockets").clone()
    }

    /// The one socket of a JSON report, beside what connections of other tests may have left on the same port: the
    /// kernel gives the port of a TIME_WAIT again for another destination.
    #[track_caller]
    pub fn only_socket(&self) -> Value {
        let mut sockets = self.sockets();
        if sockets.len() > 1 {
            sockets.retain(|socket| socket["state"] != "TIME_WAIT");
        }
        assert_eq!(sockets.len(), 1, "{sockets:#?}");
        sockets.into_iter().next().unwrap()
    }
}

/// Between fork and exec a child holds everything that its parent has open, and a listing at that moment rightly shows
/// it. So only one test of a process starts children at a time: every start of one holds this until it is over.
pub fn alone() -> std::sync::MutexGuard<'static, ()> {
    static SPAWNING: std::sync::Mutex<()> = std::sync::Mutex::new(());
    SPAWNING.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Runs a command to its end.
#[track_caller]
pub fn output(command: &mut Command) -> std::process::Output {
    let _alone = alone();
    command.output().unwrap()
}

/// Starts a command. The parent goes on while the child still has copies of what was not meant for it: it has given them
/// up once it has a name of its own (`begin_new_exec` in the kernel's `fs/exec.c`).
#[track_caller]
pub fn start(command: &mut Command) -> Child {
    let _alone = alone();
    let child = command.spawn().unwrap();
    let own = std::fs::read_to_string("/proc/thread-self/comm");
    let name = format!("/proc/{}/comm", child.id());
    eventually("the child has become what was started", || {
        let name = std::fs::read_to_string(&name);
        (name.is_err() || name.ok() != own.as_ref().ok().cloned()).then_some(())
    });
    child
}

/// Closes sockets for good: no child of another test that is about to start has a copy, so that their ports are free.
pub fn close<T>(sockets: T) {
    let _alone = alone();
    drop(sockets);
}

/// The pids that hold a socket of a JSON report.
pub fn pids(socket: &Value) -> Vec<u32> {
    let processes = socket["owner"]["processes"].as_array().unwrap();
    let mut pids: Vec<u32> = processes.iter().map(|process| process["pid"].as_u64().unwrap() as u32).collect();
    pids.sort_unstable();
    pids
}

/// A child that ends with the test.
pub struct Kept(pub Child);

impl Kept {
    pub fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A process that does nothing but hold these as its standard input.
pub fn holding(socket: impl Into<std::os::fd::OwnedFd>) -> Kept {
    hold(Command::new("sleep").arg("1000"), socket)
}

/// The command as a process that holds the socket as its standard input, once it has been started for good.
pub fn hold(command: &mut Command, socket: impl Into<std::os::fd::OwnedFd>) -> Kept {
    Kept(start(command.stdin(Stdio::from(socket.into())).stdout(Stdio::null()).stderr(Stdio::null())))
}

/// Tries until the answer is there.
#[track_caller]
pub fn eventually<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(answer) = attempt() {
            return answer;
        }
        assert!(Instant::now() < end, "not within {DEADLINE:?}: {what}");
        std::thread::yield_now();
    }
}

/// Says why a test cannot run here. In CI nothing may be skipped.
pub fn skip(why: &str) {
    eprintln!("skipped: {why}");
    assert!(std::env::var_os("CI").is_none(), "skipped in CI: {why}");
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A folder of this test, removed with it.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Folder {
        Folder::in_folder(std::env::temp_dir())
    }

    /// One in a particular place.
    pub fn in_folder(place: impl Into<PathBuf>) -> Folder {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = place.into().join(format!("portscope-test-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Folder(path)
    }

    pub fn join(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.0.join(name.as_ref())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A copy of the binary that every user may run, wherever the checkout lies.
pub struct ReachableBinary(Folder);

impl ReachableBinary {
    pub fn new() -> ReachableBinary {
        use std::os::unix::fs::PermissionsExt;
        let folder = Folder::new();
        std::fs::set_permissions(&folder.0, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::copy(env!("CARGO_BIN_EXE_portscope"), folder.join("portscope")).unwrap();
        ReachableBinary(folder)
    }

    pub fn path(&self) -> PathBuf {
        self.0.join("portscope")
    }
}

/// Reads all that a child's pipe gives.
pub fn read_all(mut pipe: impl Read) -> String {
    let mut text = String::new();
    pipe.read_to_string(&mut text).unwrap();
    text
}
