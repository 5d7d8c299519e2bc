//! Asks before something is done that cannot be undone.

use crate::context::Context;
use crate::error::{Error, ExitStatus};
use crate::render::text::safe::Charset;
use crate::render::words::question as words;

/// Returns whether to go on: as `--yes` says, else as the person at the terminal answers.
pub fn confirm(is_dry: bool, is_agreed: bool, question: &str, context: &mut Context) -> Result<bool, Error> {
    if is_dry {
        context.say(words::DRY_RUN)?;
        return Ok(false);
    }
    if is_agreed {
        return Ok(true);
    }
    match context.ask(question) {
        Some(true) => Ok(true),
        Some(false) => {
            context.say(words::NOTHING_DONE)?;
            Ok(false)
        }
        None => Err(Error::Usage(words::NO_TERMINAL.to_owned())),
    }
}

/// Nothing was chosen.
pub fn declined(context: &mut Context) -> Result<ExitStatus, Error> {
    context.say(words::NOTHING_DONE)?;
    Ok(ExitStatus::No)
}

/// The characters that the output may have.
pub fn charset(context: &Context) -> Charset {
    context.style().charset
}
