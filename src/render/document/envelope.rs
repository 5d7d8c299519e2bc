//! What every JSON document says beside its own answer. It is made here alone, so that no document can leave out what
//! was hidden.

use std::path::Path;

use schemars::{JsonSchema, Schema, schema_for};
use serde::Serialize;

use super::listing::SCHEMA;
use super::space::{HostReport, host};
use super::visibility::{Visibility, together, visibility};
use crate::model::{Host, Listing};

/// A document: which host it is about, the command's answer, what could not be seen, and warnings.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Envelope<'a, Body> {
    /// Always `portscope/1`.
    pub schema: &'a str,
    /// The host: the first one if the document covers several, and the later one if it compares two.
    pub host: HostReport<'a>,
    /// The command's own result.
    #[serde(flatten)]
    pub body: Body,
    /// What could not be seen.
    pub visibility: Visibility,
    /// Other warnings, as text.
    pub warnings: Vec<String>,
}

impl<'a, Body> Envelope<'a, Body> {
    /// A document about the sockets of this listing.
    pub fn of(listing: &Listing<'a>, body: Body, program: Option<&Path>) -> Envelope<'a, Body> {
        let snapshot = listing.snapshot;
        Envelope {
            schema: SCHEMA,
            host: host(&snapshot.host),
            body,
            visibility: visibility(listing, program),
            warnings: snapshot.warnings.clone(),
        }
    }

    /// A document about several listings, of which `main` is the one whose host it names.
    pub fn of_several(
        listings: &[Listing<'a>],
        main: &Listing<'a>,
        body: Body,
        program: Option<&Path>,
    ) -> Envelope<'a, Body> {
        let seen = listings.iter().map(|listing| visibility(listing, program)).collect();
        let warnings = listings.iter().flat_map(|listing| listing.snapshot.warnings.iter().cloned()).collect();
        Envelope { schema: SCHEMA, host: host(&main.snapshot.host), body, visibility: together(seen), warnings }
    }

    /// A document for which no socket was looked at, so that nothing was hidden.
    pub fn without_sockets(of: &'a Host, body: Body) -> Envelope<'a, Body> {
        Envelope { schema: SCHEMA, host: host(of), body, visibility: together(Vec::new()), warnings: Vec::new() }
    }

    /// The same with more warnings.
    pub fn warning(mut self, warnings: impl IntoIterator<Item = String>) -> Envelope<'a, Body> {
        self.warnings.extend(warnings);
        self
    }
}

/// The JSON Schema of the document with this body.
pub fn schema<Body: JsonSchema>() -> Schema {
    let mut schema = schema_for!(Envelope<'static, Body>);
    let body = schema_for!(Body);
    for word in ["title", "description"] {
        if let Some(value) = body.get(word) {
            schema.insert(word.to_owned(), value.clone());
        }
    }
    schema
}
