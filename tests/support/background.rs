//! A run of portscope that goes on while the test does something.

use std::process::{Child, Stdio};

use super::{Output, Run, eventually, read_all, start};

/// A run that was started and not waited for.
#[must_use]
pub struct Background {
    child: Child,
    line: String,
}

impl Run {
    /// Starts it.
    pub fn start(self) -> Background {
        let child = start(self.command().stdout(Stdio::piped()).stderr(Stdio::piped()));
        Background { child, line: format!("{:?}", self.command()) }
    }
}

impl Background {
    /// Waits until it has slept a few times, as one does that looks again and again.
    #[track_caller]
    pub fn has_looked_several_times(&self) {
        let status = format!("/proc/{}/status", self.child.id());
        eventually("it sleeps between looks", || {
            let text = std::fs::read_to_string(&status).unwrap();
            let line = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
            (line.trim().parse::<u32>().unwrap() >= 8).then_some(())
        });
    }

    /// Waits for its end and demands this exit code.
    #[track_caller]
    pub fn exits(mut self, code: i32) -> Output {
        let stdout = read_all(self.child.stdout.take().unwrap());
        let stderr = read_all(self.child.stderr.take().unwrap());
        let status = self.child.wait().unwrap();
        assert_eq!(status.code(), Some(code), "{}\n--- stdout\n{stdout}\n--- stderr\n{stderr}", self.line);
        Output { stdout, stderr }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
