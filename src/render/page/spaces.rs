//! The overview of port spaces as tables.

use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::analyse::spaces::{Open, Overview, Use};
use crate::model::{Host, Row};
use crate::render::table::fit::Yields;
use crate::render::table::grid::{self, Column as GridColumn, Grid, Row as GridRow};
use crate::render::text::paragraph;
use crate::render::text::safe::{Charset, Text};
use crate::render::text::style::Style;
use crate::render::words::column::Column;

/// Columns of the terminal that a name is not cut below.
const LEAST_NAME: usize = 16;

/// The same where nothing else is left.
const LEAST_HOST: usize = 8;

/// Characters of a boot id that tell hosts of one name apart, unless they begin alike.
const BOOT_ID: usize = 8;

/// Writes one row a space, and below it the numbers that are open in several.
pub fn write(out: &mut dyn Write, overview: &Overview<'_>, bare: bool, style: Style) -> io::Result<()> {
    let columns = [
        GridColumn::text("HOST", Yields::is_cut(LEAST_NAME, LEAST_HOST)),
        GridColumn::text("SPACE", Yields::is_cut(LEAST_NAME, LEAST_HOST)),
        GridColumn::text("KIND", Yields::leaves(0)),
        GridColumn::number("ID", Yields::leaves(0)),
        GridColumn::number("PROCESSES", Yields::leaves(0)),
        GridColumn::number("LISTENERS", Yields::leaves(0)),
        GridColumn::number("CONNECTIONS", Yields::leaves(0)),
        GridColumn::text("EPHEMERAL", Yields::leaves(0)),
        GridColumn::text("IMAGE", Yields::is_cut(LEAST_NAME, LEAST_NAME).or_leaves(0)),
    ];
    let rows: Vec<Vec<Text>> = overview.spaces.iter().map(|one| cells(one, overview, style.charset)).collect();
    // One host needs no column, and without containers there are no images.
    let says = |index: usize| match columns[index].title {
        "HOST" => has_several_hosts(overview),
        "IMAGE" => rows.iter().any(|row| row[index] != Text::unknown()),
        _ => true,
    };
    let indices: Vec<usize> = (0..columns.len()).filter(|index| says(*index)).collect();
    let columns: Vec<_> = indices.iter().map(|index| columns[*index]).collect();
    let row = |row: Vec<Text>| indices.iter().map(|index| row[*index].clone()).collect::<Vec<Text>>().into();
    let rows: Vec<GridRow> = rows.into_iter().map(row).collect();
    let left = Grid::new(&columns, bare).draw(out, &rows, style)?;
    if bare {
        return Ok(());
    }
    grid::write_no_room(out, &left, style)?;
    writeln!(out)?;
    write_shared(out, overview, style)
}

fn cells(one: &Use<'_>, overview: &Overview<'_>, charset: Charset) -> Vec<Text> {
    let space = one.space;
    let plain = |text: Option<String>| text.map_or_else(Text::unknown, Text::plain);
    let image = space.containers.iter().find_map(|container| container.image.as_deref());
    vec![
        host(one.host, overview, charset),
        Text::of(&space.label, charset),
        Text::plain(space.kind.name()),
        Text::plain(space.id.0.to_string()),
        plain(space.processes.map(|count| count.to_string())),
        Text::plain(one.listeners.to_string()),
        Text::plain(one.connections.to_string()),
        plain(space.ephemeral.map(|range| range.to_string())),
        image.map_or_else(Text::unknown, |image| Text::of(image, charset)),
    ]
}

/// The name of a host, and where another host has the same the beginning of the boot id, which tells them apart.
pub fn host(host: &Host, overview: &Overview<'_>, charset: Charset) -> Text {
    let name = host.name.as_deref().map_or_else(Text::unknown, |name| Text::of(name, charset));
    let hosts = overview.hosts.iter().copied();
    let mut namesakes = hosts.filter(|other| other.name == host.name && other.boot_id != host.boot_id).peekable();
    let Some(boot_id) = host.boot_id.as_deref().filter(|_| namesakes.peek().is_some()) else { return name };
    let beginning = |boot_id: &str| boot_id.chars().take(BOOT_ID).collect::<String>();
    let is_alike = |other: &Host| other.boot_id.as_deref().is_some_and(|other| beginning(other) == beginning(boot_id));
    let shown = if namesakes.any(is_alike) { boot_id.to_owned() } else { beginning(boot_id) };
    let shown = Text::join(&[Text::plain("["), Text::of(&shown, charset), Text::plain("]")], "");
    Text::join(&[name, shown], " ")
}

fn has_several_hosts(overview: &Overview<'_>) -> bool {
    overview.hosts.iter().any(|host| *host != overview.hosts[0])
}

/// The numbers that are open in several spaces, with who holds each.
fn write_shared(out: &mut dyn Write, overview: &Overview<'_>, style: Style) -> io::Result<()> {
    let Style { charset, width, .. } = style;
    let mut shared = overview.shared().peekable();
    if shared.peek().is_none() {
        paragraph::sentence(out, "no port is open in more than one of these port spaces", width)?;
    }
    for open in shared {
        let service = open.in_spaces.values().flatten().find_map(|row| row.service());
        let service = service.map(|service| format!(" ({})", Text::of(service.name, charset).as_str()));
        let (port, protocol) = (open.port, open.protocol.name());
        let (service, count) = (service.unwrap_or_default(), open.in_spaces.len());
        let line = format!("{port}/{protocol}{service} is open in {count} port spaces: no conflict");
        paragraph::sentence(out, &line, width)?;
        let rows: Vec<GridRow> = holders(overview, open, charset).into_iter().map(GridRow::from).collect();
        let columns = [
            GridColumn::text("", Yields::is_cut(LEAST_NAME, LEAST_HOST)),
            GridColumn::text("", Yields::NEVER.or_moves_below()),
            GridColumn::text("", Yields::is_cut(LEAST_NAME, LEAST_HOST)),
            GridColumn::text("", Yields::leaves(0)),
        ];
        Grid::new(&columns, true).draw(out, &rows, Style { color: false, ..style })?;
    }
    paragraph::sentence(out, "each port space (network namespace) has its own 65,536 ports", width)
}

/// Space, address, process and pid of each listener.
fn holders(overview: &Overview<'_>, open: &Open<'_>, charset: Charset) -> Vec<Vec<Text>> {
    let of_space = |(index, rows): (&usize, &Vec<&Row<'_>>)| {
        let one = &overview.spaces[*index];
        let mut name = Text::of(&one.space.label, charset);
        if has_several_hosts(overview) {
            name = Text::join(&[host(one.host, overview, charset), name], "/");
        }
        let indented = Text::join(&[Text::plain("  "), name], "");
        let holder = |row: &&Row<'_>| {
            let pid = Column::Pid.value(row, charset).map(|pid| Text::join(&[Text::plain("pid"), pid], " "));
            vec![
                indented.clone(),
                Column::Address.cell(row, charset),
                Column::Process.cell(row, charset),
                pid.unwrap_or_default(),
            ]
        };
        rows.iter().map(holder).collect::<Vec<_>>()
    };
    open.in_spaces.iter().flat_map(of_space).collect()
}

/// Writes open ports down, spaces across.
pub fn write_matrix(out: &mut dyn Write, overview: &Overview<'_>, bare: bool, style: Style) -> io::Result<()> {
    let charset = style.charset;
    let several_hosts = has_several_hosts(overview);
    let of_space = Yields::is_cut(LEAST_NAME, LEAST_NAME).or_leaves(0);
    let heads: Vec<Text> = overview
        .spaces
        .iter()
        .map(|one| {
            let label = Text::of(&one.space.label, charset);
            if several_hosts { Text::join(&[host(one.host, overview, charset), label], "/") } else { label }
        })
        .collect();
    let mut columns = vec![GridColumn::number("PORT", Yields::NEVER), GridColumn::text("PROTO", Yields::NEVER)];
    columns.extend(heads.iter().map(|head| GridColumn::text(head.as_str(), of_space)));
    let row = |open: &Open<'_>| -> Vec<Text> {
        let of_space = |index: usize| {
            let rows: &[&Row<'_>] = open.in_spaces.get(&index).map_or(&[], Vec::as_slice);
            // IPv4 and IPv6 listeners of one process are one answer.
            let names: BTreeMap<String, Text> = rows
                .iter()
                .map(|row| Column::Process.cell(row, charset))
                .map(|name| (name.as_str().to_owned(), name))
                .collect();
            let names: Vec<Text> = names.into_values().collect();
            if names.is_empty() { Text::unknown() } else { Text::join(&names, ", ") }
        };
        let mut cells = vec![Text::plain(open.port.get().to_string()), Text::plain(open.protocol.name())];
        cells.extend((0..overview.spaces.len()).map(of_space));
        cells
    };
    let rows: Vec<GridRow> = overview.open.iter().map(row).map(GridRow::from).collect();
    let left = Grid::new(&columns, bare).draw(out, &rows, style)?;
    if bare { Ok(()) } else { grid::write_no_room(out, &left, style) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::spaces::overview;
    use crate::model::Snapshot;
    use crate::{join, testing};

    fn drawn(snapshots: &[Snapshot], matrix: bool, width: Option<usize>) -> String {
        let listings: Vec<_> = snapshots.iter().map(|snapshot| join::listing(snapshot, None)).collect();
        let overview = overview(&listings);
        let style = Style { color: false, charset: Charset::Unicode, width };
        let mut text = Vec::new();
        if matrix {
            write_matrix(&mut text, &overview, false, style).unwrap();
        } else {
            write(&mut text, &overview, false, style).unwrap();
        }
        String::from_utf8(text).unwrap()
    }

    fn host(name: &str, boot_id: Option<&str>) -> Snapshot {
        let mut snapshot = testing::snapshot();
        snapshot.host.name = Some(name.to_owned());
        snapshot.host.boot_id = boot_id.map(str::to_owned);
        snapshot
    }

    #[test]
    fn hosts_of_one_name_are_told_apart_by_their_boots() {
        let (one, two) = ("1a2b3c4d-1111", "99990000-2222");
        let hosts = [host("vm", Some(one)), host("vm", Some(two)), host("web", Some("5")), host("vm", None)];
        let text = drawn(&hosts, false, None);
        let names: Vec<&str> = text.lines().skip(1).take(4).map(|line| line.split("  ").next().unwrap()).collect();
        assert_eq!(names, ["vm [1a2b3c4d]", "vm [99990000]", "web", "vm"]);
        for name in ["vm [1a2b3c4d]/host", "vm [99990000]/host", "web/host", "vm/host"] {
            assert!(text.contains(&format!("  {name} ")), "{text}");
            assert!(drawn(&hosts, true, None).lines().next().unwrap().contains(name));
        }
        let alike = [host("vm", Some("1a2b3c4d-1")), host("vm", Some("1a2b3c4d-2"))];
        let text = drawn(&alike, false, None);
        assert!(text.contains("vm [1a2b3c4d-1]  ") && text.contains("vm [1a2b3c4d-2]  "), "{text}");
        let others = [host("a", Some(one)), host("b", Some(two))];
        assert!(!drawn(&others, false, None).contains('['), "names are enough where they differ");
    }

    #[test]
    fn columns_without_room_are_named() {
        let text = drawn(&[host("vm", None)], false, Some(40));
        let note = "hidden columns: EPHEMERAL, CONNECTIONS,\nLISTENERS (widen the terminal or use a\npipe)\n";
        assert!(text.contains(note), "{text}");
        assert!(!drawn(&[host("vm", None)], false, None).contains("hidden columns"));
    }
}
