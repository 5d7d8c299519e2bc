//! Where the time of a run goes.

use std::time::{Duration, Instant};

/// A part of a run. What goes on in the background meanwhile counts only as far as it is waited for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stage {
    /// The command line, the configuration, the names of services.
    Start,
    /// The socket tables of every port space that is listed.
    Sockets,
    /// Who holds the sockets.
    Owners,
    /// What is known of these processes, and of the host.
    Details,
    /// Giving each socket its meaning, leaving out what does not match, sorting.
    Join,
    /// Writing the answer.
    Output,
}

impl Stage {
    /// The name.
    pub const fn name(self) -> &'static str {
        match self {
            Stage::Start => "start",
            Stage::Sockets => "sockets",
            Stage::Owners => "owners",
            Stage::Details => "details",
            Stage::Join => "join",
            Stage::Output => "output",
        }
    }
}

/// How long each stage took, in order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Stages(pub Vec<(Stage, Duration)>);

/// Measures one stage after the other.
pub struct Stopwatch {
    since: Instant,
    stages: Stages,
}

impl Stopwatch {
    /// The first stage began at that time.
    pub fn since(start: Instant) -> Stopwatch {
        Stopwatch { since: start, stages: Stages::default() }
    }

    /// The stage ends here, and the next one begins.
    pub fn end(&mut self, stage: Stage) {
        let now = Instant::now();
        self.stages.0.push((stage, now.duration_since(self.since)));
        self.since = now;
    }

    /// Takes over what was measured by someone else since the last stage ended here.
    pub fn add(&mut self, stages: Stages) {
        self.stages.0.extend(stages.0);
        self.since = Instant::now();
    }

    /// What was measured.
    pub fn finish(self) -> Stages {
        self.stages
    }
}
