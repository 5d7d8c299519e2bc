//! What each column of a listing gives up where the terminal is too narrow.

use crate::render::table::fit::Yields;
use crate::render::words::column::Column;

/// Below this width even the category may leave.
const CATEGORY_STAYS_FROM: usize = 72;

/// What a column gives up. Numbers and addresses are never cut.
pub fn yields(column: Column, width: Option<usize>) -> Yields {
    match column {
        Column::Protocol | Column::Port => Yields::NEVER,
        Column::Address => Yields::NEVER.or_moves_below(),
        Column::Process => Yields::is_cut(24, 8),
        Column::Category if width.is_none_or(|width| width >= CATEGORY_STAYS_FROM) => Yields::NEVER,
        Column::Source => Yields::leaves(1),
        Column::Family => Yields::leaves(2),
        Column::Inode => Yields::leaves(3),
        Column::Fd => Yields::leaves(4),
        Column::Uid => Yields::leaves(5),
        Column::Queue | Column::RecvQueue | Column::SendQueue | Column::Timer => Yields::leaves(6),
        Column::Description => Yields::is_cut(24, 12).or_leaves(7),
        Column::Started => Yields::leaves(8),
        Column::Device => Yields::leaves(9),
        Column::Argv => Yields::is_cut(40, 12).or_leaves(10),
        Column::Cwd => Yields::is_cut(24, 12).or_leaves(10),
        Column::Exe => Yields::is_cut(24, 12).or_leaves(11),
        Column::Container => Yields::is_cut(24, 12).or_leaves(12),
        Column::Unit => Yields::is_cut(24, 12).or_leaves(13),
        Column::Runs | Column::Project => Yields::is_cut(16, 8).or_leaves(14),
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
