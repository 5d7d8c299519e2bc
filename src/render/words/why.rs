//! Why a bind fails, or what it takes from the sockets that are there already, in a few words.

use crate::analyse::bind::{Blocker, Overlap};
use crate::analyse::cause::{Cause, Outcome, Verdict, kind_of};
use crate::model::{BindError, Lead, Protocol, State};
use crate::render::text::safe::{Charset, Text};
use crate::render::words::{blocker, reachability, socket};

/// Why it fails, in a few words.
pub fn why(verdict: &Verdict<'_>, charset: Charset) -> String {
    if let Some(other) = verdict.shares_with().first() {
        return sharing(verdict, other, charset);
    }
    if let Some(refusal) = verdict.strict_refusal() {
        let blocker = verdict.judgement.blockers.first();
        let because = blocker.map(|blocker| format!(": {}", in_the_way(blocker, verdict, charset)));
        let because = because.unwrap_or_default();
        return format!("with SO_REUSEADDR, which servers set; without it {}{because}", refusal.name());
    }
    let Some(cause) = verdict.cause else { return String::new() };
    match cause {
        Cause::Privileged if verdict.outcome == Outcome::Unknown => {
            "it may need a privilege that the user does not have; this run cannot tell".to_owned()
        }
        Cause::Privileged => "it needs a privilege that the user does not have".to_owned(),
        Cause::Excluded => "reserved by the system, or held for exclusive use".to_owned(),
        Cause::AddressNotHere => "no interface in this port space has the address".to_owned(),
        Cause::NoFamily => "the system does not support the address family".to_owned(),
        Cause::NoDevice => "there is no such interface".to_owned(),
        Cause::Multicast => {
            format!("a multicast address, which {} cannot use", verdict.bind.protocol.name())
        }
        Cause::Redirected => {
            let lead = verdict.judgement.reachability.instead_of(verdict.bind.address);
            let to = lead.map(|lead| target(lead, verdict, charset)).unwrap_or_default();
            format!("the firewall forwards its traffic to {to}")
        }
        Cause::Unseen => "nothing that this run can see is using it".to_owned(),
        Cause::Other if verdict.outcome == Outcome::Refused(BindError::Invalid) => {
            "the kernel refuses the address with these options".to_owned()
        }
        Cause::Other => match &verdict.outcome {
            Outcome::Refused(refusal) => refusal.name().to_owned(),
            _ => String::new(),
        },
        _ => verdict.culprits().first().map(|blocker| in_the_way(blocker, verdict, charset)).unwrap_or_default(),
    }
}

/// What a bind that succeeds takes from the socket that is there already.
fn sharing(verdict: &Verdict<'_>, other: &Blocker<'_>, charset: Charset) -> String {
    let (name, local) = (blocker::brief(other.row, charset), socket::answering(other.row, charset));
    let holder = format!("{name}, which {} {local}", blocker::verb(other.row));
    match (verdict.bind.protocol, other.row.socket.state) {
        (Protocol::Tcp, Some(State::Bound)) => {
            format!("{name} has bound {local} but is not listening yet; the first of the two to listen gets the port")
        }
        // The most exact address gets what comes.
        _ if other.overlap == Overlap::Covers => {
            format!("traffic to {} still goes to {holder}", other.row.socket.local)
        }
        _ if other.overlap == Overlap::Covered => {
            format!("takes traffic to {}:{} from {holder}", verdict.bind.address, verdict.bind.port)
        }
        (protocol, _) if protocol.is_datagram() && verdict.bind.reuseaddr => format!("takes the datagrams of {holder}"),
        _ => format!("the kernel divides traffic between it and {holder}"),
    }
}

/// What a socket in the way does there.
fn in_the_way(blocker: &Blocker<'_>, verdict: &Verdict<'_>, charset: Charset) -> String {
    let row = blocker.row;
    let (name, local) = (blocker::brief(row, charset), socket::answering(row, charset));
    let what = match kind_of(row) {
        Cause::Activation => format!("systemd {} {local} for a unit that it starts on demand", blocker::verb(row)),
        Cause::Listener => format!("{name} {} {local}", blocker::verb(row)),
        Cause::Bound => format!("{name} has bound {local} but is not listening"),
        Cause::TimeWait => format!("a closed connection keeps {local} in TIME_WAIT"),
        Cause::Client => format!("{name} uses {local} for an outgoing connection"),
        _ => format!("{name} has a connection on {local}"),
    };
    let relation = match blocker.overlap {
        Overlap::Same => "",
        Overlap::Covered => ", which covers every address",
        Overlap::Covers => ", one of the addresses asked for",
        Overlap::TheirDualStack => ", which also accepts IPv4",
        Overlap::TheirFormerDualStack => ", which also accepted IPv4 before it was connected",
        Overlap::OurDualStack => ", and :: also accepts IPv4",
    };
    // Where a bind was refused and nothing else is there, it is the one.
    let is_proved = verdict.probe.is_some() && verdict.culprits().len() == 1;
    let is_sure = blocker.is_certain || is_proved;
    let doubt = if is_sure { "" } else { " (depends on socket options that cannot be seen)" };
    format!("{what}{relation}{doubt}")
}

/// Where the firewall sends the traffic instead: the container with that address, where one is known.
fn target(lead: &Lead, verdict: &Verdict<'_>, charset: Charset) -> String {
    let to = lead.to.of(verdict.bind.port);
    let forwards = verdict.judgement.redirects.iter().filter_map(|row| row.socket.forward());
    match forwards.filter(|forward| forward.to == to).find_map(|forward| forward.container.as_ref()) {
        Some(container) => {
            format!("{to} (container {})", Text::of(container.short_name(), charset).as_str())
        }
        None => reachability::target(to),
    }
}
