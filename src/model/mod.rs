//! The terms of the domain as types. Every layer uses them; they use no other part of this crate.
//!
//! An unknown is an absent value here, never `-`, 0 or an empty text.

mod bind;
mod device;
mod event;
mod executable;
mod exposure;
mod few;
mod gap;
mod health;
mod listing;
mod managed;
mod names;
mod need;
mod owner;
mod port;
mod process;
mod project;
mod reachability;
mod runtime;
mod service;
mod shell;
mod snapshot;
mod socket;
mod space;
mod stages;
mod stands_for;
mod traffic;
mod trust;

pub use bind::{Bind, BindError, Caller, Platform, Reach};
pub use device::Device;
pub use event::{
    Act, BindWay, Blocking, Changes, EVENT_SCHEMA, Ended, Event, EventKind, Lost, Observation, Seen, Sighting,
    Watching, Ways,
};
pub use executable::{Executable, Part, Replaceable, Replacer};
#[allow(unused_imports, reason = "asked on Linux")]
pub use executable::{is_interpreter, is_loader};
pub use exposure::Exposure;
pub use few::Few;
pub use gap::{Answer, Coverage, Gap, GapReason, Missing, RulesUnread};
pub use health::Health;
pub use listing::{Listing, Row};
pub use managed::{Managed, Manager};
pub use names::Names;
pub use need::{BackendChoice, Need, SpaceChoice};
pub use owner::{Belonging, Container, HiddenBecause, Holder, Nobody, Owner, Pid, Tier, Uid};
pub use port::{Category, Port, PortError, PortRange};
pub use process::Process;
pub use project::{Project, ProjectSource};
#[allow(unused_imports, reason = "asked on Linux")]
pub use reachability::any_address;
pub use reachability::{
    Destination, Lead, Reachability, Redirect, Redirection, Redirects, RuleName, Senders, ToPort, UNREAD,
};
pub use runtime::{Runtime, StoppedBy};
pub use service::{Registered, Service, ServiceSource};
pub use shell::shell_word;
pub use snapshot::{Backend, Host, OwnerSource, SCHEMA, SavedService, Scope, Snapshot, SocketSource};
pub use socket::{
    Endpoint, Family, Inode, Pending, Protocol, Queue, Socket, SocketIdentity, State, Timer, TimerKind, Waiting,
};
pub use space::{Space, SpaceId, SpaceKind, TimeWaitReuse};
pub use stages::{Stage, Stages, Stopwatch};
pub use stands_for::{Activation, Forward, ForwardTarget, ForwardedBy, StandsFor};
pub use traffic::{Rate, Traffic};
pub use trust::{Origin, Proved};
