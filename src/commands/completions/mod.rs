//! `portscope completions SHELL`, and the answers to the questions of the scripts that it prints.

mod values;

use std::ffi::OsString;

use clap_complete::Shell;
use clap_complete::env::{EnvCompleter, Shells};

use crate::context::Context;
use crate::error::{Error, ExitStatus};
use crate::render::words::mistake;

/// The variable by which a shell's script asks for completions; its value is the shell's name.
pub const VARIABLE: &str = "PORTSCOPE_COMPLETE";

const WHERE_TO: &str = "\
Where to put it:
  bash        portscope completions bash > ~/.local/share/bash-completion/completions/portscope
  zsh         portscope completions zsh > ~/.zfunc/_portscope    (a folder of $fpath, before compinit)
  fish        portscope completions fish > ~/.config/fish/completions/portscope.fish
  elvish      eval (portscope completions elvish | slurp)        (in rc.elv)
  PowerShell  portscope completions powershell | Out-String | Invoke-Expression    (in $PROFILE)

The script asks portscope itself at each TAB, so it knows the ports, processes, and port spaces of the moment.";

/// Print a shell completion script
#[derive(Debug, clap::Args)]
#[command(after_help = WHERE_TO)]
pub struct Args {
    /// Shell to complete for
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub fn run(args: &Args, context: &mut Context) -> Result<ExitStatus, Error> {
    let name = args.shell.to_string();
    let mut script = Vec::new();
    completer(&name)?.write_registration(VARIABLE, "portscope", "portscope", "portscope", &mut script)?;
    if args.shell == Shell::Zsh {
        // A file of $fpath is run as the function `_portscope` at the first TAB, which would only define the completer.
        script.extend_from_slice(
            b"\nif [[ \"${funcstack[1]}\" == _portscope ]]; then\n    _clap_dynamic_completer_portscope \"$@\"\nfi\n",
        );
    }
    context.stdout.write_all(&script)?;
    Ok(ExitStatus::Yes)
}

/// Answers a shell that asks what could stand at the cursor. `words` is the program's path, `--`, and the command line.
pub fn answer(
    shell: &str,
    words: impl IntoIterator<Item = OsString>,
    command: clap::Command,
    context: &mut Context,
) -> Result<ExitStatus, Error> {
    let mut words = words.into_iter().skip_while(|word| word != "--");
    if words.next().is_none() {
        return Err(Error::Usage(mistake::stray_variable(VARIABLE)));
    }
    let words: Vec<OsString> = words.collect();
    let mut command = values::attach(command);
    let mut answer = Vec::new();
    let folder = std::env::current_dir().ok();
    // A command line for which there is no answer completes to nothing.
    if completer(shell)?.write_complete(&mut command, words, folder.as_deref(), &mut answer).is_ok() {
        context.stdout.write_all(&answer)?;
        context.stdout.flush()?;
    }
    Ok(ExitStatus::Yes)
}

fn completer(shell: &str) -> Result<&'static dyn EnvCompleter, Error> {
    const SHELLS: Shells<'static> = Shells::builtins();
    let known = SHELLS.0.iter().copied().find(|known| known.is(shell));
    known.ok_or_else(|| Error::Usage(mistake::not_a_shell(VARIABLE, shell)))
}
