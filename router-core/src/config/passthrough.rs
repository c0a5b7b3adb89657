//! The table `[passthrough]`: the paths that are passed through to the deployment of the named
//! model.

use std::sync::Arc;

use super::raw;
use super::table::{Table, quoted};

/// What OpenAI serves beside the operations that the router reads.
const USUAL: [&str; 7] = [
    "images/generations",
    "images/edits",
    "images/variations",
    "audio/speech",
    "audio/transcriptions",
    "audio/translations",
    "moderations",
];

/// How paths begin that the router has for itself.
const OWN: [&str; 12] = [
    "chat",
    "completions",
    "responses",
    "embeddings",
    "models",
    "route",
    "v1",
    "openai",
    "health",
    "healthz",
    "readyz",
    "metrics",
];

/// Checks `[passthrough]`: the paths, without a slash before.
pub(super) fn check(raw: &raw::Passthrough, table: &Table<'_>) -> Vec<Arc<str>> {
    let Some(written) = &raw.paths else { return USUAL.map(Arc::from).to_vec() };
    let mut paths: Vec<Arc<str>> = Vec::with_capacity(written.len());
    for path in written {
        let bare = path.trim_matches('/');
        if let Err(why) = plain(bare) {
            table.fault("paths", format!("{why}; found {}", quoted(path)));
        } else if !paths.iter().any(|known| **known == *bare) {
            paths.push(bare.into());
        }
    }
    paths
}

fn plain(path: &str) -> Result<(), &'static str> {
    let letter =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    let part = |part: &str| !part.is_empty() && part.bytes().all(letter);
    if !path.split('/').all(part) {
        return Err("expected paths such as images/generations, of a-z, 0-9, _ and -");
    }
    if path.split('/').next().is_some_and(|first| OWN.contains(&first)) {
        return Err("the router has a path of its own there");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_paths_are_fine_and_own_ones_refused() {
        for path in USUAL {
            assert_eq!(plain(path), Ok(()), "{path}");
        }
        for path in
            ["", "a//b", "images/{x}", "chat/completions", "responses/x", "Images", "a?b", ".."]
        {
            assert!(plain(path).is_err(), "{path}");
        }
    }
}
