//! Where what is sent to a port goes instead, in the JSON documents.

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::{Forward, ForwardTarget, Port, Reachability, Redirection};
use crate::render::document::owner::{ContainerReport, container};
use crate::render::document::space::pair;

/// Where a published port is forwarded to.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Forward")]
pub struct ForwardReport<'a> {
    /// `proxy` (a process such as docker-proxy) or `nat` (a firewall rule).
    pub by: &'a str,
    /// The endpoint that answers.
    pub to: TargetReport,
    /// The container with this address.
    pub container: Option<ContainerReport<'a>>,
    /// The service of Kubernetes that the rules name: `default/web`.
    pub service: Option<&'a str>,
}

/// What the firewall does to what is sent to a port.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Reachability")]
pub struct ReachabilityReport {
    /// To connections of other hosts.
    pub outside: RedirectionReport,
    /// To connections of this host.
    pub local: RedirectionReport,
    /// The rule that is sure to drop everything from other hosts; null where none is known to.
    pub filtered: Option<String>,
}

/// What it does to the connections of one class of senders.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Redirection")]
pub struct RedirectionReport {
    /// `not` (they reach the port), `certain` (all of them go elsewhere), `some` (those of some senders do), or
    /// `unknown`.
    pub answer: &'static str,
    /// Where they go; of several targets the first.
    pub to: Option<TargetReport>,
    /// By which rule: its table, chain and place.
    pub rule: Option<String>,
    /// Which senders, for `some`: `via tun0, from 10.0.0.0/8`.
    pub senders: Option<String>,
    /// Why it is not known.
    pub reason: Option<String>,
}

/// The endpoint that answers for a published port.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Target")]
pub struct TargetReport {
    /// The IP address; all zeros means this host.
    pub address: std::net::IpAddr,
    /// The port; null if it is one of several or unknown.
    pub port: Option<u16>,
    /// The first and last of several ports among which the firewall chooses; null if there is only one.
    pub ports: Option<[u16; 2]>,
}

/// Turns a published port's target into its object.
pub(super) fn forward(forward: &Forward) -> ForwardReport<'_> {
    ForwardReport {
        by: forward.by.name(),
        to: target(forward.to),
        container: forward.container.as_ref().map(container),
        service: forward.service.as_deref(),
    }
}

/// Turns what happens to a port into its object.
pub(super) fn reachability(reachability: &Reachability, port: Port) -> ReachabilityReport {
    let redirection = |redirection: &Redirection| RedirectionReport {
        answer: redirection.name(),
        to: redirection.lead().map(|lead| target(lead.to.of(port))),
        rule: redirection.lead().map(|lead| lead.rule.to_string()),
        senders: match redirection {
            Redirection::Some(_, senders) => Some(senders.to_string()),
            _ => None,
        },
        reason: match redirection {
            Redirection::Unknown(why) => Some(why.clone()),
            _ => None,
        },
    };
    ReachabilityReport {
        outside: redirection(&reachability.outside),
        local: redirection(&reachability.local),
        filtered: reachability.filtered.as_ref().map(ToString::to_string),
    }
}

fn target(to: ForwardTarget) -> TargetReport {
    let port = to.port();
    let ports = to.ports.filter(|_| port.is_none()).map(pair);
    TargetReport { address: to.address, port: port.map(Port::get), ports }
}
