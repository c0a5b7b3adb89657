//! The tables `[keys.NAME]` -> rights and limits of keys.
//!
//! A config holds hashes of keys, never keys. No fault repeats the content of `hashes`: it may be
//! the key itself, written there by mistake.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use crate::deployment::Area;
use crate::ledger::Allowance;
use crate::ledger::Payer;
use crate::ledger::TEAM_PREFIX;
use crate::ledger::Team;
use crate::policy::Policy;
use crate::policy::Preference;
use crate::policy::Priority;
use crate::policy::Rights;
use crate::task::Task;
use crate::units::Day;
use crate::units::DeploymentName;
use crate::units::KeyName;
use crate::units::ModelName;
use crate::units::Usd;

use super::guessable_keys::is_guessable;
use super::program_tables::ProgramTables;
use super::raw::{self, Raw};
use super::table::{Table, listed, quoted};
use super::teams;

/// A key of a caller, as config has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallerKey {
    /// Its name: what logs and metrics call it.
    pub name: KeyName,
    /// The hashes of all keys that go by this name.
    pub hashes: Vec<KeyHash>,
    /// False if it is not accepted.
    pub enabled: bool,
    /// The last day, in UTC, on which it is accepted.
    pub expires: Option<Day>,
    /// True if it may see the operators' pages and metrics.
    pub operator: bool,
    /// Rights.
    pub rights: Arc<Rights>,
    /// Limits.
    pub allowance: Allowance,
    /// The team that it belongs to.
    pub team: Option<Arc<Team>>,
    /// Words for its owner's own use.
    pub tags: Vec<Box<str>>,
}

/// The SHA-256 of a key, written as `sha256:` and 64 hexadecimal digits.
///
/// Keys are random, with 128 bits of chance or more, so none can be found by trying: a hash that is slow on purpose, as
/// passwords need, would cost each request milliseconds and protect nothing.
///
/// ```
/// use router_core::config::KeyHash;
/// let text = format!("sha256:{}", "0f".repeat(32));
/// assert_eq!(KeyHash::try_from(text.as_str())?.to_string(), text);
/// assert!(KeyHash::try_from("mr-the-key-itself").is_err());
/// # Ok::<(), router_core::config::KeyHashFault>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash(pub [u8; 32]);

/// The text is not a hash. It is not repeated, because it may be a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected sha256: and 64 hexadecimal digits, as `router-server key hash` prints them")]
pub struct KeyHashFault;

const PREFIX: &str = "sha256:";

impl TryFrom<&str> for KeyHash {
    type Error = KeyHashFault;
    fn try_from(text: &str) -> Result<Self, KeyHashFault> {
        let digits = text.trim().strip_prefix(PREFIX).ok_or(KeyHashFault)?.as_bytes();
        let mut hash = [0; 32];
        let (pairs, rest) = digits.as_chunks::<2>();
        if pairs.len() != hash.len() || !rest.is_empty() {
            return Err(KeyHashFault);
        }
        let digit =
            |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        for (byte, [high, low]) in hash.iter_mut().zip(pairs) {
            let (Some(high), Some(low)) = (digit(*high), digit(*low)) else {
                return Err(KeyHashFault);
            };
            *byte = high << 4 | low;
        }
        Ok(Self(hash))
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(PREFIX)?;
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

/// The most of anything in a minute.
pub(super) const MOST: i64 = 1_000_000_000_000;

/// Checks `[keys]`.
pub(super) fn check(
    raw: &Raw,
    program: &impl ProgramTables,
    policy: &Policy,
    table: &Table<'_>,
) -> Vec<CallerKey> {
    let mut known = BTreeMap::new();
    let mut keys = Vec::with_capacity(raw.keys.len());
    let teams = teams::check(&raw.teams, &table.root("teams"));
    for (name, key) in &raw.keys {
        let own = table.sub(name);
        if name.starts_with(TEAM_PREFIX) {
            own.fault_here(format!("names that begin with {TEAM_PREFIX} stand for teams"));
        }
        if key.hashes.as_ref().is_none_or(Vec::is_empty) && !program.needs_no_hash(name) {
            own.fault(
                "hashes",
                "missing; must list at least one hash, as `router-server key new` prints it",
            );
        }
        let hashes = hashes(key, name, &mut known, &own);
        let expires = own.rule::<Day>("expires", key.expires.as_deref());
        let rights = Arc::new(rights(key, raw, policy, &own));
        let allowance = allowance(key, &own);
        match KeyName::try_from(name.as_str()) {
            Ok(name) => keys.push(CallerKey {
                name,
                hashes,
                enabled: key.enabled.unwrap_or(true),
                expires,
                operator: key.operator.unwrap_or(false),
                rights,
                allowance,
                team: teams::of_key(key.team.as_deref(), &teams, &own),
                tags: teams::tags(key.tags.as_deref(), &own),
            }),
            Err(rule) => own.fault_here(rule.to_string()),
        }
    }
    keys
}

fn hashes<'r>(
    raw: &raw::Key,
    name: &'r str,
    known: &mut BTreeMap<KeyHash, &'r str>,
    table: &Table<'_>,
) -> Vec<KeyHash> {
    let mut hashes = Vec::new();
    let written = raw.hashes.as_deref().unwrap_or_default();
    for text in written {
        if is_guessable(text) {
            table.warn_strictly(
                "hashes",
                "one of them is the hash of a key that anybody would try (a placeholder of examples or clients); make one \
                 with `router-server key new`",
            );
        }
        match KeyHash::try_from(text.as_str()) {
            Err(KeyHashFault) => table.fault(
                "hashes",
                "must be sha256: and 64 hexadecimal digits, as `router-server key hash` prints them; never the key \
                 itself",
            ),
            Ok(hash) => match known.insert(hash, name) {
                Some(other) if other != name => {
                    table.fault("hashes", format!("one of them is a hash of keys.{other} too"));
                }
                Some(_) => {}
                None => hashes.push(hash),
            },
        }
    }
    hashes
}

fn rights(raw: &raw::Key, all: &Raw, policy: &Policy, table: &Table<'_>) -> Rights {
    let role = role(raw, table);
    let served: BTreeSet<&str> =
        all.deployments.values().filter_map(|deployment| deployment.model.as_deref()).collect();
    let models = named("models", raw.models.as_deref(), &served, table)
        .map(|names| names.into_iter().filter_map(|name| ModelName::try_from(name).ok()).collect());
    let of_role = || role.map(|task| policy.role(task).models.iter().cloned().collect());
    let there: BTreeSet<&str> = all.deployments.keys().map(String::as_str).collect();
    let deployments =
        named("deployments", raw.deployments.as_deref(), &there, table).map(|names| {
            names.into_iter().filter_map(|name| DeploymentName::try_from(name).ok()).collect()
        });
    let words = "interactive or batch";
    Rights {
        role,
        models: models.or_else(of_role),
        deployments,
        residency: table.rule::<Area>("residency", raw.residency.as_deref()),
        priority: table.word("priority", raw.priority.as_deref(), words, Priority::from_word),
        prefer: table.word(
            "prefer",
            raw.prefer.as_deref(),
            "cost, fast or balanced",
            Preference::from_word,
        ),
        max_wait: table.milliseconds("max_wait_ms", raw.max_wait_ms, 0),
        deny_fields: deny_fields(raw, table),
    }
}

/// The most fields that a key may be denied: each is compared with each name of a body.
const MOST_FIELDS: usize = 64;

fn deny_fields(raw: &raw::Key, table: &Table<'_>) -> BTreeSet<Box<str>> {
    let written = raw.deny_fields.as_deref().unwrap_or_default();
    let plain = |name: &str| {
        let letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        !name.is_empty() && name.chars().all(letter)
    };
    for name in written.iter().filter(|name| !name.split('.').all(plain)) {
        let rule = "must be names of fields such as file_id or prompt.id";
        table.fault("deny_fields", format!("{rule}; found {}", quoted(name)));
    }
    if written.len() > MOST_FIELDS {
        table.fault("deny_fields", format!("must list at most {MOST_FIELDS} fields"));
    }
    written.iter().map(|name| name.as_str().into()).collect()
}

/// The one role that is listed; `None` if both are, or nothing is said.
fn role(raw: &raw::Key, table: &Table<'_>) -> Option<Task> {
    let written = raw.roles.as_deref()?;
    if written.is_empty() {
        table.fault("roles", "must list reasoning, chat or both");
    }
    let read = |word: &String| {
        table.word("roles", Some(word.as_str()), "reasoning or chat", Task::from_word)
    };
    let roles: Vec<Task> = written.iter().filter_map(read).collect();
    let first = roles.first().copied()?;
    roles.iter().all(|role| *role == first).then_some(first)
}

/// The names of a list that exist; those that do not are faults, as an empty list is.
fn named<'r>(
    key: &str,
    written: Option<&'r [String]>,
    known: &BTreeSet<&str>,
    table: &Table<'_>,
) -> Option<Vec<&'r str>> {
    let written = written?;
    if written.is_empty() {
        table.fault(key, "must list at least one name; without this key all are allowed");
    }
    let unknown = written.iter().filter(|name| !known.contains(name.as_str()));
    for name in unknown {
        let problem = match key {
            "models" => {
                format!("no deployment serves {}; served are: {}", quoted(name), listed(known))
            }
            _ => format!("no deployment {}; there are: {}", quoted(name), listed(known)),
        };
        table.fault(key, problem);
    }
    Some(written.iter().map(String::as_str).collect())
}

fn allowance(raw: &raw::Key, table: &Table<'_>) -> Allowance {
    let allowance = Allowance {
        payer: Payer::Key,
        requests_per_minute: table.whole("requests_per_minute", raw.requests_per_minute, 1..=MOST),
        tokens_per_minute: table.whole("tokens_per_minute", raw.tokens_per_minute, 1..=MOST),
        max_in_flight: table.whole("max_in_flight", raw.max_in_flight, 1..=1_000_000),
        daily_budget: dollars("daily_budget_usd", raw.daily_budget_usd, table),
        monthly_budget: dollars("monthly_budget_usd", raw.monthly_budget_usd, table),
    };
    nested_budgets(&allowance, table);
    allowance
}

/// A budget in dollars.
pub(super) fn dollars(name: &str, value: Option<f64>, table: &Table<'_>) -> Option<Usd> {
    table.number(name, value, 0.01..=10_000_000.0).and_then(Usd::of_dollars)
}

/// A day's budget above the month's is a mistake.
pub(super) fn nested_budgets(allowance: &Allowance, table: &Table<'_>) {
    if let (Some(day), Some(month)) = (allowance.daily_budget, allowance.monthly_budget)
        && day > month
    {
        table.fault(
            "daily_budget_usd",
            format!("must be at most monthly_budget_usd, which is {month}; found {day}"),
        );
    }
}
