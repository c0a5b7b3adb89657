//! Texts and variables -> one [`Raw`], with the origin of each value. Only this file uses figment.
//!
//! figment merges tables key by key and remembers where each value came from. Its own file handling
//! is not used: it searches parent folders, ignores missing files and stops at the first fault.
//! Here every file is read by its name, and a value that does not fit [`Raw`] is recorded, removed
//! and the rest read again until all faults are known.

use std::path::Path;

use figment::error::{Actual, Kind};
use figment::providers::{Format, Toml};
use figment::value::{Dict, Map, Tag, Value};
use figment::{Figment, Metadata, Profile, Provider};
use serde::de::DeserializeOwned;

use crate::units::Day;

use super::checked::Config;
use super::fault::{ConfigFaults, Fault, Key, Origin};
use super::nearest::likely;
use super::program_tables::{PROGRAM_TABLES, ProgramTables};
use super::raw::Raw;
use super::table::{Findings, listed, plain, quoted};

const SHIPPED_NAME: &str = "shipped";
const ENVIRONMENT_NAME: &str = "environment";
const TEXT_NAME: &str = "text";

/// A file with thousands of faults is not a configuration; faults after this many are not reported.
const MOST_FAULTS: usize = 100;

/// The layers read so far.
#[derive(Default)]
pub(super) struct Read {
    figment: Figment,
    faults: Vec<Fault>,
}

impl Read {
    pub(super) fn file(&mut self, path: &Path) {
        let origin = Origin::File(path.to_owned());
        match std::fs::read(path).map(String::from_utf8) {
            Ok(Ok(text)) => self.text(&text, &origin),
            Ok(Err(_)) => self.fault(origin, "is not text in UTF-8".to_owned()),
            Err(error) => self.fault(origin, format!("cannot be read: {}", plain(&error))),
        }
    }

    pub(super) fn text(&mut self, text: &str, origin: &Origin) {
        // Some editors begin a file with a byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        match Toml::from_str::<Dict>(text) {
            Ok(mut values) => {
                days_as_text(&mut values);
                let metadata = match origin {
                    Origin::File(path) => Metadata::from("file", path.as_path()),
                    Origin::Shipped => Metadata::named(SHIPPED_NAME),
                    Origin::Environment => Metadata::named(ENVIRONMENT_NAME),
                    Origin::Unnamed => Metadata::named(TEXT_NAME),
                };
                self.merge(metadata, values);
            }
            Err(error) => {
                // The parser's own message quotes the line, which may hold a secret.
                let before = text.get(..error.span().map_or(0, |span| span.start)).unwrap_or(text);
                let line = before.matches('\n').count() + 1;
                let column = before.chars().rev().take_while(|letter| *letter != '\n').count() + 1;
                let why = error.message().replace('\n', ", ");
                self.fault(origin.clone(), format!("line {line}, column {column}: {why}"));
            }
        }
    }

    pub(super) fn environment(&mut self, variables: &[(String, String)]) {
        let mut values = Dict::new();
        for (name, value) in variables {
            let Some(keys) = name.strip_prefix("ROUTER__") else { continue };
            if value.trim().is_empty() {
                continue;
            }
            let keys = keys.to_ascii_lowercase();
            // Never fails: a value that is not a number, boolean, list or table is a text.
            let Ok(value) = value.parse::<Value>();
            insert(&mut values, &mut keys.split("__"), value);
        }
        self.merge(Metadata::named(ENVIRONMENT_NAME), values);
    }

    fn merge(&mut self, metadata: Metadata, values: Dict) {
        let figment = std::mem::take(&mut self.figment);
        self.figment = figment.merge(Layer { metadata, values });
    }

    fn fault(&mut self, origin: Origin, problem: String) {
        self.faults.push(Fault { origin, ..Fault::new(Key::default(), problem) });
    }

    /// Reads all layers as one [`Raw`] and the program's tables; a value that does not fit is recorded and removed.
    pub(super) fn finish<P: ProgramTables>(self) -> Done<P> {
        let values = self.figment.data().ok().and_then(|mut data| data.remove(&Profile::Default));
        let values = values.unwrap_or_default();
        let mut program = values.clone();
        program.retain(|name, _| PROGRAM_TABLES.contains(&name.as_str()));
        let mut found = Vec::new();
        let most = MOST_FAULTS.saturating_sub(self.faults.len());
        let raw = fitting(values.clone(), most, &mut found);
        let tables = fitting(program, most, &mut found);
        found.sort_by(|one, other| one.key.cmp(&other.key));
        let mut done = Done { figment: self.figment, values, faults: self.faults, raw, tables };
        let placed = found.into_iter().map(|fault| done.placed(fault)).collect::<Vec<_>>();
        done.faults.extend(placed);
        done
    }
}

/// Reads values as a `T`. A value that does not fit is recorded as a fault and removed, and the rest read again, until there
/// are `most` faults.
fn fitting<T: DeserializeOwned + Default>(values: Dict, most: usize, faults: &mut Vec<Fault>) -> T {
    let mut fitting = Value::from(values);
    while faults.len() < most {
        match fitting.deserialize::<T>() {
            Ok(read) => return read,
            Err(error) => {
                let key = Key::from(error.path.clone());
                let problem = problem(&error.kind, &key);
                let removed = strike(&mut fitting, key.parts());
                faults.push(Fault::new(key, problem));
                if !removed {
                    break;
                }
            }
        }
    }
    T::default()
}

/// All layers in one, and the faults of values that did not fit.
pub(super) struct Done<P> {
    figment: Figment,
    values: Dict,
    faults: Vec<Fault>,
    raw: Raw,
    tables: P,
}

impl<P: ProgramTables> Done<P> {
    /// The values read.
    pub(super) fn raw(&self) -> &Raw {
        &self.raw
    }

    /// The values read, unchecked.
    pub(super) fn into_raw(self) -> Result<(Raw, P), ConfigFaults> {
        if self.faults.is_empty() {
            Ok((self.raw, self.tables))
        } else {
            Err(ConfigFaults(self.faults))
        }
    }

    /// The checked configuration and the program's settings; every fault and warning with its origin.
    pub(super) fn check(&self, today: Day) -> Result<(Config, P::Settings), ConfigFaults> {
        let mut faults = self.faults.clone();
        if faults.iter().any(|fault| fault.key.parts().is_empty()) {
            // A layer is missing as a whole: whatever else is missing may be there.
            return Err(ConfigFaults(faults));
        }
        let findings = Findings::default();
        let settings = self.tables.check(&self.raw, &findings.top());
        match Config::check(&self.raw, &self.tables, today, findings) {
            Ok(mut config) if faults.is_empty() => {
                config.warnings =
                    config.warnings.into_iter().map(|warning| self.placed(warning)).collect();
                Ok((config, settings))
            }
            Ok(_) => Err(ConfigFaults(faults)),
            Err(found) => {
                // A removed table is missing for no fault of its own.
                let struck = |key: &Key| self.faults.iter().any(|fault| fault.key == *key);
                let others = found.into_iter().filter(|fault| !struck(&fault.key));
                faults.extend(others.map(|fault| self.placed(fault)));
                Err(ConfigFaults(faults))
            }
        }
    }

    fn placed(&self, fault: Fault) -> Fault {
        Fault { origin: self.origin(&fault.key), ..fault }
    }

    /// Source of a key's value; for a missing key, that of the table around it.
    pub(super) fn origin(&self, key: &Key) -> Origin {
        let mut tag = None;
        let mut table = Some(&self.values);
        for part in key.parts() {
            let Some(value) = table.and_then(|table| table.get(part)) else { break };
            tag = Some(value.tag());
            table = value.as_dict();
        }
        tag.map_or(Origin::Unnamed, |tag| self.origin_of(tag))
    }

    fn origin_of(&self, tag: Tag) -> Origin {
        let Some(metadata) = self.figment.get_metadata(tag) else { return Origin::Unnamed };
        match (metadata.source.as_ref().and_then(figment::Source::file_path), &*metadata.name) {
            (Some(path), _) => Origin::File(path.to_owned()),
            (None, SHIPPED_NAME) => Origin::Shipped,
            (None, ENVIRONMENT_NAME) => Origin::Environment,
            (None, _) => Origin::Unnamed,
        }
    }
}

/// One layer, as figment takes it.
struct Layer {
    metadata: Metadata,
    values: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        self.metadata.clone()
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}

/// A day written without quotes arrives from the parser as a table with one key of its own; we want its text.
fn days_as_text(values: &mut Dict) {
    for value in values.values_mut() {
        let Value::Dict(tag, inner) = value else { continue };
        match inner.get("$__toml_private_datetime") {
            Some(Value::String(_, text)) => *value = Value::String(*tag, text.clone()),
            _ => days_as_text(inner),
        }
    }
}

/// Puts a value under its keys; a key that held a value and now gets a table below it keeps the table.
fn insert<'k>(values: &mut Dict, keys: &mut impl Iterator<Item = &'k str>, value: Value) {
    let Some(key) = keys.next() else { return };
    let mut rest = keys.peekable();
    if rest.peek().is_none() {
        values.insert(key.to_owned(), value);
        return;
    }
    let inner = values.entry(key.to_owned()).or_insert_with(|| Value::from(Dict::new()));
    if inner.as_dict().is_none() {
        *inner = Value::from(Dict::new());
    }
    if let Value::Dict(_, inner) = inner {
        insert(inner, &mut rest.collect::<Vec<_>>().into_iter(), value);
    }
}

/// Removes the value of a key; false if there is none.
fn strike(value: &mut Value, keys: &[String]) -> bool {
    let Some((key, rest)) = keys.split_first() else { return false };
    match value {
        Value::Dict(_, values) if rest.is_empty() => values.remove(key).is_some(),
        Value::Dict(_, values) => values.get_mut(key).is_some_and(|inner| strike(inner, rest)),
        Value::Array(_, items) => match key.parse::<usize>().ok().filter(|at| *at < items.len()) {
            Some(at) if rest.is_empty() => {
                items.remove(at);
                true
            }
            Some(at) => items.get_mut(at).is_some_and(|inner| strike(inner, rest)),
            None => false,
        },
        Value::String(..)
        | Value::Char(..)
        | Value::Bool(..)
        | Value::Num(..)
        | Value::Empty(..) => false,
    }
}

/// A fault of reading in our words.
fn problem(kind: &Kind, key: &Key) -> String {
    let secret = |part: &String| part == "api_key" || part == "bearer";
    let is_secret = key.parts().last().is_some_and(secret);
    let is_hash =
        matches!(key.parts(), [keys, _, hashes, ..] if keys == "keys" && hashes == "hashes");
    #[expect(clippy::wildcard_enum_match_arm, reason = "figment's own words do for the rest")]
    match kind {
        Kind::InvalidType(..) | Kind::InvalidValue(..) if is_secret => {
            "must be { env = \"NAME\" } or { file = \"/path\" }; never the secret itself"
                .to_owned()
        }
        Kind::InvalidType(..) | Kind::InvalidValue(..) if is_hash => {
            "must be a list of hashes, as `router-server key hash` prints them; never the key itself"
                .to_owned()
        }
        Kind::InvalidType(found, _) if matches!(key.parts(), [.., server, listen] if server == "server" && listen == "listen") => {
            format!("must be an address and a port such as 127.0.0.1:8080, found {}", shown(found))
        }
        Kind::InvalidType(Actual::Str(text), expected) if fits(text, expected) => {
            format!("must be {} without quotes, found {text:?}", wanted(expected))
        }
        Kind::InvalidType(found, expected) | Kind::InvalidValue(found, expected) => {
            format!("must be {}, found {}", wanted(expected), shown(found))
        }
        Kind::UnknownField(name, known) => {
            let meant = likely(name, known).map(|likely| format!("; did you mean {likely}?"));
            format!("unknown key{}; known here are {}", meant.unwrap_or_default(), listed(*known))
        }
        other => other.to_string().replace('\n', " "),
    }
}

/// True if a text in quotes holds the value that was expected without them.
fn fits(text: &str, expected: &str) -> bool {
    match expected {
        "i64" | "f64" => text.parse::<f64>().is_ok(),
        "a boolean" => text.parse::<bool>().is_ok(),
        _ => false,
    }
}

fn wanted(expected: &str) -> &str {
    match expected {
        "a string" => "a text in quotes",
        "path string" => "a path in quotes",
        "i64" => "a whole number",
        "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "a table",
        other if other.starts_with("struct ") => "a table",
        other => other,
    }
}

fn shown(found: &Actual) -> String {
    #[expect(clippy::wildcard_enum_match_arm, reason = "figment's own words do for the rest")]
    match found {
        Actual::Bool(value) => format!("`{value}`"),
        Actual::Unsigned(value) => format!("`{value}`"),
        Actual::Signed(value) => format!("`{value}`"),
        Actual::Float(value) => format!("`{value}`"),
        Actual::Str(value) => quoted(value),
        Actual::Char(value) => quoted(&value.to_string()),
        Actual::Seq => "a list".to_owned(),
        Actual::Map => "a table".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
