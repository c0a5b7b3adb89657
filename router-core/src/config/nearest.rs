//! Names for a message about an unknown name: all if there are few, else the three most similar.
//!
//! It only suggests: an unknown name stays a fault.

use super::table::listed;

/// Up to this many names are listed in full.
const FEW: usize = 6;
/// Of more, this many are listed.
const NEAREST: usize = 3;

/// `a, b, c` if there are few; else `nearest are a, b, c of 43`.
pub(super) fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    if known.len() <= FEW {
        return format!("there are: {}", listed(&known));
    }
    format!("nearest are {} of {}", listed(closest(name, &known)), known.len())
}

/// The name that was probably meant, if one is similar enough.
pub(super) fn likely<'n>(name: &str, known: &[&'n str]) -> Option<&'n str> {
    let alike = |other: &str| strsim::damerau_levenshtein(&name.to_ascii_lowercase(), other);
    let nearest = known.iter().map(|other| (alike(other), *other)).min()?;
    (nearest.0 <= name.chars().count() / 3).then_some(nearest.1)
}

/// The three most like `name`, the most like first.
pub(super) fn closest<'n>(name: &str, known: &[&'n str]) -> Vec<&'n str> {
    let wanted = name.to_ascii_lowercase();
    // Names of models are read from the front: a longer common start says more than likeness as a whole. Alike ones stand in
    // the order of their names, so that a message does not change from run to run.
    let start = |other: &str| wanted.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
    let mut ranked: Vec<(usize, f64, &str)> = known
        .iter()
        .map(|other| {
            (start(other), strsim::jaro_winkler(&wanted, &other.to_ascii_lowercase()), *other)
        })
        .collect();
    ranked.sort_by(|one, other| {
        other.0.cmp(&one.0).then(other.1.total_cmp(&one.1)).then_with(|| one.2.cmp(other.2))
    });
    ranked.into_iter().take(NEAREST).map(|(.., name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_is_recognised_and_another_word_is_not() {
        let known = ["listen", "workers", "ptu", "model"];
        assert_eq!(likely("lisen", &known), Some("listen"));
        assert_eq!(likely("modle", &known), Some("model"));
        assert_eq!(likely("nonsense", &known), None);
        assert_eq!(likely("x", &known), None);
    }

    #[test]
    fn three_names_in_place_of_a_page() {
        let known = ["gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-5.2", "gpt-5.4", "o1", "o3-mini"];
        assert_eq!(closest("gpt-4oo", &known), ["gpt-4o", "gpt-4o-mini", "gpt-4.1"]);
        assert_eq!(closest("GPT-5.2", &known).first(), Some(&"gpt-5.2"));
        assert!(nearest("x", known).starts_with("nearest are "));
        assert_eq!(nearest("x", ["a", "b"]), "there are: a, b");
    }
}
