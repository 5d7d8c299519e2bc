//! Programs for the kernel to run: written here instruction by instruction, for the kernel that runs.
//!
//! What each program looks for is said by the modules that use this one: `owners` asks which processes hold sockets, `homes`
//! in which network namespaces they live, `events` which ports are opened and closed.
//!
//! Source: Linux, Documentation/bpf/, bpf(2).

pub mod assembler;
pub mod btf;
pub mod field;
pub mod kernel_btf;
pub mod loaded;
pub mod pass;
pub mod process;
pub mod ring;
pub mod sys;
