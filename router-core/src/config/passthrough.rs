//! The table `[passthrough]`: the paths that are passed through to the deployment of the named
//! model.

use std::sync::Arc;

use crate::deployment::EndpointName;

use super::raw::{self, Raw};
use super::table::{Table, listed, quoted};

/// OpenAI's operations that the router does not read.
const USUAL: [&str; 7] = [
    "images/generations",
    "images/edits",
    "images/variations",
    "audio/speech",
    "audio/transcriptions",
    "audio/translations",
    "moderations",
];

/// Path prefixes that the router reserves for itself.
const OWN: [&str; 14] = [
    "chat",
    "conversations",
    "usage",
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

/// Collections of objects that may be passed through: nothing but their ids ties a request to them.
const OBJECTS: [&str; 4] = ["files", "uploads", "vector_stores", "containers"];

/// Checks `objects`.
pub(super) fn objects(raw: &raw::Passthrough, table: &Table<'_>) -> Vec<Arc<str>> {
    let written = raw.objects.as_deref().unwrap_or_default();
    let known = |name: &String| {
        let found = OBJECTS.contains(&name.as_str());
        if !found {
            let problem = format!("must be of {}; found {}", listed(OBJECTS), quoted(name));
            table.fault("objects", problem);
        }
        found
    };
    let mut objects: Vec<Arc<str>> =
        written.iter().filter(|name| known(name)).map(|name| name.as_str().into()).collect();
    objects.dedup();
    objects
}

/// Checks `endpoint`, which must be said if objects are passed through and there are several.
pub(super) fn endpoint(all: &Raw, table: &Table<'_>) -> Option<EndpointName> {
    let raw = &all.passthrough;
    let names = || listed(all.endpoints.keys());
    if let Some(name) = &raw.endpoint {
        if !all.endpoints.contains_key(name) {
            let problem = format!("no endpoint {}; there are: {}", quoted(name), names());
            table.fault("endpoint", problem);
        }
        return EndpointName::try_from(name.as_str()).ok();
    }
    let objects = raw.objects.as_ref().is_some_and(|objects| !objects.is_empty());
    if objects && all.endpoints.len() > 1 {
        table.required(
            "endpoint",
            None::<()>,
            &format!("one of {}: objects are stored there", names()),
        );
    }
    let only = all.endpoints.keys().next().filter(|_| objects);
    only.and_then(|name| EndpointName::try_from(name.as_str()).ok())
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
