//! Asks before something is done that cannot be undone.

use crate::context::Context;
use crate::error::Error;
use crate::render::text::safe::Charset;

/// Returns whether to go on: as `--yes` says, else as the person at the terminal answers.
pub fn confirm(is_dry: bool, is_agreed: bool, question: &str, context: &mut Context) -> Result<bool, Error> {
    if is_dry {
        context.say("nothing was done (--dry-run)")?;
        return Ok(false);
    }
    if is_agreed {
        return Ok(true);
    }
    match context.ask(question) {
        Some(true) => Ok(true),
        Some(false) => {
            context.say("nothing was done")?;
            Ok(false)
        }
        None => Err(Error::Usage("nobody can be asked here, so nothing was done: --yes agrees beforehand".to_owned())),
    }
}

/// The characters that the output may have.
pub fn charset(context: &Context) -> Charset {
    context.style().charset
}
