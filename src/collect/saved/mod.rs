//! A report that was saved earlier, on this or another machine, used as the source instead of this machine.

mod document;
mod events;
mod facts;
mod reachability;

pub use events::Recorded;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::{CollectError, Events, Source};
use crate::model::{Gap, Need, Snapshot, SpaceChoice, Watching};

/// Larger files are refused: no report of one host is that large.
const MOST_BYTES: u64 = 1 << 30;

/// A saved report as a source.
pub struct Saved(Snapshot);

impl Saved {
    /// Reads the report in the file; `-` stands for standard input.
    pub fn open(path: &Path) -> Result<Saved, CollectError> {
        let failed = |problem: String| CollectError::Saved { path: path.to_owned(), problem };
        let mut text = Vec::new();
        let read =
            |reader: &mut dyn Read, text: &mut Vec<u8>| reader.take(MOST_BYTES + 1).read_to_end(text).map(|_| ());
        let result = if path == Path::new("-") {
            read(&mut io::stdin().lock(), &mut text)
        } else {
            File::open(path).and_then(|mut file| read(&mut file, &mut text))
        };
        result.map_err(|error| failed(error.to_string()))?;
        if text.len() as u64 > MOST_BYTES {
            return Err(failed("it is larger than 1 GiB".to_owned()));
        }
        parse(&text).map(Saved).map_err(failed)
    }

    /// What the report says.
    pub fn into_snapshot(self) -> Snapshot {
        self.0
    }

    /// Returns the snapshot, with a gap for each kind of socket that is needed and not in the report.
    pub fn into_snapshot_for(self, need: &Need) -> Snapshot {
        let mut snapshot = self.0;
        for gap in left_out(&snapshot, need) {
            // A report that was made from such a report has the gap already.
            if !snapshot.gaps.contains(&gap) {
                snapshot.gaps.push(gap);
            }
        }
        snapshot
    }
}

/// What is needed and not in the report. It is unknown when the report does not say its scope.
fn left_out(snapshot: &Snapshot, need: &Need) -> Vec<Gap> {
    let scope = &snapshot.scope;
    let protocols = need.protocols.iter().filter(|one| !scope.protocols.is_empty() && !scope.protocols.contains(one));
    let families = need.families.iter().filter(|one| !scope.families.is_empty() && !scope.families.contains(one));
    let mut left_out: Vec<Gap> = protocols.map(|protocol| Gap::ProtocolLeftOut { protocol: *protocol }).collect();
    left_out.extend(families.map(|family| Gap::FamilyLeftOut { family: *family }));
    left_out.extend(scope.filtered.then_some(Gap::FilteredReport));
    left_out
}

impl Source for Saved {
    /// Returns everything that was saved. What is not needed does no harm; what is needed and missing is a gap.
    fn snapshot(&self, need: &Need) -> Result<Snapshot, CollectError> {
        if let SpaceChoice::Named(names) = &need.spaces
            && let Some(name) = names.iter().find(|name| !self.0.spaces.iter().any(|space| space.is_called(name)))
        {
            let known: Vec<&str> = self.0.spaces.iter().map(|space| space.label.as_str()).collect();
            return Err(CollectError::NoSuchSpace { name: name.clone(), known: known.join(", ") });
        }
        Ok(Saved(self.0.clone()).into_snapshot_for(need))
    }

    fn events(&self, _: &Need, _: Watching) -> Result<Box<dyn Events>, CollectError> {
        Err(CollectError::NothingHappens)
    }
}

/// Parses a report; an error is one line of text.
pub fn parse(text: &[u8]) -> Result<Snapshot, String> {
    /// The fields that identify the kind of document.
    #[derive(serde::Deserialize)]
    struct Kind {
        schema: Option<String>,
        /// Only listings of sockets have this field.
        local: Option<serde::de::IgnoredAny>,
    }
    if text.trim_ascii_start().first().is_some_and(|first| *first != b'{') {
        return Err(
            "it is not a portscope report: expected a JSON object, as written by --json or `portscope snapshot`"
                .to_owned(),
        );
    }
    let malformed = |error: serde_json::Error| format!("it is not a portscope report: {error}");
    let mut values = serde_json::Deserializer::from_slice(text).into_iter::<Kind>();
    let first = values.next().ok_or("it is not a portscope report: it is empty")?;
    let kind = first.map_err(malformed)?;
    if kind.schema.is_none() && kind.local.is_some() {
        return Err(
            "it has one socket per line (NDJSON): expected a report made by --json or `portscope snapshot`".to_owned()
        );
    }
    match kind.schema.as_deref() {
        Some(crate::model::SCHEMA) => {}
        Some(other) => return Err(format!("its schema is {other:?}: expected {:?}", crate::model::SCHEMA)),
        None => {
            return Err(format!(
                "it is not a portscope report: expected a field `schema` of {:?}",
                crate::model::SCHEMA
            ));
        }
    }
    let document: document::Document = serde_json::from_slice(text).map_err(malformed)?;
    facts::snapshot(document)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::join;
    use crate::render::document::listing::Report;
    use crate::testing;

    fn written(snapshot: &Snapshot) -> String {
        let catalogue = crate::catalogue::Catalogue::default();
        let listing = join::listing(snapshot, Some(&catalogue));
        serde_json::to_string(&Report::new(&listing, None)).unwrap()
    }

    #[test]
    fn a_report_is_the_same_after_it_was_read() {
        let first = written(&testing::snapshot());
        let read = parse(first.as_bytes()).unwrap();
        let second = written(&read);
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        let without_hints = |text: &str| {
            let mut value = value(text);
            for reason in value["visibility"]["reasons"].as_array_mut().unwrap() {
                reason["hint"] = serde_json::Value::Null;
            }
            value
        };
        assert_eq!(without_hints(&first), without_hints(&second));
        assert_eq!(value(&second)["visibility"]["reasons"][0]["hint"], serde_json::Value::Null, "sudo helps no file");
    }

    #[test]
    fn what_is_no_report_is_said_in_one_line() {
        for (text, problem) in [
            ("", "it is not a portscope report: it is empty"),
            (
                "{\"host\":\"a\",\"local\":{}}\n{\"host\":\"a\",\"local\":{}}\n",
                "it has one socket per line (NDJSON): expected",
            ),
            ("[]", "it is not a portscope report: "),
            ("{}", "it is not a portscope report: expected a field `schema` of \"portscope/1\""),
            (r#"{"schema":"portscope/2"}"#, "its schema is \"portscope/2\": expected \"portscope/1\""),
            (r#"{"schema":"portscope/1"}"#, "it is not a portscope report: missing field"),
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(error.starts_with(problem), "{text}: {error}");
            assert_eq!(error.lines().count(), 1);
        }
        let whole = written(&testing::snapshot());
        let error = parse(&whole.as_bytes()[..whole.len() / 2]).unwrap_err();
        assert!(error.contains("EOF while parsing"), "{error}");
    }

    #[test]
    fn a_zero_which_no_socket_has_as_its_number_is_read_as_unknown() {
        let mut report: serde_json::Value = serde_json::from_str(&written(&testing::snapshot())).unwrap();
        for socket in report["sockets"].as_array_mut().unwrap() {
            (socket["inode"], socket["cookie"]) = (0.into(), 0.into());
        }
        let read = parse(report.to_string().as_bytes()).unwrap();
        assert!(read.sockets.iter().all(|socket| (socket.inode, socket.cookie) == (None, None)));
    }

    #[test]
    fn fields_of_a_later_version_are_passed_over() {
        let text = written(&testing::snapshot()).replacen("{\"schema\"", "{\"later\":[1,{}],\"schema\"", 1);
        assert!(parse(text.as_bytes()).is_ok());
    }

    /// The numbers of a document, each with the key that it has.
    fn collect_numbers<'a>(value: &'a mut serde_json::Value, found: &mut Vec<(&'a mut serde_json::Value, String)>) {
        match value {
            serde_json::Value::Array(values) => values.iter_mut().for_each(|value| collect_numbers(value, found)),
            serde_json::Value::Object(fields) => {
                for (key, value) in fields {
                    if value.is_number() {
                        found.push((value, key.clone()));
                    } else {
                        collect_numbers(value, found);
                    }
                }
            }
            _ => {}
        }
    }

    proptest! {
        #[test]
        fn no_change_of_a_report_makes_it_panic(at in any::<prop::sample::Index>(), with in any::<Vec<u8>>()) {
            let mut text = written(&testing::snapshot()).into_bytes();
            let at = at.index(text.len());
            let end = (at + with.len()).min(text.len());
            text.splice(at..end, with);
            let _ = parse(&text);
        }

        #[test]
        fn any_number_in_the_place_of_any_other_is_refused_or_can_be_shown(
            at in any::<prop::sample::Index>(),
            with in prop_oneof![Just(0), Just(u64::from(u16::MAX)), Just(u64::from(u32::MAX)), Just(u64::MAX), any::<u64>()],
        ) {
            let mut snapshot = testing::snapshot();
            for _ in 0..2 {
                let problem = "refused".to_owned();
                snapshot.gaps.push(Gap::ClosedSpaces { count: 3, perhaps_listed: false, refused: true, problem });
            }
            let mut value: serde_json::Value = serde_json::from_str(&written(&snapshot)).unwrap();
            let mut numbers = Vec::new();
            collect_numbers(&mut value, &mut numbers);
            // The numbers of sockets that are alike are changed together, as sums of them are made.
            let chosen = numbers[at.index(numbers.len())].1.clone();
            for (number, key) in numbers {
                if key == chosen {
                    *number = with.into();
                }
            }
            if let Ok(read) = parse(value.to_string().as_bytes()) {
                let listing = join::listing(&read, None);
                let usage = crate::analyse::usage::usage(&listing);
                let metrics = crate::analyse::metrics::metrics(&listing, &usage, crate::render::document::openmetrics::name_of);
                crate::render::document::openmetrics::write(&mut Vec::new(), &metrics, &read, None, "1").unwrap();
                let _ = written(&read);
            }
        }
    }
}
