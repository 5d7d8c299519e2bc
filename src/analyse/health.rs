//! What an answer means to a monitoring system.

use super::audit::{Finding, Severity};
use super::usage::{Excess, SpaceUsage};
use crate::model::Health;

/// Above which parts of a limit a check of `usage` is not OK.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Above this part it is a warning.
    pub warning: f64,
    /// Above this part it is critical.
    pub critical: f64,
}

/// Judges an audit: critical from `fail_on` on, a warning for anything below it that is more than information.
pub fn of_findings(findings: &[Finding<'_>], fail_on: Severity) -> Health {
    let worst = findings.iter().map(|finding| finding.severity).max();
    match worst {
        Some(worst) if worst >= fail_on => Health::Critical,
        Some(worst) if worst > Severity::Info => Health::Warning,
        _ => Health::Ok,
    }
}

/// Judges how full the port spaces are. Returns what is too full, the fullest first; for OK, only the fullest of all.
pub fn of_usage<'u, 'a>(
    spaces: &'u [SpaceUsage<'a>],
    limits: Limits,
) -> (Health, Vec<(&'u SpaceUsage<'a>, Excess<'u, 'a>)>) {
    let above = |part: f64| {
        let of_space = |space: &'u SpaceUsage<'a>| space.above(part).into_iter().map(move |excess| (space, excess));
        let mut found: Vec<_> = spaces.iter().flat_map(of_space).collect();
        found.sort_by(|(_, a), (_, b)| b.share().part().total_cmp(&a.share().part()));
        found
    };
    let part = limits.warning.min(limits.critical);
    let found = above(part);
    let Some((_, fullest)) = found.first() else {
        let mut all = above(-1.0);
        all.truncate(1);
        return (Health::Ok, all);
    };
    let health = if fullest.share().part() > limits.critical { Health::Critical } else { Health::Warning };
    (health, found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::usage::usage;
    use crate::model::{Queue, Waiting};
    use crate::{join, testing};

    #[test]
    fn a_limit_is_passed_above_it_and_not_at_it() {
        let mut snapshot = testing::snapshot();
        snapshot.sockets[2].waiting = Some(Waiting::Connections(Queue { used: 9, limit: 10 }));
        let listing = join::listing(&snapshot, None);
        let spaces = usage(&listing);
        for (warning, critical, expected) in [
            (0.8, 0.95, Health::Warning),
            (0.8, 0.85, Health::Critical),
            (0.9, 0.95, Health::Ok),
            (0.95, 0.9, Health::Ok),
            (1.0, 0.5, Health::Critical),
        ] {
            let (health, found) = of_usage(&spaces, Limits { warning, critical });
            assert_eq!(health, expected, "{warning} {critical}");
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(matches!(found[0].1, Excess::Queue(_)), "{found:?}");
        }
    }
}
