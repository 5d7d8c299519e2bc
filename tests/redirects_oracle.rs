//! Rules of the firewall judged against the kernel: random rulesets in namespaces of their own, real connections through
//! them from another host and from the same one, and what portscope says about the ports.
//!
//! PORTSCOPE_SEED repeats a run, PORTSCOPE_RULESETS sets how many rulesets it makes.
#![cfg(target_os = "linux")]
#![allow(clippy::pedantic, reason = "test code reads better without its ceremonies")]

mod support;

#[path = "support/redirects/mod.rs"]
mod redirects;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use redirects::{Counts, Stage, rules};
use support::random::Random;
use support::{is_root, skip};

/// The time after which no further ruleset is made.
const PATIENCE: Duration = Duration::from_secs(40);
const WORKERS: u64 = 2;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

#[test]
fn what_is_said_about_ports_is_what_the_kernel_does() {
    if !is_root() {
        return skip("needs root to make network namespaces");
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let seed = number("PORTSCOPE_SEED").unwrap_or(now.as_nanos() as u64 % 1_000_000_000);
    let wanted = number("PORTSCOPE_RULESETS").unwrap_or(400);
    eprintln!("PORTSCOPE_SEED={seed}");
    let end = Instant::now() + PATIENCE;
    let next = AtomicU64::new(0);
    let counts: Vec<Counts> = std::thread::scope(|scope| {
        let work = || {
            let Some(stage) = Stage::new() else { return Counts::default() };
            let mut counts = Counts::default();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= wanted || Instant::now() > end {
                    return counts;
                }
                let mut random = Random::new(seed.wrapping_add(index));
                stage.compare(&rules::any(&mut random), &mut counts, seed + index);
            }
        };
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    let counts = counts.into_iter().fold(Counts::default(), Counts::and);
    eprintln!("{counts}");
    if counts.rulesets == 0 {
        return skip("network namespaces with veth pairs cannot be made here");
    }
    assert!(counts.wrong.is_empty(), "{}", counts.wrong.join("\n"));
    assert!(counts.connected * 2 > counts.answers, "too few connections say anything: {counts}");
    assert!(counts.certain > 100 && counts.not > 100, "too few answers of each kind: {counts}");
    assert!(counts.unknown * 10 < counts.answers, "too often unknown: {counts}");
}
