//! Metrics in the text format of OpenMetrics. Only gauges: the textfile collector of Prometheus' node_exporter knows no
//! other kind that would fit. Labels are bounded: no process numbers, no addresses of others.

use std::io::{self, Write};
use std::sync::atomic::AtomicU64;
use std::time::{Duration, UNIX_EPOCH};

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::report_visibility::unseen_spaces;
use super::sanitize::{Charset, Text};
use crate::analyse::usage::{Destination, Measured, Share, SpaceUsage};
use crate::model::{Listing, Missing, Row, Space};

/// What a listener is, for counting.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ListenerLabels {
    space: String,
    protocol: &'static str,
    category: &'static str,
    exposure: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct StateLabels {
    space: String,
    protocol: &'static str,
    state: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ProtocolLabels {
    space: String,
    protocol: &'static str,
}

/// A port that somebody listens on; there are no more of them than listeners.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct PortLabels {
    space: String,
    port: u16,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct SpaceLabels {
    space: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct BuildLabels {
    version: &'static str,
}

type Count<Labels> = Family<Labels, Gauge<f64, AtomicU64>>;

/// Writes what the listing and the use of its spaces come to. `took` is how long it took to collect.
pub fn write(
    out: &mut dyn Write,
    listing: &Listing<'_>,
    usage: &[SpaceUsage<'_>],
    took: Duration,
    version: &'static str,
) -> io::Result<()> {
    let mut registry = Registry::with_prefix("portscope");
    register_sockets(&mut registry, listing);
    let knows_peers = !listing.snapshot.gaps.iter().any(|gap| gap.missing == Missing::Peers);
    register_usage(&mut registry, usage, knows_peers);
    register_run(&mut registry, listing, took, version);
    let mut encoded = String::new();
    text::encode(&mut encoded, &registry).map_err(io::Error::other)?;
    out.write_all(encoded.as_bytes())
}

/// A new family of gauges of this name.
fn family<Labels>(registry: &mut Registry, name: &str, help: &str) -> Count<Labels>
where
    Labels: Clone + std::hash::Hash + Eq + EncodeLabelSet + std::fmt::Debug + Send + Sync + 'static,
{
    let family = Count::<Labels>::default();
    registry.register(name, help, family.clone());
    family
}

fn register_sockets(registry: &mut Registry, listing: &Listing<'_>) {
    let listeners = family(registry, "listeners", "Sockets that wait for others, redirected ports included");
    let connections = family(registry, "connections", "Sockets that have a peer, by state");
    for row in &listing.rows {
        let (space, protocol) = (label(row.space), row.socket.protocol.name());
        if row.is_listener {
            let (category, exposure) = (row.category.name(), row.exposure.name());
            listeners.get_or_create(&ListenerLabels { space, protocol, category, exposure }).inc();
        } else if let (true, Some(state)) = (row.is_connection(), row.socket.state) {
            connections.get_or_create(&StateLabels { space, protocol, state: state.name() }).inc();
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "no count of sockets is near 2^53")]
fn register_usage(registry: &mut Registry, usage: &[SpaceUsage<'_>], knows_peers: bool) {
    let used = family(registry, "ephemeral_ports_used", "Distinct numbers of the ephemeral range that are in use");
    let limit = family(registry, "ephemeral_ports", "Numbers that the space hands out, without reserved ones");
    let fullest = family(
        registry,
        "fullest_destination_ratio",
        "Part of the numbers for one destination that is in use, of the fullest destination",
    );
    let waiting = family(registry, "accept_queue_used", "Connections that wait to be accepted");
    let room = family(registry, "accept_queue_limit", "Connections that may wait to be accepted");
    let lost = family(
        registry,
        "accept_queue_overflows",
        "Connections lost to full accept queues since the space began (ListenOverflows)",
    );
    for one in usage {
        let space = label(one.space);
        for gauge in one.gauges.iter().filter(|gauge| gauge.measured == Measured::Ephemeral) {
            let labels = ProtocolLabels { space: space.clone(), protocol: gauge.protocol.name() };
            used.get_or_create(&labels).inc_by(gauge.share.used as f64);
            limit.get_or_create(&labels).inc_by(gauge.share.limit as f64);
        }
        let of_space = SpaceLabels { space: space.clone() };
        let shares = one.destinations.iter().filter_map(Destination::share);
        let highest = shares.map(Share::part).fold(0.0, f64::max);
        // Without the range, or without peers in a redacted report, no number would be true.
        if one.space.ephemeral.is_some() && knows_peers {
            let gauge = fullest.get_or_create(&of_space);
            gauge.set(gauge.get().max(highest));
        }
        for queue in &one.queues {
            let labels = PortLabels { space: space.clone(), port: queue.row.socket.local.port.get() };
            waiting.get_or_create(&labels).inc_by(f64::from(queue.queue.used));
            room.get_or_create(&labels).inc_by(f64::from(queue.queue.limit));
        }
        if let Some(count) = one.space.listen_overflows {
            lost.get_or_create(&of_space).inc_by(count as f64);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "no count of sockets is near 2^53")]
fn register_run(registry: &mut Registry, listing: &Listing<'_>, took: Duration, version: &'static str) {
    let snapshot = listing.snapshot;
    let mut single = |name: &str, help: &str, value: f64| {
        let gauge = Gauge::<f64, AtomicU64>::default();
        gauge.set(value);
        registry.register(name, help, gauge);
    };
    let hidden = listing.rows.iter().filter(|row| Row::is_hidden(row)).count();
    single("hidden_owners", "Sockets whose holder this run could not see", hidden as f64);
    // What is not known is left out; no number would be true.
    if let Some(count) = unseen_spaces(snapshot) {
        single("unseen_spaces", "Port spaces that are out of this user's reach", count as f64);
    }
    single("spaces", "Port spaces that were listed", snapshot.spaces.len() as f64);
    single("collection_duration_seconds", "How long it took to collect", took.as_secs_f64());
    let at = snapshot.host.captured_at.duration_since(UNIX_EPOCH).unwrap_or_default();
    single("collection_timestamp_seconds", "When it was collected, since 1970", at.as_secs_f64());
    let build = family(registry, "build_info", "The version of portscope");
    build.get_or_create(&BuildLabels { version }).set(1.0);
}

/// The label of the space; several of one name are counted together.
fn label(space: &Space) -> String {
    Text::of(&space.label, Charset::Unicode).into_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::usage::usage;
    use crate::{join, testing};

    #[test]
    fn every_number_is_that_of_the_listing() {
        let mut snapshot = testing::snapshot();
        snapshot.spaces[0].label = "a\"b\\\n\u{1b}".to_owned();
        let listing = join::listing(&snapshot, None);
        let mut text = Vec::new();
        write(&mut text, &listing, &usage(&listing), Duration::from_millis(1500), "1.2.3").unwrap();
        let text = String::from_utf8(text).unwrap();
        let space = r#"space="a\"b\\\\x0a\\x1b""#;
        for line in [
            format!(r#"portscope_listeners{{{space},protocol="tcp",category="registered",exposure="loopback"}} 2.0"#),
            format!(r#"portscope_connections{{{space},protocol="tcp",state="TIME_WAIT"}} 1.0"#),
            format!(r#"portscope_ephemeral_ports{{{space},protocol="udp"}} 28232.0"#),
            "portscope_hidden_owners 1.0".to_owned(),
            "portscope_collection_duration_seconds 1.5".to_owned(),
            r#"portscope_build_info{version="1.2.3"} 1.0"#.to_owned(),
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
        assert!(!text.contains("198.51.100.23") && !text.contains("812"), "{text}");
    }
}
