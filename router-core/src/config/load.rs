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

use crate::units::Day;

use super::checked::Config;
use super::fault::{ConfigFaults, Fault, Key, Origin};
use super::nearest::likely;
use super::raw::Raw;
use super::table::{listed, plain, quoted};

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
            // Never fails: what is neither number, truth, list nor table is a text.
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

    /// Reads all layers as one [`Raw`]; what does not fit is written down and struck out.
    pub(super) fn finish(mut self) -> Done {
        let values = self.figment.data().ok().and_then(|mut data| data.remove(&Profile::Default));
        let values = values.unwrap_or_default();
        let mut fitting = Value::from(values.clone());
        let mut done =
            Done { figment: self.figment, values, faults: Vec::new(), raw: Raw::default() };
        while self.faults.len() < MOST_FAULTS {
            match fitting.deserialize::<Raw>() {
                Ok(raw) => {
                    done.raw = raw;
                    break;
                }
                Err(error) => {
                    let key = Key::from(error.path.clone());
                    let problem = problem(&error.kind, &key);
                    let origin = done.origin(&key);
                    let struck = strike(&mut fitting, key.parts());
                    self.faults.push(Fault { origin, ..Fault::new(key, problem) });
                    if !struck {
                        break;
                    }
                }
            }
        }
        done.faults = self.faults;
        done
    }
}

/// All layers in one, and what did not fit into it.
pub(super) struct Done {
    figment: Figment,
    values: Dict,
    faults: Vec<Fault>,
    raw: Raw,
}

impl Done {
    /// The values read.
    pub(super) fn raw(&self) -> &Raw {
        &self.raw
    }

    /// The values read, unchecked.
    pub(super) fn into_raw(self) -> Result<Raw, ConfigFaults> {
        if self.faults.is_empty() { Ok(self.raw) } else { Err(ConfigFaults(self.faults)) }
    }

    /// The checked configuration; every fault and warning with its origin.
    pub(super) fn check(&self, today: Day) -> Result<Config, ConfigFaults> {
        let placed = |mut fault: Fault| {
            fault.origin = self.origin(&fault.key);
            fault
        };
        let mut faults = self.faults.clone();
        if faults.iter().any(|fault| fault.key.parts().is_empty()) {
            // A layer is missing as a whole: whatever else is missing may be there.
            return Err(ConfigFaults(faults));
        }
        match Config::check(&self.raw, today) {
            Ok(mut config) if faults.is_empty() => {
                config.warnings = config.warnings.into_iter().map(placed).collect();
                Ok(config)
            }
            Ok(_) => Err(ConfigFaults(faults)),
            Err(found) => {
                // A removed table is missing for no fault of its own.
                let struck = |key: &Key| self.faults.iter().any(|fault| fault.key == *key);
                let others = found.into_iter().filter(|fault| !struck(&fault.key));
                faults.extend(others.map(placed));
                Err(ConfigFaults(faults))
            }
        }
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

/// Takes the value of a key out; false if there is none.
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

/// Whether a text in quotes holds what was expected without them.
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SHIPPED: &str = include_str!("../../models.toml");

    /// Keys that mean something, so that random trees reach the checks behind the first refusal.
    const KEYS: &[&str] = &[
        "server",
        "listen",
        "routing",
        "threshold",
        "residency",
        "roles",
        "reasoning",
        "chat",
        "models",
        "effort",
        "aliases",
        "auto",
        "endpoints",
        "seoul",
        "url",
        "api",
        "api_version",
        "api_key",
        "env",
        "file",
        "anonymous",
        "deployments",
        "ptu",
        "endpoint",
        "model",
        "billing",
        "area",
        "input_tpm_per_ptu",
        "window_ms",
        "o1",
        "efforts",
        "usd_per_million_tokens",
        "input",
        "output",
        "long_context",
        "retires",
        "limits",
        "deadline_ms",
        "$__toml_private_datetime",
        "",
        "한국",
    ];
    const WORDS: &[&str] = &[
        "",
        "seoul",
        "o1",
        "gpt-5.2",
        "auto",
        "chat",
        "azure",
        "openai",
        "provisioned",
        "pay_as_you_go",
        "global",
        "region:koreacentral",
        "https://api.openai.com/v1",
        "http://[::1",
        "2026-02-29",
        "deployment:seoul",
        "low",
        "열쇠",
    ];

    fn value() -> impl Strategy<Value = Value> {
        let word = proptest::sample::select(WORDS).prop_map(Value::from);
        let leaf = prop_oneof![
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            word,
            ".{0,8}".prop_map(|text| Value::from(text.as_str())),
        ];
        leaf.prop_recursive(5, 64, 6, |inner| {
            prop_oneof![
                1 => proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                4 => table(inner).prop_map(Value::from),
            ]
        })
    }

    fn table(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Dict> {
        let key = prop_oneof![
            9 => proptest::sample::select(KEYS).prop_map(str::to_owned),
            1 => ".{0,6}",
        ];
        proptest::collection::btree_map(key, inner, 0..8)
    }

    fn read(values: Dict) -> Done {
        let mut read = Read::default();
        read.text(SHIPPED, &Origin::Shipped);
        read.merge(Metadata::named(TEXT_NAME), values);
        read.finish()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        #[test]
        fn no_tree_of_values_panics_and_each_refusal_says_why(values in table(value())) {
            let today = Day::try_from("2026-11-23").unwrap();
            if let Err(ConfigFaults(faults)) = read(values).check(today) {
                prop_assert!(!faults.is_empty());
                for fault in faults {
                    prop_assert!(!fault.problem.is_empty() && !fault.to_string().contains('\n'));
                }
            }
        }

        #[test]
        fn no_text_panics(text in ".{0,200}", name in "[A-Z_]{0,20}", value in ".{0,40}") {
            let mut read = Read::default();
            read.text(&text, &Origin::Unnamed);
            read.environment(&[(format!("ROUTER__{name}"), value)]);
            let faulty = read.finish().check(Day::try_from("2026-11-23").unwrap()).is_err();
            prop_assert!(faulty);
        }
    }

    #[test]
    fn lines_and_columns_count_letters() {
        let mut read = Read::default();
        read.text("# 한국어\nx = \"한국\" y\n", &Origin::Unnamed);
        let problem = read.faults.first().map(|fault| fault.problem.clone()).unwrap();
        assert!(problem.starts_with("line 2, column 10: "), "{problem}");
    }

    #[test]
    fn reading_stops_at_a_hundred_faults() {
        let unknown = (0..1_000).map(|number| (format!("key{number}"), Value::from(1)));
        assert_eq!(read(unknown.collect()).faults.len(), MOST_FAULTS);
    }
}
