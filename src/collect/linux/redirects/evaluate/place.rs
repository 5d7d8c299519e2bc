//! Where packets are while a rule is asked, and what that makes of its tests.

use super::state::{Condition, State};
use super::truth::Truth;
use crate::collect::linux::redirects::ruleset::{Dimension, Hook, Ranges, Test, To, Tracked, bits_of};
use crate::model::{Family, Protocol};

/// Who sends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Class {
    /// Other hosts.
    Outside,
    /// This host.
    Local,
}

/// Where packets are.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Who sent them.
    pub class: Class,
    /// Their family.
    pub family: Family,
    /// Their protocol.
    pub protocol: Protocol,
    /// The hook.
    pub hook: Hook,
    /// The priority of the chain.
    pub priority: i32,
    /// The interfaces by which other hosts send, by index.
    pub interfaces: &'a [String],
}

/// The priority at which connections begin to be tracked. Source: `NF_IP_PRI_CONNTRACK`.
const TRACKING: i32 = -200;

/// Why a chain at that priority is not judged.
pub const AT_THE_SAME_TIME: &str = "it asks before or after connections are tracked";

impl Place<'_> {
    /// Asks which packets meet the test.
    pub fn asks(&self, test: &Test, state: &State) -> Truth {
        match test {
            // What comes back through loopback no longer has the socket that sent it.
            Test::Within(Dimension::User | Dimension::Group, _)
                if self.class == Class::Local && self.hook != Hook::Output =>
            {
                Truth::Maybe(Condition::Unclear("it asks who sent what came in".to_owned()))
            }
            Test::Within(dimension, ranges) => Truth::Among(*dimension, ranges.clone()),
            Test::Input(names) => match (self.class, self.hook) {
                (Class::Outside, _) => {
                    let of = |index: usize| Ranges::single(u128::try_from(index).unwrap_or(u128::MAX));
                    let matching = |name: &String| names.iter().any(|pattern| is_called(name, pattern));
                    let all = self.interfaces.iter().enumerate().filter(|(_, name)| matching(name));
                    Truth::Among(Dimension::Input, Ranges::union(all.map(|(index, _)| of(index))))
                }
                (Class::Local, Hook::Output) => names.iter().any(|pattern| is_called("", pattern)).into(),
                (Class::Local, _) => names.iter().any(|pattern| is_called("lo", pattern)).into(),
            },
            Test::Output(names) => {
                let name = if self.hook == Hook::Output { "lo" } else { "" };
                names.iter().any(|pattern| is_called(name, pattern)).into()
            }
            Test::Protocol(numbers) => numbers.contains(number_of(self.protocol)).into(),
            Test::Family(family) => (*family == self.family).into(),
            Test::Mark(mask, values) => marked(state.mark, *mask, values),
            Test::ConnectionMark(mask, values) => marked(state.connection_mark, *mask, values),
            Test::State(wanted) => self.is_in(wanted, state),
            Test::ToThisHost => Truth::Yes,
            Test::FromThisHost => (self.class == Class::Local).into(),
            Test::Always(is_met) => (*is_met).into(),
            Test::Sender(what) => Truth::Maybe(Condition::Sender(what)),
            Test::Unclear(what) => Truth::Maybe(Condition::Unclear(what.clone())),
        }
    }

    /// The bits of the address that packets get from a rule that translates them here, where it is known.
    /// Source: Linux, `nf_nat_redirect_ipv4`: what this host sends goes to loopback, the rest to an address of the
    /// interface that it came in by.
    pub fn translated_address(&self, to: &To) -> Option<u128> {
        match (to.address, self.class) {
            (Some(address), _) => Some(bits_of(address)),
            (None, Class::Local) => Some(first_loopback(self.family)),
            (None, Class::Outside) => None,
        }
    }

    /// Whether a chain sees a first packet before its connection is tracked; `None` where nothing shows the order.
    pub fn precedes_tracking(&self) -> Option<bool> {
        match self.hook {
            Hook::Input => Some(false),
            // It has been tracked since it was sent.
            Hook::Prerouting if self.class == Class::Local => Some(false),
            Hook::Prerouting | Hook::Output if self.priority == TRACKING => None,
            Hook::Prerouting | Hook::Output => Some(self.priority < TRACKING),
        }
    }

    /// Whether the connection of a first packet, which goes to the port that it was for, is in one of the states.
    fn is_in(&self, wanted: &[Tracked], state: &State) -> Truth {
        let is = if self.priority == TRACKING {
            return Truth::Maybe(Condition::Unclear(AT_THE_SAME_TIME.to_owned()));
        } else if self.hook == Hook::Prerouting && self.class == Class::Local && self.priority < TRACKING {
            // It has been tracked since it was sent.
            if state.is_untracked { Tracked::Untracked } else { Tracked::New }
        } else if state.is_untracked {
            Tracked::Untracked
        } else if self.hook != Hook::Input && self.priority < TRACKING {
            Tracked::Invalid
        } else {
            Tracked::New
        };
        wanted.contains(&is).into()
    }
}

fn marked(mark: Option<u32>, bits: u32, values: &Ranges) -> Truth {
    match mark {
        Some(mark) => values.contains((mark & bits).into()).into(),
        None => Truth::Maybe(Condition::Unclear("it asks for a mark that is not known".to_owned())),
    }
}

/// Whether an interface with this name is meant. A pattern may end in `*`; what stands for interfaces that are not there
/// ends so too.
fn is_called(name: &str, pattern: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    }
}

pub const fn first_loopback(family: Family) -> u128 {
    match family {
        Family::Ipv4 => 0x7f00_0001,
        Family::Ipv6 => 1,
    }
}

/// The number that IANA gave a protocol.
pub fn number_of(protocol: Protocol) -> u128 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::UdpLite => 136,
    }
}
