//! CSV and TSV for spreadsheets and scripts.

use std::io::{self, Write};

use crate::model::Listing;
use crate::render::text::safe::Charset;
use crate::render::words::column::Column;

/// Writes the rows of a listing. An unknown value is an empty cell; several holders stand in one cell, parted by
/// blanks.
pub fn write(
    out: &mut dyn Write,
    listing: &Listing<'_>,
    columns: &[Column],
    delimiter: u8,
    bare: bool,
) -> io::Result<()> {
    let heads: Vec<&str> = columns.iter().map(|column| column.name()).collect();
    let cell = |row, column: &Column| column.value(row, Charset::Unicode).unwrap_or_default().into_string();
    let records = listing.rows.iter().map(|row| columns.iter().map(|column| cell(row, column)).collect());
    write_records(out, (!bare).then_some(&heads[..]), records, delimiter)
}

/// Writes a header and one line a record, guarded against formulas.
pub fn write_records(
    out: &mut dyn Write,
    heads: Option<&[&str]>,
    records: impl Iterator<Item = Vec<String>>,
    delimiter: u8,
) -> io::Result<()> {
    let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(out);
    let mut write = |record: &mut dyn Iterator<Item = &str>| {
        for value in record {
            writer.write_field(guarded(value).as_bytes())?;
        }
        writer.write_record(None::<&[u8]>)
    };
    let failed = |error: csv::Error| match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    };
    if let Some(heads) = heads {
        write(&mut heads.iter().copied()).map_err(failed)?;
    }
    for record in records {
        write(&mut record.iter().map(String::as_str)).map_err(failed)?;
    }
    writer.flush()
}

/// Puts an apostrophe before what a spreadsheet would take for a formula.
///
/// Source: OWASP, CSV Injection (CWE-1236).
fn guarded(value: &str) -> std::borrow::Cow<'_, str> {
    if value.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{value}").into() } else { value.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_that_looks_like_a_formula_is_guarded() {
        for (value, shown) in
            [("=1+1|cmd", "'=1+1|cmd"), ("+1", "'+1"), ("-x", "'-x"), ("@a", "'@a"), ("nginx", "nginx")]
        {
            assert_eq!(guarded(value), shown);
        }
    }
}
