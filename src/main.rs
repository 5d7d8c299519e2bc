//! Entry point. Everything that can be tested is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut context = portscope::Context::of_process();
    portscope::run(std::env::args_os(), &mut context).into()
}
