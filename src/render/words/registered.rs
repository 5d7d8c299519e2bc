//! A registered service in the fields that a table and a file of records have.

use crate::model::{Category, Registered};
use crate::render::text::safe::Text;
use crate::render::text::style::Style;

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
