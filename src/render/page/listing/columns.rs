//! What each column of a listing gives up where the terminal is too narrow.

use crate::model::{Category, Row, State};
use crate::render::table::fit::Yields;
use crate::render::words::column::Column;

/// Below this width even the category may leave.
const CATEGORY_STAYS_FROM: usize = 72;

/// Says whether a column leaves where its cells say nothing: every one is unknown, or all of several rows are alike.
///
/// What a socket is, the category of its port and who holds it stay.
pub fn is_silent(column: Column, is_empty: bool, is_alike: bool, rows: usize) -> bool {
    match column {
        Column::Protocol | Column::Address | Column::Port | Column::Category | Column::Process => false,
        Column::Pid | Column::Service => is_empty,
        // The line above the table has the state of every socket.
        Column::State => is_empty || is_alike,
        _ => is_empty || is_alike && rows > 1,
    }
}

/// The title and the cell of a column in short, where there is such a form.
pub fn in_short(column: Column, row: &Row<'_>) -> Option<&'static str> {
    match column {
        Column::Category => Some(match row.category {
            Category::WellKnown => "known",
            Category::Registered => "reg",
            Category::Dynamic => "dyn",
        }),
        // As ss has it.
        Column::State => Some(match row.socket.state {
            None => "-",
            Some(State::Established) => "ESTAB",
            Some(state) => state.name(),
        }),
        _ => None,
    }
}

/// The title of a column whose cells are written in short.
pub fn short_title(column: Column) -> String {
    if column == Column::Category { "CAT".to_owned() } else { column.header() }
}

/// What a column gives up. Numbers and addresses are never cut.
pub fn yields(column: Column, width: Option<usize>, is_named: bool) -> Yields {
    match column {
        Column::Protocol | Column::Port => Yields::NEVER,
        Column::Address => Yields::NEVER.or_moves_below(),
        Column::Process => Yields::is_cut(24, 8),
        Column::Category if width.is_none_or(|width| width >= CATEGORY_STAYS_FROM) => Yields::NEVER,
        Column::Source => Yields::leaves(1),
        Column::Family | Column::V6only => Yields::leaves(2),
        Column::Inode => Yields::leaves(3),
        Column::Fd => Yields::leaves(4),
        Column::Uid => Yields::leaves(5),
        Column::Retransmits | Column::Idle => Yields::leaves(5),
        Column::Queue | Column::RecvQueue | Column::SendQueue | Column::Timer => Yields::leaves(6),
        Column::Rtt => Yields::leaves(7),
        Column::Rx | Column::Tx => Yields::leaves(17),
        Column::Description => Yields::is_cut(24, 12).or_leaves(7),
        Column::Started => Yields::leaves(8),
        Column::Device => Yields::leaves(9),
        Column::Argv => Yields::is_cut(40, 12).or_leaves(10),
        Column::Cwd => Yields::is_cut(24, 12).or_leaves(10),
        Column::Exe => Yields::is_cut(24, 12).or_leaves(11),
        Column::Container => Yields::is_cut(24, 12).or_leaves(12),
        Column::Unit => Yields::is_cut(24, 12).or_leaves(13),
        Column::Project => Yields::is_cut(24, 12).or_leaves(14),
        Column::Runs => Yields::is_cut(16, 8).or_leaves(14),
        Column::Exposure if !is_named => Yields::SPARE,
        Column::Exposure => Yields::leaves(15),
        Column::Peer => Yields::leaves(16),
        Column::PeerProcess => Yields::is_cut(16, 8).or_leaves(14),
        Column::Category => Yields::leaves(17),
        Column::Pid => Yields::leaves(18),
        Column::Service => Yields::is_cut(8, 8).or_leaves(19),
        Column::User => Yields::is_cut(12, 8).or_leaves(20),
        Column::State => Yields::leaves(21),
        Column::Space => Yields::is_cut(16, 8).or_leaves(22),
    }
}
