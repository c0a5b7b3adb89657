//! Chooses the rows that are held out together: whole families of sources, never single rows.
//!
//! A scorer that has seen other rows of a source knows its style; held out by rows it would look better than it is.
//! The largest families are dealt first, like cards, there and back, so that folds are of similar size.
//!
//! Not done here: training on what is not held out.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::rows::Row;

/// The fold of each row, 0 up to `folds`.
pub(super) fn folds(rows: &[Row], folds: usize) -> Vec<usize> {
    let mut sizes: HashMap<&str, usize> = HashMap::new();
    for row in rows {
        *sizes.entry(row.family()).or_default() += 1;
    }
    let mut families: Vec<(&str, usize)> = sizes.into_iter().collect();
    families.sort_by_key(|&(name, size)| (Reverse(size), name));
    let deal = (0..folds).chain((0..folds).rev()).cycle();
    let dealt: HashMap<&str, usize> =
        families.iter().zip(deal).map(|((name, _), fold)| (*name, fold)).collect();
    rows.iter().map(|row| dealt.get(row.family()).copied().unwrap_or_default()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_never_split() {
        let sources = ["a:x", "a:x+prefix", "b", "b", "b", "c"];
        let line = |source: &&str| format!(r#"{{"text":"t","label":"chat","source":"{source}"}}"#);
        let text: Vec<String> = sources.iter().map(line).collect();
        let rows = Row::read_all(&text.join("\n")).unwrap();
        assert_eq!(folds(&rows, 2), [1, 1, 0, 0, 0, 1]);
    }
}
