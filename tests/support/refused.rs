//! Runs to which the kernel refuses some system calls, by a filter that they start with.

use super::Run;

/// What is refused.
#[derive(Clone, Copy)]
pub enum Refused {
    /// `socket(AF_NETLINK, ...)`, with EPERM.
    Netlink,
    /// clone and clone3, with EAGAIN: no thread and no child, as under a limit of processes, which does not concern root.
    Threads,
}

impl Refused {
    /// The instructions of the filter, which begin with the number of the call: code, where to go on when true and when
    /// false, operand.
    const fn rules(self) -> &'static str {
        match self {
            Refused::Netlink => {
                "(0x15, 0, 3, 41), (0x20, 0, 0, 16), (0x15, 0, 1, 16), (6, 0, 0, 0x50001), (6, 0, 0, 0x7fff0000)"
            }
            Refused::Threads => "(0x15, 1, 0, 435), (0x15, 0, 1, 56), (6, 0, 0, 0x5000b), (6, 0, 0, 0x7fff0000)",
        }
    }
}

impl Run {
    /// Runs it so; nothing on machines that the filter is not written for.
    pub fn without(self, refused: Refused) -> Option<Run> {
        if !cfg!(target_arch = "x86_64") {
            super::skip("the filter is written for x86_64");
            return None;
        }
        let script = format!(
            "import ctypes, os, struct, sys\n\
             rules = [(0x20, 0, 0, 0), {}]\n\
             code = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *rule) for rule in rules))\n\
             program = struct.pack('HxxxxxxP', len(rules), ctypes.addressof(code))\n\
             libc = ctypes.CDLL(None, use_errno=True)\n\
             assert libc.prctl(38, 1, 0, 0, 0) == 0\n\
             assert libc.prctl(22, 2, ctypes.c_char_p(program)) == 0, ctypes.get_errno()\n\
             os.execvp(sys.argv[1], sys.argv[1:])\n",
            refused.rules()
        );
        Some(self.under(["python3", "-c", &script]))
    }
}
