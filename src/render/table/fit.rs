//! Fits columns into the width of a terminal: names are shortened, then the least important columns leave.

use crate::render::words::column::Column;

/// What one column wants.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// The column.
    pub column: Column,
    /// The width of its widest cell, the head included.
    pub natural: usize,
    /// Whether it says nothing in this listing: every cell is unknown.
    pub is_empty: bool,
}

/// A column that stays, and its width.
pub type Placed = (Column, usize);

/// Blank columns between two columns of the table.
pub const GAP: u16 = 2;

/// Returns the columns that stay with their widths, and those that left.
///
/// Numbers are never cut: when the columns that must stay are wider than the terminal, its lines wrap.
pub fn fit(wishes: &[Wish], width: Option<usize>) -> (Vec<Placed>, Vec<Column>) {
    let mut staying = wishes.to_vec();
    let mut left = Vec::new();
    if let Some(width) = width {
        while least(&staying) > width {
            let Some(place) = first_to_leave(&staying) else { break };
            left.push(staying.remove(place).column);
        }
    }
    (widths(&staying, width), left)
}

fn narrowest(wish: &Wish) -> usize {
    let floor = wish.column.may_shrink_to().map_or(wish.natural, |least| least.max(wish.column.header().len()));
    floor.min(wish.natural)
}

fn total(widths: impl Iterator<Item = usize>) -> usize {
    let widths: Vec<usize> = widths.collect();
    widths.iter().sum::<usize>() + usize::from(GAP) * widths.len().saturating_sub(1)
}

fn least(staying: &[Wish]) -> usize {
    total(staying.iter().map(narrowest))
}

/// Columns that say nothing leave before all others.
fn first_to_leave(staying: &[Wish]) -> Option<usize> {
    let rank = |wish: &Wish| wish.column.expendable().map(|rank| (!wish.is_empty, rank));
    let candidates = staying.iter().enumerate().filter_map(|(place, wish)| Some((rank(wish)?, place)));
    candidates.min().map(|(_, place)| place)
}

fn widths(staying: &[Wish], width: Option<usize>) -> Vec<Placed> {
    let mut placed: Vec<Placed> = staying.iter().map(|wish| (wish.column, wish.natural)).collect();
    let Some(width) = width else { return placed };
    let mut excess = total(placed.iter().map(|(_, width)| *width)).saturating_sub(width);
    while excess > 0 {
        // One character at a time from the widest, so that the loss is shared.
        let shrinkable = placed.iter_mut().zip(staying).filter(|((_, width), wish)| *width > narrowest(wish));
        let Some(((_, widest), _)) = shrinkable.max_by_key(|((_, width), _)| *width) else { break };
        *widest -= 1;
        excess -= 1;
    }
    placed
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wish(column: Column, natural: usize) -> Wish {
        Wish { column, natural, is_empty: false }
    }

    #[test]
    fn names_shrink_before_a_column_leaves() {
        let wishes = [wish(Column::Port, 5), wish(Column::Process, 20), wish(Column::User, 15)];
        assert_eq!(fit(&wishes, None).0, [(Column::Port, 5), (Column::Process, 20), (Column::User, 15)]);
        assert_eq!(fit(&wishes, Some(30)).0, [(Column::Port, 5), (Column::Process, 11), (Column::User, 10)]);
        assert_eq!(fit(&wishes, Some(20)), (vec![(Column::Port, 5), (Column::Process, 13)], vec![Column::User]));
    }

    #[test]
    fn a_column_that_says_nothing_leaves_first() {
        let empty_peer = Wish { column: Column::Peer, natural: 4, is_empty: true };
        let wishes = [wish(Column::Port, 5), empty_peer, wish(Column::User, 4)];
        assert_eq!(fit(&wishes, Some(12)).1, [Column::Peer]);
    }

    #[test]
    fn numbers_are_never_cut_however_narrow_the_terminal_is() {
        let wishes = [wish(Column::Address, 15), wish(Column::Port, 5), wish(Column::Peer, 21)];
        assert_eq!(fit(&wishes, Some(1)), (vec![(Column::Address, 15), (Column::Port, 5)], vec![Column::Peer]));
    }

    proptest! {
        #[test]
        fn the_table_fits_or_only_what_must_stay_is_left(naturals in prop::collection::vec(1usize..40, 10), width in 1usize..300) {
            let wishes: Vec<Wish> = Column::DEFAULT.into_iter().zip(naturals).map(|(column, natural)| {
                wish(column, natural.max(column.header().len()))
            }).collect();
            let (placed, left) = fit(&wishes, Some(width));
            let taken = total(placed.iter().map(|(_, width)| *width));
            prop_assert!(taken <= width || placed.iter().all(|(column, _)| column.expendable().is_none()));
            prop_assert_eq!(placed.len() + left.len(), wishes.len());
        }
    }
}
