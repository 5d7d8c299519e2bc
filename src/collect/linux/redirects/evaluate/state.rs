//! Packets that have come to the same place by the same way, as sets of numbers.

use std::rc::Rc;

use crate::collect::linux::redirects::ruleset::{Dimension, MarkBase, MarkValue, Ranges, To, ToPort};
use crate::model::RuleName;

/// Packets with any combination of these numbers.
#[derive(Clone, Debug)]
pub struct Area([Rc<Ranges>; Dimension::COUNT]);

impl Area {
    /// Packets with every number.
    pub fn whole() -> Area {
        let all = Rc::new(Ranges::all());
        Area(std::array::from_fn(|_| Rc::clone(&all)))
    }

    /// The same with only these numbers in a dimension.
    pub fn with(mut self, dimension: Dimension, ranges: Ranges) -> Area {
        self.0[dimension as usize] = Rc::new(ranges);
        self
    }

    /// The numbers in a dimension.
    pub fn of(&self, dimension: Dimension) -> &Ranges {
        &self.0[dimension as usize]
    }

    /// Whether every packet of it is one of the other too.
    pub fn is_within(&self, other: &Area) -> bool {
        let mut dimensions = self.0.iter().zip(&other.0);
        dimensions.all(|(own, other)| Rc::ptr_eq(own, other) || own.is_within(other))
    }

    /// Divides it into the packets with these numbers and those without.
    fn split(mut self, dimension: Dimension, ranges: &Ranges) -> (Option<Area>, Option<Area>) {
        let own = &mut self.0[dimension as usize];
        let inside = own.and(ranges);
        if inside.is_empty() {
            return (None, Some(self));
        }
        if own.is_within(ranges) {
            return (Some(self), None);
        }
        let mut within = self.0.clone();
        within[dimension as usize] = Rc::new(inside);
        let own = &mut self.0[dimension as usize];
        // The set is most often owned by this area alone, and then changes in place.
        let outside = Rc::unwrap_or_clone(std::mem::take(own)).without(ranges);
        *own = Rc::new(outside);
        (Some(Area(within)), Some(self))
    }
}

/// What must be true, beyond the numbers, for packets to have come this way.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Condition {
    /// Something about the sender or the packet.
    Sender(&'static str),
    /// Something that is not understood.
    Unclear(String),
}

/// What a rule made of the packets' destination.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Translation {
    /// Where they go now.
    pub to: To,
    /// The bits of their address, where it is known: that of a REDIRECT depends on the interface.
    pub address: Option<u128>,
    /// The rule.
    pub rule: Rc<RuleName>,
    /// The service of Kubernetes that it is for.
    pub service: Option<String>,
}

impl Translation {
    /// The numbers that packets may have now; nothing where they have those that they were sent with.
    fn of(&self, dimension: Dimension) -> Option<Ranges> {
        match (dimension, &self.to.port) {
            (Dimension::Destination, _) => Some(self.address.map_or_else(Ranges::all, Ranges::single)),
            (Dimension::Port, ToPort::Between(first, last)) => Some(Ranges::between((*first).into(), (*last).into())),
            (Dimension::Port, ToPort::Unknown) => Some(Ranges::all()),
            _ => None,
        }
    }
}

/// Packets on their way.
#[derive(Clone, Debug)]
pub struct State {
    /// Which.
    pub area: Area,
    /// The mark, where it is known.
    pub mark: Option<u32>,
    /// The mark of the connection, where it is known.
    pub connection_mark: Option<u32>,
    /// Whether the connection is not tracked.
    pub is_untracked: bool,
    /// The transparent socket that they were given to, and by which rule.
    pub proxy: Option<(To, Rc<RuleName>)>,
    /// Where a rule sends them instead. The area keeps what they were sent to.
    pub translated: Option<Rc<Translation>>,
    /// What else must be true.
    pub conditions: Vec<Condition>,
}

impl State {
    /// Packets that have met no rule yet.
    pub fn new(area: Area) -> State {
        let conditions = Vec::new();
        State {
            area,
            mark: Some(0),
            connection_mark: Some(0),
            is_untracked: false,
            proxy: None,
            translated: None,
            conditions,
        }
    }

    /// Divides it by a number, as the packets have it now.
    pub fn split(mut self, dimension: Dimension, ranges: &Ranges) -> (Option<State>, Option<State>) {
        if let Some(now) = self.translated.as_ref().and_then(|translation| translation.of(dimension)) {
            if now.is_within(ranges) {
                return (Some(self), None);
            }
            if now.and(ranges).is_empty() {
                return (None, Some(self));
            }
            let why = "a rule asks for an address or port that another rule has changed".to_owned();
            return (Some(self.clone().on(&Condition::Unclear(why))), Some(self));
        }
        let (inside, outside) = std::mem::replace(&mut self.area, Area::whole()).split(dimension, ranges);
        match (inside, outside) {
            (Some(inside), Some(outside)) => {
                let other = State { area: outside, ..self.clone() };
                (Some(State { area: inside, ..self }), Some(other))
            }
            (inside, outside) => {
                let is_inside = inside.is_some();
                let state = inside.or(outside).map(|area| State { area, ..self });
                if is_inside { (state, None) } else { (None, state) }
            }
        }
    }

    /// The same under a condition.
    pub fn on(mut self, condition: &Condition) -> State {
        if !self.conditions.contains(condition) {
            self.conditions.push(condition.clone());
        }
        self
    }

    /// Whether whatever happens to these packets happens to the other ones as well.
    pub fn is_part_of(&self, other: &State) -> bool {
        let key = |state: &State| (state.mark, state.connection_mark, state.is_untracked);
        key(self) == key(other)
            && self.proxy == other.proxy
            && self.translated == other.translated
            && other.conditions.iter().all(|condition| self.conditions.contains(condition))
            && self.area.is_within(&other.area)
    }

    /// What a new mark comes to.
    pub fn mark(&self, value: MarkValue) -> Option<u32> {
        let base = match value.base? {
            // A constant does not depend on what was there.
            _ if value.and == 0 => 0,
            MarkBase::Packet => self.mark?,
            MarkBase::Connection => self.connection_mark?,
        };
        Some(((base & value.and) | value.or) ^ value.xor)
    }
}
