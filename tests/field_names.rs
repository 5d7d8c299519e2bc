//! The table of docs/fleet.md that maps portscope's fields to those of other schemas.

mod support;

use std::collections::BTreeSet;

use serde_json::Value;
use support::portscope;

const PAGE: &str = include_str!("../docs/fleet.md");
/// The names as the specifications spell them; `scripts/refresh-field-names` takes them from there.
const NAMES: &str = include_str!("field-names.txt");

/// The cells of each row, without the heading.
fn rows() -> Vec<[&'static str; 3]> {
    let (_, section) = PAGE.split_once("## Names of fields").unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    rows.skip(1).map(|row| row.split(" | ").collect::<Vec<_>>().try_into().unwrap()).collect()
}

/// What stands between backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// The fields of the first column, with those that begin with a dot written out.
fn fields() -> Vec<String> {
    let mut fields: Vec<String> = Vec::new();
    for [cell, ..] in rows() {
        for field in quoted(cell) {
            let before = fields.last().and_then(|before| before.rsplit_once('.')).map_or("", |(folder, _)| folder);
            fields.push(if field.starts_with('.') { format!("{before}{field}") } else { field.to_owned() });
        }
    }
    fields
}

/// Whether a schema has a field such as `owner.processes[].pid`, or any below `local.*`.
fn has(document: &Value, schema: &Value, field: &str) -> bool {
    let Some((name, rest)) = field.split_once('.') else {
        return field == "*" || schema["properties"].get(field).is_some();
    };
    let inner = match (&schema["properties"][name.trim_end_matches("[]")], name.ends_with("[]")) {
        (list, true) => &list["items"],
        (object, false) => object,
    };
    let alternatives = inner["anyOf"].as_array().into_iter().flatten().chain([inner]);
    let mut referred = alternatives.filter_map(|one| document.pointer(one["$ref"].as_str()?.strip_prefix('#')?));
    referred.any(|schema| has(document, schema, rest))
}

#[test]
fn every_field_of_the_table_is_one_of_a_socket_or_of_an_event() {
    let (report, event) = (portscope(["schema"]).success().json(), portscope(["schema", "events"]).success().json());
    let socket = &report["$defs"]["Socket"];
    // What a line of NDJSON adds to a socket.
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let line = portscope(["-o", "ndjson"]).arg(listener.local_addr().unwrap().port()).success().json();
    let exists = |field: &str| has(&report, socket, field) || has(&event, &event, field) || line.get(field).is_some();
    let fields = fields();
    let missing: Vec<&String> = fields.iter().filter(|field| !exists(field)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(fields.len() > 30, "{fields:?}");
    assert!(["owner.processes[].pidd", "local.pork", "tim", "owner.pid"].iter().all(|wrong| !exists(wrong)));
}

#[test]
fn every_name_of_another_schema_is_spelled_as_its_specification_spells_it() {
    for (number, key) in [(1, "ecs"), (2, "otel")] {
        let mut known: BTreeSet<&str> =
            NAMES.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix(' ')).collect();
        let version = *known.iter().find(|name| name.starts_with(|c: char| c.is_ascii_digit())).unwrap();
        known.remove(version);
        assert!(PAGE.contains(&format!("names of {version}")), "{key} {version}");
        let cells: Vec<&str> = rows().into_iter().map(|row| row[number]).collect();
        let used: BTreeSet<&str> =
            cells.into_iter().flat_map(quoted).filter(|name| !name.starts_with("portscope.")).collect();
        assert_eq!(used, known, "scripts/refresh-field-names");
    }
}
