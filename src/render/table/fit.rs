//! Fits the columns of a table into the width of a terminal. Every column declares what it gives up.

use std::cmp::Reverse;

/// Blank columns of the terminal between two columns of a table.
pub const GAP: usize = 2;

/// What a column gives up where the terminal is too narrow for the whole table.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Yields {
    /// How its cells become narrower.
    narrows: Narrows,
    /// What happens where that is not enough.
    gives_way: GivesWay,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Narrows {
    #[default]
    Never,
    /// Its cells are cut, with a mark: to a fair width before any column leaves, and to the least one after that.
    IsCut { fair: usize, least: usize },
    /// Its cells are folded between words into further lines, which are never shorter than this or than a word.
    Folds { least: usize },
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum GivesWay {
    #[default]
    Never,
    /// It is shown only where there is room for all others as they are.
    IsSpare,
    /// It leaves the table, the lowest rank first; of equal ranks the last column first.
    Leaves(u8),
    /// Its cells go to lines of their own below their rows.
    MovesBelow,
}

/// Folded lines come down to this width before any column is cut.
const FAIR_LINE: usize = 30;

impl Yields {
    /// It stays as it is.
    pub const NEVER: Yields = Yields { narrows: Narrows::Never, gives_way: GivesWay::Never };

    /// It is shown only where there is room for all other columns as they are.
    pub const SPARE: Yields = Yields { narrows: Narrows::Never, gives_way: GivesWay::IsSpare };

    /// It leaves; the lowest rank first.
    pub const fn leaves(rank: u8) -> Yields {
        Yields { narrows: Narrows::Never, gives_way: GivesWay::Leaves(rank) }
    }

    /// Its cells are cut to a fair width before other columns leave, and to the least width after that.
    pub const fn is_cut(fair: usize, least: usize) -> Yields {
        Yields { narrows: Narrows::IsCut { fair, least }, gives_way: GivesWay::Never }
    }

    /// Its cells are folded between words into lines of no less than this width.
    pub const fn folds(least: usize) -> Yields {
        Yields { narrows: Narrows::Folds { least }, gives_way: GivesWay::Never }
    }

    /// And where that is not enough, it leaves.
    pub const fn or_leaves(self, rank: u8) -> Yields {
        Yields { gives_way: GivesWay::Leaves(rank), ..self }
    }

    /// And where that is not enough, its cells go to lines of their own below their rows.
    pub const fn or_moves_below(self) -> Yields {
        Yields { gives_way: GivesWay::MovesBelow, ..self }
    }

    /// Says whether its cells are cut.
    pub const fn may_be_cut(self) -> bool {
        matches!(self.narrows, Narrows::IsCut { .. })
    }

    /// Says whether its cells are folded.
    pub const fn may_fold(self) -> bool {
        matches!(self.narrows, Narrows::Folds { .. })
    }

    const fn rank(self) -> Option<u8> {
        if let GivesWay::Leaves(rank) = self.gives_way { Some(rank) } else { None }
    }
}

/// What one column wants.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish {
    /// The width of its widest cell, its head included.
    pub natural: usize,
    /// The same where its cells are written in short, if they can be.
    pub short: Option<usize>,
    /// The width of its widest word, where it folds.
    pub word: usize,
    /// What it gives up.
    pub yields: Yields,
}

/// A column that stays in the table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Placed {
    /// Which of the wishes it is.
    pub index: usize,
    /// Its width.
    pub width: usize,
    /// Whether its cells are written in short.
    pub is_short: bool,
}

/// What becomes of the columns.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Fitted {
    /// Those that stay, in order.
    pub placed: Vec<Placed>,
    /// Those whose cells stand below their rows, in order.
    pub below: Vec<usize>,
    /// Those that left, the first one first.
    pub left: Vec<usize>,
}

/// Fits the columns into the width, if there is one.
///
/// Spare columns go first, and what can be written in short is. Long names are cut and long texts folded to a fair width, and a text that does
/// not fit even so moves below its row, because that loses nothing; then columns leave by their rank; then names are cut
/// to the least; last, other cells move below. What never yields stays whole, even where a line is then longer than the
/// terminal.
pub fn fit(wishes: &[Wish], width: Option<usize>) -> Fitted {
    let placed = |(index, wish): (usize, &Wish)| Placed { index, width: wish.natural, is_short: false };
    let mut fitted = Fitted { placed: wishes.iter().enumerate().map(placed).collect(), ..Fitted::default() };
    let Some(width) = width else { return fitted };
    let whole = |placed: &[Placed]| total(placed.iter().map(|placed| placed.width));
    while whole(&fitted.placed) > width {
        let is_spare = |placed: &Placed| wishes[placed.index].yields.gives_way == GivesWay::IsSpare;
        let Some(at) = fitted.placed.iter().rposition(is_spare) else { break };
        fitted.left.push(fitted.placed.remove(at).index);
    }
    for at in 0..fitted.placed.len() {
        let placed = fitted.placed[at];
        if let Some(short) = wishes[placed.index].short.filter(|short| *short < placed.width)
            && whole(&fitted.placed) > width
        {
            fitted.placed[at] = Placed { width: short, is_short: true, ..placed };
        }
    }
    let least = |placed: &[Placed], effort| total(placed.iter().map(|it| floor(&wishes[it.index], it.width, effort)));
    let moves = |placed: &Placed| wishes[placed.index].yields.gives_way == GivesWay::MovesBelow;
    let folds = |placed: &Placed| wishes[placed.index].yields.may_fold();
    while least(&fitted.placed, Effort::Fair) > width {
        let Some(at) = fitted.placed.iter().rposition(|placed| moves(placed) && folds(placed)) else { break };
        fitted.below.push(fitted.placed.remove(at).index);
    }
    while least(&fitted.placed, Effort::Fair) > width {
        let ranks = fitted.placed.iter().enumerate().filter_map(|(at, placed)| {
            let rank = wishes[placed.index].yields.rank()?;
            Some((rank, Reverse(at)))
        });
        let Some((_, Reverse(at))) = ranks.min() else { break };
        fitted.left.push(fitted.placed.remove(at).index);
    }
    while least(&fitted.placed, Effort::Last) > width {
        let Some(at) = fitted.placed.iter().rposition(moves) else { break };
        fitted.below.push(fitted.placed.remove(at).index);
    }
    fitted.below.sort_unstable();
    // What left may have made more room than was needed.
    for at in (0..fitted.placed.len()).rev().filter(|at| fitted.placed[*at].is_short).collect::<Vec<_>>() {
        let placed = fitted.placed[at];
        let natural = wishes[placed.index].natural;
        if whole(&fitted.placed) - placed.width + natural <= width {
            fitted.placed[at] = Placed { width: natural, is_short: false, ..placed };
        }
    }
    narrow(&mut fitted.placed, wishes, width);
    fitted
}

/// How much a column is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Effort {
    /// What hardly hurts: lines of a fair length.
    FairLines,
    /// Names of a fair length.
    Fair,
    /// All that it has.
    Last,
}

/// The width that a column may come down to.
fn floor(wish: &Wish, natural: usize, effort: Effort) -> usize {
    let floor = match (wish.yields.narrows, effort) {
        (Narrows::Never, _) | (Narrows::IsCut { .. }, Effort::FairLines) => natural,
        (Narrows::IsCut { fair, .. }, Effort::Fair) => fair,
        (Narrows::IsCut { least, .. }, Effort::Last) => least,
        (Narrows::Folds { least }, Effort::FairLines) => least.max(wish.word).max(FAIR_LINE),
        (Narrows::Folds { least }, Effort::Fair | Effort::Last) => least.max(wish.word),
    };
    floor.min(natural)
}

fn total(widths: impl Iterator<Item = usize>) -> usize {
    widths.map(|width| width + GAP).sum::<usize>().saturating_sub(GAP)
}

/// Takes what is too much, one column of the terminal at a time from the widest, so that the loss is shared.
fn narrow(placed: &mut [Placed], wishes: &[Wish], width: usize) {
    let natural: Vec<usize> = placed.iter().map(|placed| placed.width).collect();
    let mut excess = total(natural.iter().copied()).saturating_sub(width);
    let folds = |placed: &Placed| wishes[placed.index].yields.may_fold();
    let steps = [(true, Effort::FairLines), (false, Effort::Fair), (true, Effort::Fair), (false, Effort::Last)];
    for (of_folded, effort) in steps {
        while excess > 0 {
            let candidates = placed.iter_mut().zip(&natural).filter(|(placed, natural)| {
                folds(placed) == of_folded && placed.width > floor(&wishes[placed.index], **natural, effort)
            });
            let Some((widest, _)) = candidates.max_by_key(|(placed, _)| placed.width) else { break };
            widest.width -= 1;
            excess -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wish(natural: usize, yields: Yields) -> Wish {
        Wish { natural, yields, ..Wish::default() }
    }

    /// The columns that stay with their widths, those below, those that left.
    fn fitted(wishes: &[Wish], width: usize) -> (Vec<(usize, usize)>, Vec<usize>, Vec<usize>) {
        let fitted = fit(wishes, Some(width));
        (fitted.placed.iter().map(|it| (it.index, it.width)).collect(), fitted.below, fitted.left)
    }

    #[test]
    fn names_are_cut_to_a_fair_width_then_columns_leave_then_names_are_cut_further() {
        let name = Yields::is_cut(16, 8);
        let wishes = [wish(5, Yields::NEVER), wish(20, name), wish(6, Yields::leaves(2)), wish(4, Yields::leaves(1))];
        for (width, placed, left) in [
            (41, vec![(0, 5), (1, 20), (2, 6), (3, 4)], vec![]),
            (37, vec![(0, 5), (1, 16), (2, 6), (3, 4)], vec![]),
            (36, vec![(0, 5), (1, 20), (2, 6)], vec![3]),
            (31, vec![(0, 5), (1, 16), (2, 6)], vec![3]),
            (30, vec![(0, 5), (1, 20)], vec![3, 2]),
            (16, vec![(0, 5), (1, 9)], vec![3, 2]),
            (1, vec![(0, 5), (1, 8)], vec![3, 2]),
        ] {
            assert_eq!(fitted(&wishes, width), (placed, vec![], left), "{width}");
        }
        assert_eq!(fit(&wishes, None).placed.len(), 4);
    }

    #[test]
    fn what_can_be_written_in_short_is_before_anything_is_cut() {
        let category = Wish { short: Some(5), ..wish(10, Yields::NEVER) };
        let wishes = [category, wish(20, Yields::is_cut(8, 8))];
        let is_short = |width| fit(&wishes, Some(width)).placed[0].is_short;
        assert_eq!((is_short(32), is_short(31)), (false, true));
        assert_eq!(fitted(&wishes, 27).0, [(0, 5), (1, 20)]);
        assert_eq!(fitted(&wishes, 26).0, [(0, 5), (1, 19)]);
    }

    #[test]
    fn cells_move_below_their_rows_when_nothing_else_is_left() {
        let wishes = [
            wish(5, Yields::NEVER),
            wish(39, Yields::NEVER.or_moves_below()),
            wish(15, Yields::is_cut(15, 8)),
            wish(7, Yields::leaves(1)),
        ];
        assert_eq!(fitted(&wishes, 60), (vec![(0, 5), (1, 39), (2, 12)], vec![], vec![3]));
        assert_eq!(fitted(&wishes, 55), (vec![(0, 5), (2, 15)], vec![1], vec![3]));
    }

    #[test]
    fn equal_ranks_leave_from_the_end_and_no_line_is_shorter_than_a_word() {
        let text = Wish { word: 17, ..wish(60, Yields::folds(12).or_moves_below()) };
        let wishes = [wish(6, Yields::NEVER), wish(3, Yields::leaves(0)), wish(4, Yields::leaves(0)), text];
        assert_eq!(fitted(&wishes, 49), (vec![(0, 6), (1, 3), (2, 4), (3, 30)], vec![], vec![]));
        assert_eq!(fitted(&wishes, 36), (vec![(0, 6), (1, 3), (2, 4), (3, 17)], vec![], vec![]));
        assert_eq!(fitted(&wishes, 35), (vec![(0, 6), (1, 3), (2, 4)], vec![3], vec![]));
        assert_eq!(fitted(&wishes, 16), (vec![(0, 6), (1, 3)], vec![3], vec![2]));
        assert_eq!(fitted(&wishes, 6), (vec![(0, 6)], vec![3], vec![2, 1]));
    }

    #[test]
    fn a_spare_column_is_shown_only_where_all_others_are_whole_and_room_that_is_left_is_used() {
        let category = Wish { short: Some(5), ..wish(10, Yields::NEVER) };
        let wishes = [category, wish(20, Yields::leaves(1)), wish(8, Yields::SPARE)];
        assert_eq!(fitted(&wishes, 42), (vec![(0, 10), (1, 20), (2, 8)], vec![], vec![]));
        assert_eq!(fitted(&wishes, 41), (vec![(0, 10), (1, 20)], vec![], vec![2]));
        assert_eq!(fitted(&wishes, 31), (vec![(0, 5), (1, 20)], vec![], vec![2]));
        assert_eq!(fitted(&wishes, 26), (vec![(0, 10)], vec![], vec![2, 1]));
    }

    fn any_wish() -> impl Strategy<Value = Wish> {
        let yields = prop_oneof![
            Just(Yields::NEVER),
            Just(Yields::SPARE),
            (0u8..9).prop_map(Yields::leaves),
            Just(Yields::NEVER.or_moves_below()),
            Just(Yields::is_cut(12, 8)),
            (0u8..9).prop_map(|rank| Yields::is_cut(16, 8).or_leaves(rank)),
            Just(Yields::folds(12).or_moves_below()),
        ];
        (1usize..40, yields, 1usize..20).prop_map(|(natural, yields, word)| Wish {
            natural,
            yields,
            word: word.min(natural),
            short: (word < 3).then_some(word),
        })
    }

    proptest! {
        #[test]
        fn the_table_fits_or_only_what_must_stay_is_left(
            wishes in prop::collection::vec(any_wish(), 1..12),
            width in 1usize..300,
        ) {
            let fitted = fit(&wishes, Some(width));
            let taken = total(fitted.placed.iter().map(|placed| placed.width));
            let stays = |placed: &Placed| {
                let wish = &wishes[placed.index];
                wish.yields.gives_way == GivesWay::Never && placed.width == floor(wish, placed.width, Effort::Last)
            };
            prop_assert!(taken <= width || fitted.placed.iter().all(stays), "{fitted:?}");
            prop_assert_eq!(fitted.placed.len() + fitted.below.len() + fitted.left.len(), wishes.len());
            prop_assert!(fitted.placed.is_sorted_by_key(|placed| placed.index));
        }
    }
}
