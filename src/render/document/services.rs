//! The JSON document of `services`, and its records.

use std::io::{self, Write};

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::{Category, Host, Registered};
use crate::render::document::csv;
use crate::render::document::envelope::Envelope;
use crate::render::text::safe::Text;
use crate::render::text::style::Style;
use crate::render::words::registered;

/// Registered services.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "portscope services", rename = "Services")]
pub struct ServicesReport<'a> {
    /// The categories of port numbers.
    pub categories: Vec<CategoryReport>,
    /// The services, by port and protocol.
    pub services: Vec<PortService<'a>>,
}

/// A category of port numbers.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Category")]
pub struct CategoryReport {
    /// `well-known`, `registered` or `dynamic`.
    pub name: &'static str,
    /// Its lowest port.
    pub first: u16,
    /// Its highest port.
    pub last: u16,
}

/// A port with its service.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PortService<'a> {
    /// The port.
    pub port: u16,
    /// `tcp` or `udp`.
    pub protocol: &'a str,
    /// The port's category.
    pub category: &'a str,
    /// Its short name.
    pub name: &'a str,
    /// `user`, `well-known`, `host` or `iana`.
    pub source: &'a str,
    /// A description.
    pub description: Option<&'a str>,
}

impl<'a> ServicesReport<'a> {
    /// Turns entries of the catalog into the document.
    pub fn new(entries: &[Registered<'a>], host: &'a Host) -> Envelope<'a, ServicesReport<'a>> {
        let category = |category: Category| CategoryReport {
            name: category.name(),
            first: category.range().first().get(),
            last: category.range().last().get(),
        };
        let service = |entry: &Registered<'a>| PortService {
            port: entry.port.get(),
            protocol: entry.protocol.name(),
            category: Category::of(entry.port).name(),
            name: entry.service.name,
            source: entry.service.source.name(),
            description: entry.service.description,
        };
        let body = ServicesReport {
            categories: Category::ALL.into_iter().map(category).collect(),
            services: entries.iter().map(service).collect(),
        };
        Envelope::without_sockets(host, body)
    }
}

const NAMES: [&str; 6] = ["port", "proto", "category", "service", "source", "description"];

/// Writes the entries as records.
pub fn write_records(
    out: &mut dyn Write,
    entries: &[Registered<'_>],
    delimiter: u8,
    bare: bool,
    style: Style,
) -> io::Result<()> {
    let heads = (!bare).then_some(&NAMES[..]);
    let records = entries.iter().map(|entry| registered::cells(entry, style).map(Text::into_string).to_vec());
    csv::write_records(out, heads, records, delimiter)
}
