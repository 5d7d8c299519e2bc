//! Many rows as text, the work shared among the cores, written in order and in large pieces.

use std::io::{self, Write};

/// Rows that are rendered at a time by one core: it keeps memory small on a host with 100,000 sockets.
const BLOCK: usize = 2048;
/// More cores than this wait for the output.
const MOST_WORKERS: usize = 4;

/// Renders the rows in blocks and writes these in order. `render` is given the place of a block's first row.
pub fn write<T: Sync>(
    out: &mut dyn Write,
    rows: &[T],
    render: impl Fn(usize, &[T], &mut Vec<u8>) -> io::Result<()> + Sync,
) -> io::Result<()> {
    map(rows, |first, block| {
        let mut text = Vec::new();
        render(first, block, &mut text).map(|()| text)
    })
    .try_for_each(|text| out.write_all(&text?))
}

/// Does something with every block of rows, on as many cores as are worth it, and gives the results in order.
pub fn map<T: Sync, R: Send>(rows: &[T], work: impl Fn(usize, &[T]) -> R + Sync) -> impl Iterator<Item = R> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_WORKERS);
    // A few rows are rendered before a thread has started.
    let size = if rows.len() <= BLOCK { (rows.len() / cores + 1).max(256) } else { BLOCK };
    rows.chunks(size * cores).enumerate().flat_map(move |(round, group)| {
        let first = round * size * cores;
        let mut blocks = group.chunks(size).enumerate().map(|(place, block)| (first + place * size, block));
        let own = blocks.next();
        let work = &work;
        std::thread::scope(|scope| {
            let others: Vec<_> = blocks.map(|(first, block)| scope.spawn(move || work(first, block))).collect();
            let mut done: Vec<R> = own.into_iter().map(|(first, block)| work(first, block)).collect();
            done.extend(others.into_iter().map(|other| other.join().expect("a worker does not panic")));
            done
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_written_in_order_and_each_row_once() {
        for count in [0, 1, 255, 257, 2048, 5000, 20_000] {
            let rows: Vec<usize> = (0..count).collect();
            let mut text = Vec::new();
            write(&mut text, &rows, |first, block, text| {
                assert_eq!(block.first(), Some(&first));
                block.iter().try_for_each(|row| writeln!(text, "{row}"))
            })
            .unwrap();
            let expected = rows.iter().map(ToString::to_string).chain([String::new()]).collect::<Vec<_>>().join("\n");
            assert!(String::from_utf8(text).unwrap() == expected, "{count}");
        }
    }
}
