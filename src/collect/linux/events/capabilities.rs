//! What root may do is given up as far as it is not needed any more.

use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, remove_capability_from_bounding_set, set_capabilities,
};

/// What stays once the programs are attached, and why.
const KEPT: [(CapabilitySet, &str); 5] = [
    (CapabilitySet::SYS_PTRACE, "owners: the descriptors of other users' processes"),
    (CapabilitySet::DAC_READ_SEARCH, "owners: folders below /proc that only their user may read"),
    (CapabilitySet::SYS_ADMIN, "other network namespaces, and the iterator of owners"),
    (CapabilitySet::SETUID, "projects are read with the rights of their user"),
    (CapabilitySet::SETGID, "as above"),
];

/// Gives up everything else, for this thread and those that it will start. What it does not have it need not give up.
pub fn keep_needed() {
    let Ok(now) = capabilities(None) else { return };
    let kept = KEPT.iter().fold(CapabilitySet::empty(), |kept, (capability, _)| kept | *capability);
    for capability in now.permitted.difference(kept).iter() {
        // So that no program that is run gets it back.
        let _ = remove_capability_from_bounding_set(capability);
    }
    let left = CapabilitySets {
        effective: now.effective & kept,
        permitted: now.permitted & kept,
        inheritable: now.inheritable & kept,
    };
    // To give up what one has is never refused.
    let _ = set_capabilities(None, left);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_needed_is_given_up_by_the_thread_that_asks() {
        std::thread::spawn(|| {
            keep_needed();
            let left = capabilities(None).unwrap();
            assert!(!left.permitted.contains(CapabilitySet::KILL));
            assert!(!left.effective.contains(CapabilitySet::NET_ADMIN));
        })
        .join()
        .unwrap();
    }
}
