//! Many rows as text, the work shared among the cores, written in order and in large pieces.

use std::convert::Infallible;
use std::io::{self, Write};
use std::sync::mpsc::sync_channel;
use std::sync::{Mutex, PoisonError};

use super::{spawn_apart, workers};

/// Rows that are one piece of work: few enough that their text stays in a core's cache, and that a host with 100,000
/// sockets takes little memory.
const BLOCK: usize = 512;
/// More cores than this wait for the output.
const MOST_WORKERS: usize = 4;

/// The rows in blocks.
pub fn blocks<T>(rows: &[T]) -> Vec<&[T]> {
    rows.chunks(BLOCK).collect()
}

/// Renders the blocks and writes these in order. `render` is given the place of the block.
pub fn write<T: Sync>(
    out: &mut dyn Write,
    blocks: &[T],
    render: impl Fn(usize, &T, &mut Vec<u8>) -> io::Result<()> + Sync,
) -> io::Result<()> {
    // Memory that has been written once is used again: to have it cleared by the kernel takes as long as the writing.
    let spare = Mutex::new(Vec::new());
    let spare = || spare.lock().unwrap_or_else(PoisonError::into_inner);
    let rendered = |index, block: &T| {
        let mut text: Vec<u8> = spare().pop().unwrap_or_default();
        render(index, block, &mut text).map(|()| text)
    };
    in_order(blocks, rendered, |text| {
        let mut text = text?;
        out.write_all(&text)?;
        text.clear();
        spare().push(text);
        Ok(())
    })
}

/// Does something with every block, on as many cores as are worth it, and gives the results in order.
pub fn map<T: Sync, R: Send>(blocks: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    flat_map(blocks, blocks.len(), |block| Some(work(block)))
}

/// The same with each of many items; what has no result is left out.
pub fn filter_map<'a, T: Sync, R: Send>(items: &'a [T], work: impl Fn(&'a T) -> Option<R> + Sync) -> Vec<R> {
    flat_map(&blocks(items), items.len(), |items| items.iter().filter_map(&work).collect::<Vec<_>>())
}

/// The same where a block has any number of results, in all about so many.
pub fn flat_map<T: Sync, R: IntoIterator + Send>(
    blocks: &[T],
    about: usize,
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R::Item> {
    let mut results = Vec::with_capacity(about);
    let Ok(()) = in_order(
        blocks,
        |_, block| work(block),
        |some| {
            results.extend(some);
            Ok::<(), Infallible>(())
        },
    );
    results
}

/// Worker w of n does the blocks w, w+n, w+2n, and so on, and is at most two blocks ahead of the one that is taken.
fn in_order<T: Sync, R: Send, E>(
    blocks: &[T],
    work: impl Fn(usize, &T) -> R + Sync,
    mut take: impl FnMut(R) -> Result<(), E>,
) -> Result<(), E> {
    let workers = workers(blocks.len().min(MOST_WORKERS));
    let work = &work;
    std::thread::scope(|scope| {
        let of_others: Vec<_> = (1..workers)
            .map(|worker| {
                let (sender, results) = sync_channel(1);
                let on_its_own = move || {
                    let mut own = blocks.iter().enumerate().skip(worker).step_by(workers);
                    // Nobody takes results any more once one could not be written.
                    own.try_for_each(|(index, block)| sender.send(work(index, block)))
                };
                // Where the system gives no further thread, this one does the work when it is its turn.
                spawn_apart(scope, on_its_own).ok().map(|_| results)
            })
            .collect();
        for (index, block) in blocks.iter().enumerate() {
            let other = (index % workers).checked_sub(1).and_then(|other| of_others[other].as_ref());
            take(match other {
                None => work(index, block),
                Some(results) => results.recv().expect("a worker does not panic"),
            })?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_written_in_order_and_each_row_once() {
        for count in [0, 1, 511, 513, 5000, 20_000] {
            let rows: Vec<usize> = (0..count).collect();
            let mut text = Vec::new();
            write(&mut text, &blocks(&rows), |index, block, text| {
                assert_eq!(block.first(), Some(&(index * BLOCK)));
                block.iter().try_for_each(|row| writeln!(text, "{row}"))
            })
            .unwrap();
            let expected = rows.iter().map(ToString::to_string).chain([String::new()]).collect::<Vec<_>>().join("\n");
            assert!(String::from_utf8(text).unwrap() == expected, "{count}");
        }
    }

    #[test]
    fn what_has_a_result_keeps_its_order() {
        for count in [0, 1, 511, 513, 20_000] {
            let items: Vec<usize> = (0..count).collect();
            let even = filter_map(&items, |item| (item % 2 == 0).then_some(item));
            assert!(even.into_iter().eq(items.iter().step_by(2)), "{count}");
        }
    }

    #[test]
    fn an_output_that_fails_ends_the_work() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let rows: Vec<usize> = (0..20_000).collect();
        let written = write(&mut Full, &blocks(&rows), |_, block, text| writeln!(text, "{}", block.len()));
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
