use std::collections::BTreeSet;

use super::*;
use crate::analyse::audit::testing::Host;
use crate::catalogue::Catalogue;
use crate::join;
use crate::model::{Belonging, Container, Protocol};

/// What the policy and the built-in rules that are named find: `rule subject: evidence`.
fn found(host: &Host, text: &str) -> Vec<String> {
    try_found(host, text).unwrap()
}

fn try_found(host: &Host, text: &str) -> Result<Vec<String>, PolicyError> {
    let catalogue = Catalogue::default();
    let policy = parse(text, &catalogue)?;
    let listing = join::listing(&host.snapshot, Some(&catalogue));
    let object = |row: &Row<'_>| {
        let mut object: serde_json::Value =
            crate::expression::FIELDS.into_iter().map(|name| (name, serde_json::Value::Null)).collect();
        object["protocol"] = row.socket.protocol.name().into();
        object["local"] = serde_json::json!({"port": row.socket.local.port.get()});
        object
    };
    let scene = Scene { listing: &listing, object: &object };
    let is_enabled = |rule: &Rule| !policy.disable.contains(rule.id);
    let built_in = audit::findings(&listing, &|rule| is_enabled(rule) && rule.id == "exposed-service");
    let judged = judge(&policy, &scene, built_in, &is_enabled)?;
    Ok(audit::in_order(judged)
        .iter()
        .map(|finding| match finding.subject {
            Subject::Socket(row) => format!("{} {}", finding.rule.id, row.socket.local),
            Subject::Policy { line, .. } => format!("{} line {line}", finding.rule.id),
            Subject::Run => finding.rule.id.to_owned(),
        })
        .collect())
}

fn nginx() -> Host {
    let holders = [("/usr/sbin/nginx", 0), ("/usr/sbin/nginx", 33)];
    Host::new().socket(Protocol::Tcp, "0.0.0.0:443", &holders)
}

#[test]
fn what_no_rule_names_is_a_violation_only_where_the_default_denies() {
    assert!(found(&nginx(), "").is_empty());
    assert_eq!(found(&nginx(), "default = \"deny\""), ["policy-unlisted 0.0.0.0:443"]);
    assert!(found(&nginx(), "default = \"deny\"\n[[allow]]\nport = 443").is_empty());
    assert!(found(&nginx(), "default = \"deny\"\n[[require]]\nservice = \"https\"").is_empty());
    assert!(found(&nginx(), "default = \"deny\"\ndisable = \"policy-unlisted\"").is_empty());
}

#[test]
fn each_key_decides_by_its_own_fact() {
    let mut host = nginx();
    host.last().cgroup = Some(7);
    let container = Container { name: Some("web".to_owned()), ..Container::of_id("docker", "0123".to_owned()) };
    let belonging = Belonging { unit: Some("nginx.service".to_owned()), container: Some(container) };
    host.snapshot.cgroups.insert(7, belonging);
    for (condition, fits) in [
        ("protocol = \"tcp\"", true),
        ("protocol = \"udp\"", false),
        ("port = [80, \"440-443\"]", true),
        ("port = 80", false),
        ("service = \"https\"", true),
        ("service = \"http*\"", true),
        ("service = \"ssh\"", false),
        ("exposure = [\"loopback\", \"any\"]", true),
        ("exposure = \"loopback\"", false),
        ("space = \"ho*\"", true),
        ("space = \"web\"", false),
        ("exe = \"*/nginx\"", true),
        ("exe = \"/opt/*\"", false),
        ("unit = \"nginx.service\"", true),
        ("unit = \"ssh.service\"", false),
        ("container = [\"db\", \"web\"]", true),
        ("container = \"db\"", false),
        ("user = [\"root\", \"www-data\"]", true),
        ("user = \"postgres\"", false),
        ("when = \"local.port == 443\"", true),
        ("when = \"local.port == 444\"", false),
        ("protocol = \"tcp\"\nport = 80", false),
    ] {
        let forbidden = found(&host, &format!("[[forbid]]\n{condition}"));
        assert_eq!(forbidden == ["policy-forbidden 0.0.0.0:443"], fits, "{condition}: {forbidden:?}");
        let missing = found(&host, &format!("disable = \"policy-hint\"\n[[require]]\n{condition}"));
        assert_eq!(missing.is_empty(), fits, "{condition}: {missing:?}");
    }
}

#[test]
fn an_allow_asks_every_holder_and_a_forbid_any_one() {
    let mixed = Host::new().socket(Protocol::Tcp, "0.0.0.0:443", &[("/usr/sbin/nginx", 0), ("/opt/x", 33)]);
    let denied = "default = \"deny\"\n[[allow]]\nexe = \"/usr/sbin/nginx\"";
    assert_eq!(found(&mixed, denied), ["policy-unlisted 0.0.0.0:443"]);
    assert!(found(&mixed, "default = \"deny\"\n[[allow]]\nexe = [\"/usr/sbin/nginx\", \"/opt/x\"]").is_empty());
    assert_eq!(found(&mixed, "[[forbid]]\nexe = \"/opt/*\""), ["policy-forbidden 0.0.0.0:443"]);
    assert_eq!(found(&mixed, "[[forbid]]\nuser = \"www-data\""), ["policy-forbidden 0.0.0.0:443"]);
}

#[test]
fn a_hidden_owner_is_neither_allowed_nor_called_missing_nor_passed_over() {
    let hidden = Host::new().hidden("0.0.0.0:443");
    assert_eq!(found(&hidden, "default = \"deny\"\n[[allow]]\nexe = \"*\""), ["policy-unlisted 0.0.0.0:443"]);
    assert_eq!(found(&hidden, "[[forbid]]\nexe = \"/opt/*\""), ["incomplete 0.0.0.0:443"]);
    assert_eq!(found(&hidden, "[[require]]\nport = 443\nexe = \"/usr/sbin/nginx\""), ["incomplete line 1"]);
    assert_eq!(found(&hidden, "[[require]]\nport = 80\nexe = \"/usr/sbin/nginx\""), ["policy-missing line 1"]);
    assert!(found(&hidden, "[[forbid]]\nport = 80\nexe = \"/opt/*\"").is_empty());
}

#[test]
fn an_expired_rule_is_a_finding_and_counts_for_nothing() {
    let mut host = nginx();
    let last_hour: jiff::Timestamp = "2027-01-31T23:00:00Z".parse().unwrap();
    host.snapshot.host.captured_at = last_hour.try_into().unwrap();
    let allow = |day: &str| format!("default = \"deny\"\n[[allow]]\nport = 443\nexpires = {day}");
    assert!(found(&host, &allow("2027-01-31")).is_empty());
    let expired = ["policy-unlisted 0.0.0.0:443", "policy-expired line 2"];
    assert_eq!(found(&host, &allow("2027-01-30")), expired);
    assert_eq!(found(&host, "[[forbid]]\nport = 443\nexpires = 2027-01-30"), ["policy-expired line 1"]);
}

#[test]
fn a_built_in_rule_is_suppressed_only_for_what_an_allow_names() {
    let host = Host::new().listens("0.0.0.0:6379", "/usr/bin/redis-server", 0).listens("0.0.0.0:9200", "/opt/java", 0);
    let both = ["exposed-service 0.0.0.0:6379", "exposed-service 0.0.0.0:9200"];
    assert_eq!(found(&host, ""), both);
    assert_eq!(found(&host, "[[allow]]\nport = 6379"), both);
    assert_eq!(found(&host, "[[allow]]\nport = 6379\nsuppress = \"exposed-service\""), both[1..]);
    assert_eq!(found(&host, "[[allow]]\nport = 6379\nsuppress = \"clear-text\""), both);
    assert_eq!(found(&host, "[[allow]]\nport = 6379\nsuppress = \"exposed-service\"\nexpires = 2001-01-01").len(), 3);
    assert!(found(&host, "disable = \"exposed-service\"").is_empty());
}

#[test]
fn a_severity_of_its_own_counts_and_a_name_alone_is_called_a_hint() {
    let catalogue = Catalogue::default();
    let policy = parse("[[forbid]]\nport = 443\nseverity = \"low\"", &catalogue).unwrap();
    let host = nginx();
    let listing = join::listing(&host.snapshot, None);
    let scene = Scene { listing: &listing, object: &|_| serde_json::Value::Null };
    let judged = judge(&policy, &scene, Vec::new(), &|_| true).unwrap();
    assert_eq!(judged.iter().map(|finding| finding.severity).collect::<Vec<_>>(), [Severity::Low]);
    assert_eq!(found(&host, "[[allow]]\nunit = \"x\""), ["policy-hint line 1"]);
    assert!(found(&host, "[[allow]]\nunit = \"x\"\nuser = \"root\"").is_empty());
}

#[test]
fn an_expression_without_an_answer_names_its_place_and_the_socket() {
    let error = try_found(&nginx(), "[[forbid]]\nwhen = \"peer.port == 1\"").unwrap_err();
    assert_eq!((error.line, error.column), (2, 8));
    assert!(error.problem.starts_with("`when`, for tcp 0.0.0.0:443: `peer.port == 1` cannot be answered"), "{error}");
    // Where another key has decided, it is not asked.
    assert!(found(&nginx(), "[[forbid]]\nport = 80\nwhen = \"peer.port == 1\"").is_empty());
}

#[test]
fn a_port_that_is_forwarded_without_a_socket_is_written_and_kept_too() {
    let host = Host::new().redirect("0.0.0.0:8080");
    let listing = join::listing(&host.snapshot, None);
    let entries = entries(&listing, &[]);
    assert!(!entries[0].is_owner_hidden && entries[0].exes.is_empty() && entries[0].users.is_empty());
    let allow =
        "default = \"deny\"\n[[allow]]\nspace = \"host\"\nprotocol = \"tcp\"\nport = 8080\nexposure = [\"any\"]";
    assert!(found(&host, allow).is_empty());
    assert_eq!(found(&host, "default = \"deny\""), ["policy-unlisted 0.0.0.0:8080"]);
}

#[test]
fn the_entries_for_what_is_open_name_no_process_and_join_exposures() {
    let host = nginx().listens("127.0.0.1:6379", "/usr/bin/redis-server (deleted)", 7777).hidden("0.0.0.0:22");
    let host = host.listens("[::1]:6379", "/usr/bin/redis-server", 7777).listens(
        "0.0.0.0:6379",
        "/usr/bin/redis-server",
        7777,
    );
    let listing = join::listing(&host.snapshot, None);
    let built_in = audit::findings(&listing, &|rule| rule.id == "exposed-service");
    let entries = entries(&listing, &built_in);
    assert_eq!(entries.iter().map(|entry| entry.is_owner_hidden).collect::<Vec<_>>(), [true, false, false]);
    let ports: Vec<u16> = entries.iter().map(|entry| entry.port.get()).collect();
    assert_eq!(ports, [22, 443, 6379]);
    assert!(entries[0].exes.is_empty() && entries[0].users.contains("root"));
    assert_eq!(entries[1].users, BTreeSet::from(["root".to_owned(), "www-data".to_owned()]));
    let names: Vec<&str> = entries[2].exposures.iter().map(|exposure| exposure.name()).collect();
    assert_eq!(names, ["loopback", "any"]);
    assert_eq!(entries[2].exes, BTreeSet::from(["/usr/bin/redis-server".to_owned()]));
    assert_eq!(entries[2].findings.keys().copied().collect::<Vec<_>>(), ["exposed-service"]);
}
