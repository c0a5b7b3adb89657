//! Where the ask is: the first and the last sentence of prose, code and tables left out.
//!
//! A request is often a sentence around something pasted: "translate this:" before a proof, "why does it hang?" after
//! a page of code. What is pasted must not drown the sentence, so the sentences are found first and weigh on their
//! own. A line is taken for prose by its signs alone; no grammar of any language is known here.
//!
//! Not done here: understanding which of the two sentences is the ask. Both are features.

use super::letters::GAP;

/// The most characters of a sentence that are taken.
const LONGEST: usize = 160;
/// A stop within so few characters of a line's edge ends an abbreviation or a greeting, not the ask.
const SHORTEST: usize = 12;

/// A stretch of a sample: from the first number up to, not including, the second.
pub(super) type Span = (usize, usize);

/// The first and the last sentence of prose; the edges of the whole text if no line is prose.
pub(super) fn asks(letters: &[char]) -> (Span, Span) {
    let end = letters.len();
    let mut first: Option<Span> = None;
    let mut last: Option<Span> = None;
    let mut fenced = false;
    let mut start = 0;
    for line in letters.split(|&letter| letter == '\n' || letter == GAP) {
        let stop = start + line.len();
        if line.starts_with(&['`', '`', '`']) {
            fenced = !fenced;
        } else if !fenced && is_prose(line) {
            first = first.or_else(|| Some((start, start + first_sentence(line))));
            last = Some((start + last_sentence(line), stop));
        }
        start = stop + 1;
    }
    (
        first.unwrap_or((0, end.min(LONGEST))),
        last.unwrap_or_else(|| (end.saturating_sub(LONGEST), end)),
    )
}

/// Is this line prose, rather than code, a formula or a row of a table?
fn is_prose(line: &[char]) -> bool {
    // Three counts side by side in one number: a sum without a branch.
    let counted: u64 = line.iter().map(|&letter| counts_as(letter)).sum();
    let [blanks, signs, figures] =
        [0, 1, 2].map(|lane| (counted >> (lane * LANE)) & ((1 << LANE) - 1));
    let seen = line.len() as u64 - blanks;
    seen > 0 && signs * 12 <= seen && figures * 2 <= seen
}

/// Bits of one count; no sample has so many letters.
const LANE: u32 = 20;

/// A letter as one blank, one sign or one figure.
fn counts_as(letter: char) -> u64 {
    usize::try_from(u32::from(letter))
        .ok()
        .and_then(|code| COUNTS_AS.get(code))
        .map_or(0, |&lane| lane)
}

/// What each letter of ASCII counts as; any other is a letter of some word.
#[expect(
    clippy::indexing_slicing,
    reason = "evaluated when compiling: a wrong index would not compile"
)]
const COUNTS_AS: [u64; 128] = {
    let mut lanes = [0; 128];
    let mut code = 0u8;
    while code < 128 {
        lanes[code as usize] = match code {
            b' ' => 1,
            b'{' | b'}' | b'(' | b')' | b';' | b'=' | b'<' | b'>' | b'[' | b']' | b'_' | b'/'
            | b'\\' | b'|' | b'&' | b'*' | b'#' | b'+' | b'`' | b'@' | b'$' | b'%' | b'^'
            | b'~' => 1 << LANE,
            b'0' | b',' => 1 << (2 * LANE),
            _ => 0,
        };
        code += 1;
    }
    lanes
};

fn stops(letter: char) -> bool {
    matches!(letter, '.' | '?' | '!' | ':')
}

/// Where the first sentence of a line ends.
fn first_sentence(line: &[char]) -> usize {
    let most = line.len().min(LONGEST);
    let pairs = line.windows(2).enumerate().take(most).skip(SHORTEST);
    let mut stop = pairs.filter(|(_, pair)| matches!(pair, [sign, ' '] if stops(*sign)));
    stop.next().map_or(most, |(at, _)| at + 1)
}

/// Where the last sentence of a line starts.
fn last_sentence(line: &[char]) -> usize {
    let least = line.len().saturating_sub(LONGEST);
    let most = line.len().saturating_sub(SHORTEST);
    let pairs = line.windows(2).enumerate().take(most).skip(least);
    let mut stop = pairs.rev().filter(|(_, pair)| matches!(pair, [sign, ' '] if stops(*sign)));
    stop.next().map_or(least, |(at, _)| at + 2)
}

#[cfg(test)]
mod tests {
    use super::asks;

    #[track_caller]
    fn check(text: &str, first: &str, last: &str) {
        let letters: Vec<char> = text.chars().collect();
        let (head, tail) = asks(&letters);
        let said = |span: (usize, usize)| letters[span.0..span.1].iter().collect::<String>();
        assert_eq!((said(head).as_str(), said(tail).as_str()), (first, last), "{text:?}");
    }

    #[test]
    fn the_ask_is_found_around_what_is_pasted() {
        check("hello", "hello", "hello");
        check(
            "translate this:\n```\nlet x = 0;\n```\nwhy does it hang?",
            "translate this:",
            "why does it hang?",
        );
        check("a,0,0\nb,0,0\n\n표를 요약해 줘", "표를 요약해 줘", "표를 요약해 줘");
        check(
            "there are three boxes. each holds two balls. how many balls?",
            "there are three boxes.",
            "how many balls?",
        );
        check("f(x)=x^0+0", "f(x)=x^0+0", "f(x)=x^0+0");
        check("", "", "");
    }
}
