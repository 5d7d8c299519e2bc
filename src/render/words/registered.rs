//! A registered service in the fields that a table and a file of records have.

use crate::model::{Category, Registered};
use crate::render::text::safe::{Charset, Text};
use crate::render::text::style::Style;

/// Nothing is registered for the query; what IANA says of the port instead.
pub fn nothing(query: &str, status: Option<&str>, charset: Charset) -> String {
    let query = Text::of(query, charset);
    match status {
        Some(status) => format!("no service is registered for {} (IANA: {status})", query.as_str()),
        None => format!("no service matches `{}`", query.as_str()),
    }
}

/// Its port, protocol, category, name, source and description.
pub fn cells(entry: &Registered<'_>, style: Style) -> [Text; 6] {
    let charset = style.charset;
    [
        Text::plain(entry.port.to_string()),
        Text::plain(entry.protocol.name()),
        Text::plain(Category::of(entry.port).name()),
        Text::of(entry.service.name, charset),
        Text::plain(entry.service.source.name()),
        Text::of(entry.service.description.unwrap_or_default(), charset),
    ]
}
