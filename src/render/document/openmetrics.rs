//! Metrics in the text format of OpenMetrics, kept to what Prometheus' older format has too, which is all that the
//! textfile collector of node_exporter reads. So every family is a gauge: the two write counters, infos and unknowns
//! differently. Labels are bounded: no process numbers, no addresses of others.

use std::fmt;
use std::io::{self, Write};
use std::time::{Duration, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use crate::analyse::metrics::Metrics;
use crate::model::{Snapshot, Space};
use crate::render::text::safe::{Charset, Text};

type Labels = Vec<(&'static str, String)>;

/// One family of gauges in the order of its samples. The `Family` of prometheus-client has another order in each run.
#[derive(Debug)]
struct Gauges {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    samples: Vec<(Labels, f64)>,
}

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        if self.samples.is_empty() {
            return Ok(());
        }
        let mut family = encoder.encode_descriptor(self.name, self.help, self.unit.as_ref(), MetricType::Gauge)?;
        for (labels, value) in &self.samples {
            if labels.is_empty() {
                family.encode_gauge(value)?;
            } else {
                family.encode_family(labels)?.encode_gauge(value)?;
            }
        }
        Ok(())
    }
}

/// How a space is called in a label.
pub fn name_of(space: &Space) -> String {
    Text::of(&space.label, Charset::Unicode).into_string()
}

/// Writes the numbers of the snapshot. `took` is how long it took to collect; absent for a saved report.
pub fn write(
    out: &mut dyn Write,
    metrics: &Metrics,
    snapshot: &Snapshot,
    took: Option<Duration>,
    version: &str,
) -> io::Result<()> {
    let mut registry = Registry::with_prefix("portscope");
    let mut families = of_sockets(metrics);
    families.extend(of_spaces(metrics));
    families.extend(of_run(metrics, snapshot, took, version));
    for family in families {
        registry.register_collector(Box::new(family));
    }
    let mut encoded = String::new();
    text::encode(&mut encoded, &registry).map_err(io::Error::other)?;
    out.write_all(encoded.as_bytes())
}

fn family(name: &'static str, help: &'static str, samples: impl IntoIterator<Item = (Labels, f64)>) -> Gauges {
    Gauges { name, help, unit: None, samples: samples.into_iter().collect() }
}

#[expect(clippy::cast_precision_loss, reason = "no count of sockets is near 2^53")]
fn of_sockets(metrics: &Metrics) -> Vec<Gauges> {
    let listeners = metrics.listeners.iter().map(|((space, protocol, category, exposure), count)| {
        let labels = vec![
            ("space", space.to_string()),
            ("protocol", protocol.name().to_owned()),
            ("category", category.name().to_owned()),
            ("exposure", exposure.name().to_owned()),
        ];
        (labels, *count as f64)
    });
    let connections = metrics.connections.iter().map(|((space, protocol, state), count)| {
        let labels = vec![
            ("space", space.to_string()),
            ("protocol", protocol.name().to_owned()),
            ("state", state.name().to_owned()),
        ];
        (labels, *count as f64)
    });
    vec![
        family("listeners", "Listening sockets, including redirected ports.", listeners),
        family("connections", "Connected sockets by state.", connections),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "no count of sockets is near 2^53")]
fn of_spaces(metrics: &Metrics) -> Vec<Gauges> {
    let of_space = |space: &str| vec![("space", space.to_owned())];
    let ephemeral = |count: fn(&crate::analyse::usage::Share) -> usize| {
        metrics.ephemeral.iter().map(move |((space, protocol), share)| {
            let labels = vec![("space", space.to_string()), ("protocol", protocol.name().to_owned())];
            (labels, count(share) as f64)
        })
    };
    let queues = |value: fn(&crate::analyse::metrics::Queues) -> f64| {
        metrics.queues.iter().map(move |((space, port), queues)| {
            (vec![("space", space.to_string()), ("port", port.to_string())], value(queues))
        })
    };
    vec![
        family(
            "ephemeral_ports_used",
            "Distinct ports of the ephemeral range that are in use.",
            ephemeral(|share| share.used),
        ),
        family(
            "ephemeral_ports",
            "Ports in the ephemeral range, excluding reserved ones.",
            ephemeral(|share| share.limit),
        ),
        family(
            "fullest_destination_ratio",
            "Fraction of the ephemeral ports in use for the fullest destination.",
            metrics.fullest_destination.iter().map(|(space, part)| (of_space(space), *part)),
        ),
        family(
            "accept_queue_used",
            "Connections waiting to be accepted, over all listeners on the port.",
            queues(|queues| queues.used as f64),
        ),
        family(
            "accept_queue_limit",
            "Connections that can wait to be accepted, over all listeners on the port.",
            queues(|queues| queues.limit as f64),
        ),
        family(
            "accept_queue_fullest_ratio",
            "Fraction of the accept queue in use for the fullest listener on the port.",
            queues(|queues| queues.fullest),
        ),
        family(
            "accept_queue_overflows",
            "Connections lost to full accept queues since the network namespace was created (ListenOverflows).",
            metrics.overflows.iter().map(|(space, count)| (of_space(space), *count as f64)),
        ),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "no count of sockets is near 2^53")]
fn of_run(metrics: &Metrics, snapshot: &Snapshot, took: Option<Duration>, version: &str) -> Vec<Gauges> {
    let single = |name, help, value: Option<f64>| family(name, help, value.map(|value| (Vec::new(), value)));
    let seconds = |name, help, value: Option<f64>| Gauges { unit: Some(Unit::Seconds), ..single(name, help, value) };
    let at = snapshot.host.captured_at.duration_since(UNIX_EPOCH).unwrap_or_default();
    // What is not known is left out; no number would be true.
    let unseen = snapshot.unseen_spaces().map(|count| count as f64);
    vec![
        single("hidden_owners", "Sockets whose owner could not be seen.", Some(metrics.hidden_owners as f64)),
        single("unseen_spaces", "Port spaces (network namespaces) that this user cannot read.", unseen),
        single("spaces", "Port spaces (network namespaces) that were counted.", Some(metrics.spaces as f64)),
        seconds("collection_duration", "Time taken to collect the data.", took.map(|took| took.as_secs_f64())),
        seconds(
            "collection_timestamp",
            "Time at which the data was collected, in seconds since 1970.",
            Some(at.as_secs_f64()),
        ),
        family("build_info", "The version of portscope.", [(vec![("version", version.to_owned())], 1.0)]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::metrics::metrics;
    use crate::analyse::usage::usage;
    use crate::model::{Queue, Waiting};
    use crate::{join, testing};

    fn text_of(snapshot: &Snapshot, took: Option<Duration>) -> String {
        let listing = join::listing(snapshot, None);
        let mut text = Vec::new();
        write(&mut text, &metrics(&listing, &usage(&listing), name_of), snapshot, took, "1.2.3").unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn families_and_samples_stand_in_one_order() {
        let mut snapshot = testing::snapshot();
        snapshot.sockets[3].waiting = Some(Waiting::Connections(Queue { used: 1, limit: 4 }));
        let text = text_of(&snapshot, Some(Duration::from_millis(1500)));
        let samples: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        insta::assert_snapshot!(samples.join("\n"), @r#"
        portscope_listeners{space="host",protocol="tcp",category="well-known",exposure="any"} 1.0
        portscope_listeners{space="host",protocol="tcp",category="registered",exposure="loopback"} 2.0
        portscope_listeners{space="host",protocol="udp",category="registered",exposure="any"} 1.0
        portscope_connections{space="host",protocol="tcp",state="ESTABLISHED"} 1.0
        portscope_connections{space="host",protocol="tcp",state="TIME_WAIT"} 1.0
        portscope_ephemeral_ports_used{space="host",protocol="tcp"} 1.0
        portscope_ephemeral_ports_used{space="host",protocol="udp"} 0.0
        portscope_ephemeral_ports{space="host",protocol="tcp"} 28232.0
        portscope_ephemeral_ports{space="host",protocol="udp"} 28232.0
        portscope_fullest_destination_ratio{space="host"} 0.000035420799093227548
        portscope_accept_queue_used{space="host",port="5432"} 1.0
        portscope_accept_queue_limit{space="host",port="5432"} 4.0
        portscope_accept_queue_fullest_ratio{space="host",port="5432"} 0.25
        portscope_hidden_owners 1.0
        portscope_unseen_spaces 0.0
        portscope_spaces 1.0
        portscope_collection_duration_seconds 1.5
        portscope_collection_timestamp_seconds 1700009999.0
        portscope_build_info{version="1.2.3"} 1.0
        "#);
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn a_name_cannot_break_out_of_its_label() {
        let mut snapshot = testing::snapshot();
        snapshot.spaces[0].label = "a\"b\\\n\u{1b}".to_owned();
        let text = text_of(&snapshot, None);
        let line = r#"portscope_connections{space="a\"b\\\\x0a\\x1b",protocol="tcp",state="TIME_WAIT"} 1.0"#;
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn names_that_look_alike_are_one_series() {
        let mut snapshot = testing::snapshot();
        let mut other = snapshot.spaces[0].clone();
        (other.id, other.label) = (crate::model::SpaceId(1), r"a\x0a".to_owned());
        snapshot.spaces[0].label = "a\n".to_owned();
        snapshot.spaces.push(other);
        let text = text_of(&snapshot, None);
        let series: Vec<&str> =
            text.lines().filter_map(|line| line.rsplit_once(' ').map(|(series, _)| series)).collect();
        let mut distinct: Vec<&str> = series.iter().copied().filter(|series| !series.starts_with('#')).collect();
        let count = distinct.len();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), count, "Prometheus refuses a page with a series twice: {text}");
    }

    #[test]
    fn a_saved_report_took_no_time() {
        assert!(!text_of(&testing::snapshot(), None).contains("collection_duration"));
    }
}
