use std::collections::BTreeSet;
use std::num::NonZeroU64;

use super::*;
use crate::analyse::audit::testing::Host;
use crate::catalogue::Catalogue;
use crate::join;
use crate::model::{Belonging, Container, Protocol};

/// What the policy and the built-in rules that are named find: `rule subject: evidence`. That a rule names no user is
/// left out, since nearly none here does.
fn found(host: &Host, text: &str) -> Vec<String> {
    let mut found = try_found(host, text).unwrap();
    found.retain(|line| !line.starts_with("policy-hint"));
    found
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
        object["owner"] = serde_json::json!({"processes": []});
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
    host.last().cgroup = NonZeroU64::new(7);
    let container = Container {
        name: Some("web".to_owned()),
        origin: crate::model::Origin::Kernel,
        ..Container::of_id(crate::model::Runtime::Docker, "0123".to_owned())
    };
    let belonging = Belonging {
        unit: Some("nginx.service".to_owned()),
        container: Some(container),
        origin: crate::model::Origin::Kernel,
        ..Belonging::default()
    };
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
        ("user = [\"0\", \"33\"]", true),
        ("user = \"7\"", false),
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
fn a_unit_container_or_space_that_only_its_process_names_allows_nothing_and_may_be_forbidden() {
    for origin in [crate::model::Origin::Claim, crate::model::Origin::Manager] {
        let is_proved = origin.decides();
        let mut host = nginx();
        host.last().cgroup = NonZeroU64::new(7);
        let container = Container { origin, ..Container::of_id(crate::model::Runtime::Docker, "web".to_owned()) };
        let unit = Some("nginx.service".to_owned());
        let belonging = Belonging { unit, container: Some(container), origin, ..Belonging::default() };
        host.snapshot.cgroups.insert(7, belonging);
        host.snapshot.spaces[0].label = "blue".to_owned();
        host.snapshot.spaces[0].named_by = origin;
        for condition in ["unit = \"nginx.service\"", "container = \"web\"", "space = \"b*\""] {
            let allowed = found(&host, &format!("default = \"deny\"\n[[allow]]\n{condition}"));
            let unlisted = ["policy-unlisted 0.0.0.0:443"];
            assert_eq!(allowed, if is_proved { &[][..] } else { &unlisted[..] }, "{condition} {origin:?}");
            let required = found(&host, &format!("[[require]]\n{condition}"));
            assert_eq!(required.is_empty(), is_proved, "{condition} {origin:?}: {required:?}");
            let forbidden = found(&host, &format!("[[forbid]]\n{condition}"));
            assert_eq!(forbidden, ["policy-forbidden 0.0.0.0:443"], "{condition} {origin:?}");
        }
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
    assert_eq!(found(&mixed, "[[forbid]]\nuser = \"33\""), ["policy-forbidden 0.0.0.0:443"]);
}

#[test]
fn a_hidden_owner_is_neither_allowed_nor_called_missing_nor_passed_over() {
    let hidden = Host::new().hidden("0.0.0.0:443");
    let allowed = |condition: &str| found(&hidden, &format!("default = \"deny\"\n[[allow]]\n{condition}"));
    // Root made the socket, which says neither that root holds it nor that somebody else does not.
    for condition in [
        "exe = \"*\"",
        "user = \"root\"",
        "user = \"nobody\"",
        "unit = \"x.service\"\nuser = \"root\"",
        "container = \"x\"\nuser = \"root\"",
        "when = \"owner.processes.all(p, p.exe == '/opt/x')\"",
    ] {
        assert_eq!(allowed(condition), ["incomplete 0.0.0.0:443"], "{condition}");
    }
    for condition in ["port = 80\nexe = \"*\"", "when = \"local.port == 80 && owner.processes.all(p, p.pid == 1)\""] {
        assert_eq!(allowed(condition), ["policy-unlisted 0.0.0.0:443"], "{condition}");
    }
    assert!(allowed("port = 443").is_empty());
    assert!(allowed("exe = \"*\"\n[[allow]]\nport = 443").is_empty(), "another rule allows it, whoever holds it");
    assert_eq!(found(&hidden, "[[forbid]]\nuser = \"nobody\""), ["incomplete 0.0.0.0:443"]);
    assert_eq!(found(&hidden, "[[forbid]]\nexe = \"/opt/*\""), ["incomplete 0.0.0.0:443"]);
    assert_eq!(found(&hidden, "[[require]]\nport = 443\nexe = \"/usr/sbin/nginx\""), ["incomplete line 1"]);
    assert_eq!(found(&hidden, "[[require]]\nport = 80\nexe = \"/usr/sbin/nginx\""), ["policy-missing line 1"]);
    assert!(found(&hidden, "[[forbid]]\nport = 80\nexe = \"/opt/*\"").is_empty());
}

#[test]
fn a_port_that_nobody_holds_has_no_hidden_owner() {
    let redirect = Host::new().redirect("0.0.0.0:443");
    assert!(found(&redirect, "[[forbid]]\nuser = \"root\"").is_empty());
    assert!(found(&redirect, "[[forbid]]\nexe = \"*\"").is_empty());
    assert_eq!(found(&redirect, "default = \"deny\"\n[[allow]]\nuser = \"*\""), ["policy-unlisted 0.0.0.0:443"]);
}

#[test]
fn whether_a_finding_is_accepted_is_open_where_the_owner_is_hidden() {
    let hidden = Host::new().hidden("0.0.0.0:6379");
    let catalogue = Catalogue::default();
    let accept = |condition: &str| {
        let text = format!("[[allow]]\ncomment = \"cache\"\nsuppress = \"exposed-service\"\n{condition}");
        let policy = parse(&text, &catalogue).unwrap();
        let listing = join::listing(&hidden.snapshot, None);
        let scene = Scene { listing: &listing, object: &|_| serde_json::Value::Null };
        let found = audit::findings(&listing, &|rule| rule.id == "exposed-service");
        let judged = judge(&policy, &scene, found, &|rule| rule.id != "policy-hint").unwrap();
        judged.iter().map(crate::render::words::finding::evidence).collect::<Vec<_>>()
    };
    let told = accept("port = 6379\nexe = \"/usr/bin/redis-server\"");
    let open = "; can't tell whether the allow rule on line 1 (cache) accepts it: its owner is hidden";
    assert!(told.len() == 1 && told[0].ends_with(open), "{told:?}");
    assert!(accept("port = 6379").is_empty());
    assert!(!accept("port = 6380")[0].contains("whether"));
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
fn a_severity_of_its_own_counts_and_a_rule_without_a_user_is_called_a_hint() {
    let catalogue = Catalogue::default();
    let policy = parse("[[forbid]]\nport = 443\nseverity = \"low\"", &catalogue).unwrap();
    let host = nginx();
    let listing = join::listing(&host.snapshot, None);
    let scene = Scene { listing: &listing, object: &|_| serde_json::Value::Null };
    let judged = judge(&policy, &scene, Vec::new(), &|_| true).unwrap();
    assert_eq!(judged.iter().map(|finding| finding.severity).collect::<Vec<_>>(), [Severity::Low]);
    let hints = |text: &str| try_found(&host, text).unwrap();
    for rule in ["unit = \"x\"", "exe = \"/usr/sbin/nginx\"", "port = 443"] {
        assert_eq!(hints(&format!("[[allow]]\n{rule}")), ["policy-hint line 1"], "{rule}");
        assert!(hints(&format!("[[allow]]\n{rule}\nuser = \"root\"")).is_empty(), "{rule}");
    }
    assert!(hints("[[forbid]]\nport = 8").is_empty());
}

#[test]
fn an_expression_without_an_answer_names_its_place_and_the_socket() {
    let error = try_found(&nginx(), "[[forbid]]\nwhen = \"peer.port == 1\"").unwrap_err();
    assert_eq!((error.line, error.column), (2, 8));
    let Problem::NoAnswer { protocol: Protocol::Tcp, local, reason } = error.problem else { panic!("{error:?}") };
    assert_eq!(local.to_string(), "0.0.0.0:443");
    assert!(reason.starts_with("`peer.port == 1` cannot be evaluated"), "{reason}");
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
    let ports: Vec<u16> = entries.iter().map(|entry| entry.ports.first().get()).collect();
    assert_eq!(ports, [22, 443, 6379]);
    // That root made the socket does not say who holds it.
    assert!(entries[0].exes.is_empty() && entries[0].users.is_empty());
    assert_eq!(entries[1].users, BTreeSet::from(["root".to_owned(), "www-data".to_owned()]));
    let names: Vec<&str> = entries[2].exposures.iter().map(|exposure| exposure.name()).collect();
    assert_eq!(names, ["loopback", "any"]);
    assert_eq!(entries[2].exes, BTreeSet::from(["/usr/bin/redis-server".to_owned()]));
    assert_eq!(entries[2].findings.keys().copied().collect::<Vec<_>>(), ["exposed-service"]);
}

#[test]
fn many_ports_in_a_row_are_one_rule_and_few_are_one_each() {
    let row = |host: Host, port: u16| host.listens(&format!("0.0.0.0:{port}"), "/opt/x", 33);
    let host = (2379..=2388).chain(8000..=8007).chain([9000]).fold(Host::new(), row);
    let host = host.listens("127.0.0.1:2389", "/opt/x", 33).listens("0.0.0.0:2390", "/opt/y", 33);
    let listing = join::listing(&host.snapshot, None);
    let written: Vec<String> = entries(&listing, &[]).iter().map(|entry| entry.ports.to_string()).collect();
    let each = (8000..=8007).map(|port| port.to_string());
    let expected: Vec<String> =
        ["2379-2388", "2389", "2390"].map(str::to_owned).into_iter().chain(each).chain(["9000".to_owned()]).collect();
    assert_eq!(written, expected);
    // What a rule of the audit finds in some of them only is not accepted for the others.
    let found = audit::findings(&listing, &|rule| rule.id == "exposed-service");
    let ports: Vec<u16> = found
        .iter()
        .filter_map(|finding| match finding.subject {
            Subject::Socket(row) => Some(row.socket.local.port.get()),
            _ => None,
        })
        .collect();
    assert_eq!(ports, [2379, 2380]);
    let written: Vec<String> = entries(&listing, &found).iter().map(|entry| entry.ports.to_string()).collect();
    assert_eq!(written[..4], ["2379", "2380", "2381", "2382"]);
}

#[test]
fn a_condition_in_cel_that_would_allow_sees_no_claims_and_one_that_forbids_sees_them() {
    let catalogue = Catalogue::default();
    let object = |_: &Row<'_>| {
        serde_json::json!({
            "owner": {
                "unit": "nginx.service", "claims": ["unit"],
                "processes": [{"name": "nginx", "exe": "/opt/x", "uid": 33}],
            },
        })
    };
    let judged = |text: &str| {
        let host = nginx();
        let policy = parse(text, &catalogue).unwrap();
        let listing = join::listing(&host.snapshot, Some(&catalogue));
        let scene = Scene { listing: &listing, object: &object };
        let found = judge(&policy, &scene, Vec::new(), &|rule| rule.id != "policy-hint").unwrap();
        found.iter().map(|finding| finding.rule.id).collect::<Vec<_>>()
    };
    for claim in ["owner.unit == 'nginx.service'", "owner.processes.exists(p, p.name == 'nginx')"] {
        assert_eq!(
            judged(&format!("default = \"deny\"\n[[allow]]\nwhen = \"{claim}\"")),
            ["policy-unlisted"],
            "{claim}"
        );
        assert_eq!(judged(&format!("[[forbid]]\nwhen = \"{claim}\"")), ["policy-forbidden"], "{claim}");
    }
    let fact = "owner.processes.all(p, p.exe == '/opt/x' && p.uid == 33)";
    assert!(judged(&format!("default = \"deny\"\n[[allow]]\nwhen = \"{fact}\"")).is_empty());
}
