//! Where a fact about an owner comes from, which says what it may decide.

/// Where a fact about an owner comes from.
///
/// Every name that a process has can be another's by choice: its own name, its arguments, the cgroup that it made for
/// itself, the path of its file in a mount namespace of its own. Such a name may be shown. What is stopped, which command
/// line is suggested and whether a policy is met is decided by facts of the kernel and of those who run the process.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Origin {
    /// The kernel, or a name that only root could give.
    Kernel,
    /// A manager of units or a runtime of containers that was asked.
    Manager,
    /// The process, or its user.
    #[default]
    Claim,
}

impl Origin {
    /// Says whether the fact may decide something.
    pub const fn decides(self) -> bool {
        matches!(self, Origin::Kernel | Origin::Manager)
    }

    /// The fact as one to decide by, where it may be.
    pub fn vouched<T: ?Sized>(self, fact: &T) -> Option<Proved<'_, T>> {
        self.decides().then_some(Proved(fact))
    }
}

/// A fact that may decide something. What decides takes one of these and no plain name, so that a claim cannot be handed
/// to it by mistake; only an origin makes one.
#[derive(Debug)]
pub struct Proved<'a, T: ?Sized>(&'a T);

impl<'a, T: ?Sized> Proved<'a, T> {
    /// The fact.
    pub const fn get(&self) -> &'a T {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_never_one_to_decide_by() {
        assert_eq!(Origin::Claim.vouched("x").map(|fact| fact.get()), None);
        for origin in [Origin::Kernel, Origin::Manager] {
            assert_eq!(origin.vouched("x").map(|fact| fact.get()), Some("x"));
        }
    }
}
