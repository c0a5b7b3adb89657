//! Terminal output: the only file that writes to standard output and standard error.
//!
//! Commands produce text and this file writes it, so that their output can be tested, and a closed
//! reader (`| head`) causes no panic. Logs do not pass here.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

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

/// The command line as it was typed, words with spaces in quotes.
#[cfg(feature = "lab")]
pub(crate) fn command_line() -> String {
    let mut words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let program = words.next().unwrap_or_default();
    let program = std::path::Path::new(&program).file_name().map(|name| name.to_string_lossy());
    let quoted = |word: String| if word.contains(' ') { format!("\"{word}\"") } else { word };
    let rest = words.map(quoted);
    let program = program.unwrap_or_default().into_owned();
    std::iter::once(program).chain(rest).collect::<Vec<_>>().join(" ")
}

/// The colours of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paint {
    on: bool,
}

/// Meaning of a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// A heading.
    Strong,
    /// All is well.
    Good,
    /// Somebody should look.
    Careful,
    /// Something is wrong.
    Bad,
}

impl Paint {
    /// Without colours.
    #[cfg(any(test, feature = "lab"))]
    pub(crate) const PLAIN: Self = Self { on: false };

    /// Those of standard output: on at a terminal that takes them, unless `NO_COLOR` is set.
    pub(crate) fn of_output() -> Self {
        Self { on: io::stdout().is_terminal() && wanted() }
    }

    /// Those of standard error, by the same rule.
    pub(crate) fn of_errors() -> Self {
        Self { on: io::stderr().is_terminal() && wanted() }
    }

    /// The text in a colour.
    pub(crate) fn tone(self, tone: Tone, text: impl Display) -> String {
        let code = match tone {
            Tone::Strong => "1",
            Tone::Good => "32",
            Tone::Careful => "33",
            Tone::Bad => "31",
        };
        if self.on { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_string() }
    }
}

/// **Source:** no-color.org: any value but the empty one switches colours off.
fn wanted() -> bool {
    let said = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    said("NO_COLOR").is_none() && said("TERM").is_none_or(|terminal| terminal != "dumb")
}

/// A table with columns as wide as their longest cell; the first row is its heading.
pub(crate) fn table(rows: &[Vec<String>], paint: Paint) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let lines = rows.iter().enumerate().map(|(at, row)| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line = cells.collect::<Vec<_>>().join("  ").trim_end().to_owned();
        if at == 0 { paint.tone(Tone::Strong, line) } else { line }
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_longest_cell() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let rows = [row(["name", "ms", ""]), row(["a_long_name", "1204", "slow"])];
        assert_eq!(table(&rows, Paint::PLAIN), "name         ms\na_long_name  1204  slow");
    }

    #[test]
    fn a_colour_ends_with_its_text() {
        assert_eq!(Paint { on: true }.tone(Tone::Bad, "no"), "\u{1b}[31mno\u{1b}[0m");
        assert_eq!(Paint::PLAIN.tone(Tone::Bad, "no"), "no");
    }
}
