//! What a person at a terminal reads: the one file that writes to standard output and standard error.
//!
//! The commands make texts and this file puts them out, so that what they say can be tested and a reader that has gone
//! away (`| head`) is no panic. Logs do not pass here.

use std::fmt::Display;
use std::io::{self, Write};

/// Writes a text and a line end to standard output. A reader that has gone away has read what it wanted.
///
/// # Errors
/// Standard output cannot be written to.
pub(crate) fn say(text: impl Display) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes a text and a line end to standard error. There is nowhere to tell that nobody reads that.
pub(crate) fn complain(text: impl Display) {
    drop(writeln!(io::stderr().lock(), "{text}"));
}
