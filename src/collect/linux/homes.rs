//! In which network namespaces the processes live, asked of the kernel in one pass.
//!
//! A BPF program of kind `iter/task` is called once for every thread and writes the number of its namespace. Below /proc
//! each process takes a system call that looks up a file for it, which costs some twenty times as much.
//!
//! Source: Linux, Documentation/bpf/bpf_iterators.rst, bpf(2).

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::os::fd::OwnedFd;

use super::bpf::assembler::{Assembly, FRAME, Instruction, Label, R0, R1, R2, R3, R6, R7, Register, TooFar};
use super::bpf::btf::{Btf, BtfError, kind};
use super::bpf::field::{Field, Width, number, parameter, pointer};
use super::bpf::kernel_btf::KernelBtf;
use super::bpf::loaded::{self, Kind, Program};
use super::bpf::{pass, sys};
use super::owners;

/// With fewer processes it takes longer to load the program (2 ms) than to look at each of them.
const WORTH_A_PROGRAM: usize = 400;

/// Where the threads live that the kernel told of.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct Homes {
    /// The number of the namespace of each process, by its first thread; 0 where that has ended.
    of: HashMap<u32, u32>,
    /// The threads of each process that live in another namespace than its first one.
    apart: BTreeMap<u32, Vec<u32>>,
}

impl Homes {
    /// Asks the kernel, where that is faster than to look at so many processes, and it answers this user. Nothing is lost
    /// without its answer.
    pub fn ask(processes: usize) -> Option<Homes> {
        // Elsewhere the numbers would be those of other processes.
        if processes < WORTH_A_PROGRAM || !loaded::may_load_programs() || owners::is_in_pid_namespace() {
            return None;
        }
        Homes::asked()
    }

    /// The same, however many processes there are.
    pub fn asked() -> Option<Homes> {
        let bytes = KernelBtf::open().ok()?;
        let layout = Layout::of(&bytes).ok()?;
        let program = Program::load(Kind::Iterator(layout.attach_to), &assemble(&layout).ok()?).ok()?;
        let link: OwnedFd = program.attach_iterator().ok()?;
        let mut bytes = Vec::new();
        let add = |piece: &[u8]| {
            bytes.extend_from_slice(piece);
            Ok(())
        };
        pass::read(&mut File::from(sys::create_iterator(&link).ok()?), add, |error| error).ok()?;
        Homes::of_records(&bytes)
    }

    /// The number of the namespace that the process lives in, and 0 for one that lives nowhere; absent where the kernel did
    /// not tell of it.
    pub fn of(&self, process: u32) -> Option<u32> {
        self.of.get(&process).copied()
    }

    /// The threads of the process that may live elsewhere; absent where the kernel did not tell of it.
    pub fn apart(&self, process: u32) -> Option<&[u32]> {
        self.of.contains_key(&process).then(|| self.apart.get(&process).map_or(&[][..], Vec::as_slice))
    }

    /// A pass without its end tells nothing.
    fn of_records(bytes: &[u8]) -> Option<Homes> {
        let (records, rest) = bytes.as_chunks::<SIZE>();
        let (Some((&END, records)), []) = (records.split_last(), rest) else { return None };
        let fields = |record: &[u8; SIZE]| {
            let (words, _) = record.as_chunks::<4>();
            let word = |index: usize| words.get(index).copied().map_or(0, u32::from_ne_bytes);
            (word(0), word(1), word(2))
        };
        let threads: Vec<_> = records.iter().map(fields).collect();
        // A first thread that has ended has a record too.
        let first = threads.iter().filter(|(process, thread, _)| process == thread);
        let mut homes = Homes { of: first.map(|(process, _, home)| (*process, *home)).collect(), ..Homes::default() };
        for (process, thread, home) in threads {
            if home != 0 && homes.of.get(&process) != Some(&home) {
                homes.apart.entry(process).or_default().push(thread);
            }
        }
        Some(homes)
    }
}

/// Bytes of a record: process, thread, namespace, nothing.
const SIZE: usize = 16;
/// Closes a pass. No task has number 0.
const END: [u8; SIZE] = [0; SIZE];

/// Where the running kernel keeps what the program reads.
struct Layout {
    /// The number of the function `bpf_iter_task`.
    attach_to: u32,
    meta: Field,
    task: Field,
    meta_seq: Field,
    process: Field,
    thread: Field,
    flags: Field,
    namespaces: Field,
    network: Field,
    number: Field,
}

impl Layout {
    fn of(bytes: &[u8]) -> Result<Layout, BtfError> {
        let mut btf = Btf::new(bytes)?;
        let [attach_to] = btf.find([(kind::FUNC, "bpf_iter_task")])?;
        let (meta, meta_type) = parameter(&mut btf, attach_to, "meta", Width::Eight)?;
        let (task, task_type) = parameter(&mut btf, attach_to, "task", Width::Eight)?;
        let (meta_struct, task_struct) = (btf.pointee(meta_type, "meta")?, btf.pointee(task_type, "task")?);
        let (namespaces, proxy) = pointer(&mut btf, task_struct, "nsproxy")?;
        let (network, net) = pointer(&mut btf, proxy, "net_ns")?;
        Ok(Layout {
            attach_to,
            meta,
            task,
            meta_seq: pointer(&mut btf, meta_struct, "seq")?.0,
            process: number(&mut btf, task_struct, &["tgid"])?,
            thread: number(&mut btf, task_struct, &["pid"])?,
            flags: number(&mut btf, task_struct, &["flags"])?,
            namespaces,
            network,
            number: number(&mut btf, net, &["ns", "inum"])?,
        })
    }
}

const CONTEXT: Register = R6;
const TASK: Register = R7;
const SEQ_WRITE: i32 = 127;
/// `PF_KTHREAD`: a thread of the kernel.
const KERNEL_THREAD: i32 = 0x0020_0000;

/// The kernel calls it for every thread, and once more at the end with none.
fn assemble(layout: &Layout) -> Result<Vec<Instruction>, TooFar> {
    let mut code = Assembly::new(16);
    let [mut write, mut skip] = [Label::default(), Label::default()];
    code.copy(CONTEXT, R1);
    code.clear(0..16);
    code.load(TASK, CONTEXT, layout.task);
    code.if_equal(TASK, 0, &mut write);
    code.load(R1, TASK, layout.flags);
    code.and(R1, KERNEL_THREAD);
    code.unless_equal(R1, 0, &mut skip);
    code.load(R1, TASK, layout.process);
    code.store(0, Width::Four, R1);
    code.load(R1, TASK, layout.thread);
    code.store(4, Width::Four, R1);
    // A thread that has ended has no namespaces: a pointer that is null reads as zeros.
    code.load(R1, TASK, layout.namespaces);
    code.load(R1, R1, layout.network);
    code.load(R1, R1, layout.number);
    code.store(8, Width::Four, R1);
    code.place(write)?;
    code.load(R1, CONTEXT, layout.meta);
    code.load(R1, R1, layout.meta_seq);
    code.copy(R2, FRAME);
    code.add(R2, -16);
    code.set(R3, 16);
    // When the buffer is full the program is called again for the thread with the next read.
    code.call(SEQ_WRITE);
    code.place(skip)?;
    code.set(R0, 0);
    code.exit();
    Ok(code.finish())
}

/// The readers of what the program writes and depends on.
#[cfg(any(feature = "fuzzing", test))]
pub mod fuzzing {
    /// Reads records.
    pub fn records(bytes: &[u8]) {
        let _ = super::Homes::of_records(bytes);
    }

    /// Reads where the kernel keeps things.
    pub fn types(bytes: &[u8]) {
        let _ = super::Layout::of(bytes);
    }
}

#[cfg(test)]
pub mod testing {
    use std::sync::mpsc;

    /// Looks while a thread of this process, of which the number is given, lives in a network namespace of its own.
    pub fn with_a_thread_elsewhere<T>(look: impl FnOnce(u32) -> T) -> T {
        let (tell, told) = mpsc::channel();
        let (end, wait) = mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            #[expect(deprecated, reason = "the safe variant needs a newer rustix")]
            rustix::thread::unshare(rustix::thread::UnshareFlags::NEWNET).unwrap();
            tell.send(rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned()).unwrap();
            wait.recv().unwrap();
        });
        let seen = look(told.recv().unwrap());
        end.send(()).unwrap();
        thread.join().unwrap();
        seen
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn records(threads: &[[u32; 3]]) -> Vec<u8> {
        let record = |[process, thread, home]: &[u32; 3]| [*process, *thread, *home, 0].map(u32::to_ne_bytes).concat();
        threads.iter().flat_map(record).collect()
    }

    #[test]
    fn threads_that_live_apart_from_the_first_one_are_told_apart() {
        let whole = records(&[[7, 7, 50], [7, 8, 50], [7, 9, 51], [3, 4, 50], [3, 3, 0], [5, 5, 50], [0, 0, 0]]);
        let homes = Homes::of_records(&whole).unwrap();
        assert_eq!((homes.of(7), homes.of(3), homes.of(8)), (Some(50), Some(0), None));
        assert_eq!(homes.apart(7), Some(&[9][..]));
        assert_eq!((homes.apart(3), homes.apart(5), homes.apart(9)), (Some(&[4][..]), Some(&[][..]), None));
    }

    #[test]
    fn a_pass_that_was_cut_off_tells_nothing() {
        let whole = records(&[[7, 7, 50], [0, 0, 0]]);
        for length in 0..whole.len() {
            assert_eq!(Homes::of_records(&whole[..length]), None, "{length}");
        }
    }

    #[test]
    fn the_kernel_tells_of_every_thread_of_this_process_and_of_none_of_its_own() {
        if !loaded::may_load_programs() {
            eprintln!("skipped: loading a BPF program needs root");
            return;
        }
        let (apart, homes) = testing::with_a_thread_elsewhere(|thread| (thread, Homes::asked().unwrap()));
        let own = std::fs::metadata("/proc/self/ns/net").unwrap().ino();
        assert_eq!(homes.of(std::process::id()).map(u64::from), Some(own));
        // Other tests do the same meanwhile.
        assert!(homes.apart(std::process::id()).unwrap().contains(&apart));
        assert_eq!(homes.of(2), None);
    }
}
