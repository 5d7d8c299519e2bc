//! The rules of a firewall as netfilter judges by them, whichever tool printed them.
//!
//! A packet meets, at each hook, the base chains of all tables in the order of their priorities. A rule is a list of
//! steps: what a match lets through goes on to the next step, the rest to the next rule.

mod ranges;

use std::collections::HashMap;
use std::net::IpAddr;

pub use ranges::{Ranges, bits_of};

use crate::model::Family;

/// All that changes the way of packets in a network namespace.
#[derive(Debug, Default)]
pub struct Ruleset {
    /// The tables of all tools.
    pub tables: Vec<Table>,
    /// The virtual servers of IPVS.
    pub services: Vec<VirtualServer>,
    /// What could not be read, in words: it may redirect any port.
    pub holes: Vec<String>,
}

/// A table with its chains.
#[derive(Debug)]
pub struct Table {
    /// The families of its packets.
    pub families: Vec<Family>,
    /// How it is called: `inet fw4`, `iptables nat`.
    pub name: String,
    /// The name without the family.
    pub short_name: String,
    /// Whether it is switched off.
    pub is_dormant: bool,
    /// The chains by name.
    pub chains: HashMap<String, Chain>,
}

/// A chain of rules.
#[derive(Debug, Default)]
pub struct Chain {
    /// Where packets enter it by themselves; absent for one that only other chains lead to.
    pub base: Option<Base>,
    /// The rules, in order.
    pub rules: Vec<Rule>,
}

/// Where packets enter a base chain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Base {
    /// The hook.
    pub hook: Hook,
    /// The order among the chains of a hook, the lowest first.
    pub priority: i32,
    /// Whether it is a chain of NAT: only the first packet of a connection meets it.
    pub is_nat: bool,
    /// Whether what no rule decides is dropped.
    pub drops: bool,
}

/// The hooks that matter for what is sent to this host.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Hook {
    /// All that comes in, before it is routed.
    Prerouting,
    /// What is for this host.
    Input,
    /// What this host sends.
    Output,
}

/// A rule.
#[derive(Clone, Debug, Default)]
pub struct Rule {
    /// The handle of nftables, or the place in the chain that iptables shows, from 1.
    pub number: u64,
    /// What its author wrote about it.
    pub comment: Option<String>,
    /// What it asks and does, in order.
    pub steps: Vec<Step>,
}

/// A step of a rule.
#[derive(Clone, Debug)]
pub enum Step {
    /// Only packets that match go on.
    Match(Match),
    /// Does something with those that got here.
    Act(Action),
    /// Does what the first case that matches says; a packet that meets none goes on with the next rule.
    Map(Vec<(Match, Action)>),
    /// Does one of these, as chance decides.
    Choose(Vec<Action>),
}

/// A condition: one of these lists of tests is met as a whole.
#[derive(Clone, Debug, Default)]
pub struct Match {
    /// The lists.
    pub any: Vec<Vec<Test>>,
    /// Whether the packets are meant that meet none.
    pub is_negated: bool,
}

impl Match {
    /// Just this test.
    pub fn of(test: Test, is_negated: bool) -> Match {
        Match { any: vec![vec![test]], is_negated }
    }
}

/// What is followed exactly, number by number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Dimension {
    /// The port that it is sent to.
    Port,
    /// The address that it is sent to.
    Destination,
    /// The address that it comes from.
    Source,
    /// The port that it comes from.
    SourcePort,
    /// The user who sends it from this host.
    User,
    /// Its group.
    Group,
    /// The interface that it comes in by, as an index into the known ones.
    Input,
}

impl Dimension {
    /// How many there are.
    pub const COUNT: usize = 7;
}

/// A question about a packet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Test {
    /// A number is one of these.
    Within(Dimension, Ranges),
    /// It comes in by one of these interfaces; a name may end in `*`.
    Input(Vec<String>),
    /// It goes out by one of these interfaces.
    Output(Vec<String>),
    /// Its protocol has one of these numbers.
    Protocol(Ranges),
    /// Its family.
    Family(Family),
    /// Its mark, of which only these bits count, is one of these.
    Mark(u32, Ranges),
    /// The mark of its connection.
    ConnectionMark(u32, Ranges),
    /// Its connection is in one of these states.
    State(Vec<Tracked>),
    /// The destination is an address of this host, which it always is here.
    ToThisHost,
    /// The source is an address of this host.
    FromThisHost,
    /// Known in advance.
    Always(bool),
    /// Something about the sender or the packet that is not followed, in words: `limit`.
    Sender(&'static str),
    /// Not understood, in words.
    Unclear(String),
}

/// The state of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tracked {
    /// Begins with this packet.
    New,
    /// Began before, or belongs to another one.
    Old,
    /// Belongs to none.
    Invalid,
    /// Is not tracked.
    Untracked,
    /// Has another destination by now.
    Translated,
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Ends the base chain; the next one is asked.
    Accept,
    /// Ends the packet.
    Drop,
    /// Goes back to the chain that led here.
    Return,
    /// Goes on in another chain and comes back.
    Jump(String),
    /// Goes on in another chain and does not come back to this one.
    Goto(String),
    /// Goes on with the next rule.
    Continue,
    /// Sends the connection elsewhere.
    Translate(To),
    /// Gives the packet to a transparent socket; where none is there, iptables drops it, nftables goes on.
    Proxy(To, bool),
    /// Changes the mark of the packet.
    SetMark(MarkValue),
    /// Changes the mark of the connection.
    SetConnectionMark(MarkValue),
    /// Lets the connection be untracked, so that it is not translated.
    DoNotTrack,
    /// Something that is not understood, in words: the packet may end up anywhere.
    Unclear(String),
}

/// Where packets are sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct To {
    /// The address; this host where it is absent.
    pub address: Option<IpAddr>,
    /// The port.
    pub port: ToPort,
}

/// The port that packets are sent to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ToPort {
    /// The one that they were for.
    Same,
    /// This one, or one of these.
    Between(u16, u16),
    /// Not known here.
    Unknown,
}

/// `((base & and) | or) ^ xor`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MarkValue {
    /// Which mark it begins with; absent where it is not known what comes out.
    pub base: Option<MarkBase>,
    /// The bits that stay.
    pub and: u32,
    /// The bits that are set.
    pub or: u32,
    /// The bits that change.
    pub xor: u32,
}

/// The mark that a new one is made of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MarkBase {
    /// That of the packet.
    Packet,
    /// That of the connection.
    Connection,
}

impl MarkValue {
    /// A number of its own.
    pub const fn constant(value: u32) -> MarkValue {
        MarkValue { base: Some(MarkBase::Packet), and: 0, or: value, xor: 0 }
    }

    /// The mark as it is.
    pub const fn of(base: MarkBase) -> MarkValue {
        MarkValue { base: Some(base), and: u32::MAX, or: 0, xor: 0 }
    }

    /// Not known.
    pub const UNKNOWN: MarkValue = MarkValue { base: None, and: 0, or: 0, xor: 0 };
}

/// A virtual server of IPVS.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VirtualServer {
    /// What it takes.
    pub takes: Taken,
    /// Where it sends the connection, in the order of the table.
    pub to: Vec<(IpAddr, u16)>,
}

/// What a virtual server takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Taken {
    /// What is for this address and port, by the number of the protocol; every port where it is 0.
    Address(u8, IpAddr, u16),
    /// What has this mark.
    Mark(u32),
}
