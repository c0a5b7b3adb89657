//! `key`: creates a key, or hashes an existing one. A key itself is written only to the terminal.

use std::fs::OpenOptions;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use aws_lc_rs::rand;
use router_core::clock;
use router_core::units::KeyName;
use serde_json::{Value, json};

use crate::args::KeyCommand;
use crate::args::NewKey;
use crate::config::Config;
use crate::console;
use crate::keyring;

use super::Failure;

/// The prefix of keys, so that people and secret scanners recognize one. Not a `-`: a double click shall
/// take the whole key.
const PREFIX: &str = "mr_";
const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// 256 bits of chance: 43 letters of 62.
const LENGTH: usize = 43;
/// A key that was made elsewhere has at least so many letters: 22 of base64 are 132 bits.
const LEAST: usize = 22;

/// The reason why the lines of a key are not added.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// The configuration would refuse them.
    #[error("{0}")]
    Refused(String),
    /// The file has a key of that name.
    #[error("{}: [keys.{name}] is there already; choose another --name, or add the new hash to its `hashes`", path.display())]
    Taken {
        /// The file.
        path: PathBuf,
        /// Name of the key.
        name: KeyName,
    },
    /// The file cannot be read or written.
    #[error("{}: {fault}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        fault: io::Error,
    },
}

impl Unfit {
    /// Names the file in each line of a refusal.
    fn of(self, path: &Path) -> Self {
        match self {
            Self::Refused(lines) => {
                let lines = lines.lines().map(|line| format!("{}: {line}", path.display()));
                Self::Refused(lines.collect::<Vec<_>>().join("\n"))
            }
            Self::Taken { .. } | Self::File { .. } => self,
        }
    }
}

pub(super) fn run(what: &KeyCommand) -> Result<(), Failure> {
    let said = match what {
        KeyCommand::New(new) => made(new, &key()?)?,
        KeyCommand::Hash { name } => {
            let hash = hash(&read()?)?;
            check(&format!("[keys.hashed]\nhashes = [\"{hash}\"]"))?;
            name.as_ref().map_or(hash.clone(), |name| table(name, &hash))
        }
    };
    Ok(console::say(said)?)
}

/// Checks the lines of a new key and adds them to the file, if one is given. Returns the text to print.
fn made(new: &NewKey, key: &str) -> Result<String, Unfit> {
    let hash = keyring::hash_of(key).to_string();
    let lines = lines(new, &hash);
    match &new.append {
        Some(path) => append(path, &new.name, &lines)?,
        None => check(&lines)?,
    }
    if new.json {
        let file = new.append.as_ref().map(|path| path.display().to_string());
        let made = json!({"key": key, "name": new.name.as_str(), "hash": hash, "config": lines, "file": file});
        return Ok(format!("{made:#}"));
    }
    let place = new.append.as_ref().map_or_else(
        || format!("The configuration holds its hash:\n\n{lines}"),
        |path| format!("Its hash is in {} now.", path.display()),
    );
    Ok(format!("{key}\n\nThis is the key; it is shown this once. {place}"))
}

fn table(name: &KeyName, hash: &str) -> String {
    format!("[keys.{name}]\nhashes = [\"{hash}\"]")
}

/// Table for the configuration.
fn lines(new: &NewKey, hash: &str) -> String {
    let roles = Some(new.roles.as_slice()).filter(|roles| !roles.is_empty());
    let text = |text: &Option<String>| text.as_deref().map(Value::from);
    let budget = |usd: Option<f64>| usd.map(|usd| format!("{usd:?}"));
    let set: [(&str, Option<String>); 9] = [
        ("operator", new.operator.then(|| "true".to_owned())),
        ("roles", roles.map(|roles| json!(roles).to_string())),
        ("residency", text(&new.residency).map(|value| value.to_string())),
        ("expires", text(&new.expires).map(|value| value.to_string())),
        ("requests_per_minute", new.requests_per_minute.map(|count| count.to_string())),
        ("tokens_per_minute", new.tokens_per_minute.map(|count| count.to_string())),
        ("max_in_flight", new.max_in_flight.map(|count| count.to_string())),
        ("daily_budget_usd", budget(new.daily_budget_usd)),
        ("monthly_budget_usd", budget(new.monthly_budget_usd)),
    ];
    let more = set.into_iter().filter_map(|(name, value)| Some(format!("\n{name} = {}", value?)));
    format!("{}{}", table(&new.name, hash), more.collect::<String>())
}

/// Reports the faults that a configuration would report of these keys; other missing tables are not their fault.
fn check(text: &str) -> Result<(), Unfit> {
    let Err(faults) = Config::from_toml(text, clock::day(clock::wall())) else { return Ok(()) };
    let of_keys = faults.0.iter().filter(|fault| match fault.key.parts() {
        [] => true,
        [first, ..] => first == "keys",
    });
    let lines: Vec<String> = of_keys.map(ToString::to_string).collect();
    if lines.is_empty() { Ok(()) } else { Err(Unfit::Refused(lines.join("\n"))) }
}

/// Adds lines to the end of a file, which is made if it is not there.
fn append(path: &Path, name: &KeyName, lines: &str) -> Result<(), Unfit> {
    let unfit = |fault| Unfit::File { path: path.to_owned(), fault };
    let before = match std::fs::read_to_string(path) {
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => String::new(),
        read => read.map_err(unfit)?,
    };
    let gap = if before.is_empty() {
        ""
    } else if before.ends_with('\n') {
        "\n"
    } else {
        "\n\n"
    };
    if before.lines().any(|line| line.trim() == format!("[keys.{name}]")) {
        return Err(Unfit::Taken { path: path.to_owned(), name: name.clone() });
    }
    let added = format!("{gap}{lines}\n");
    check(&format!("{before}{added}")).map_err(|unfit| unfit.of(path))?;
    let mut file = OpenOptions::new().append(true).create(true).open(path).map_err(unfit)?;
    file.write_all(added.as_bytes()).map_err(unfit)
}

fn hash(key: &str) -> Result<String, Failure> {
    if key.len() < LEAST || key.contains(char::is_whitespace) {
        return Err(Failure::WeakKey { least: LEAST });
    }
    Ok(keyring::hash_of(key).to_string())
}

fn read() -> Result<String, Failure> {
    let mut input = io::stdin().lock();
    if input.is_terminal() {
        console::complain("paste the key, then press Enter:");
    }
    let mut line = String::new();
    input.read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

/// A new key. Bytes that would favour some letters are drawn again.
fn key() -> Result<String, Failure> {
    let mut key = PREFIX.to_owned();
    let fair = u8::try_from(LETTERS.len() * 4).unwrap_or(u8::MAX);
    while key.len() < PREFIX.len() + LENGTH {
        let mut byte = [0];
        rand::fill(&mut byte).map_err(|_| Failure::NoChance)?;
        let letter = LETTERS.get(usize::from(byte[0]) % LETTERS.len());
        key.extend(letter.filter(|_| byte[0] < fair).map(|letter| char::from(*letter)));
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::config::Config;
    use router_core::units::Day;

    use super::*;

    #[test]
    fn keys_are_long_words_and_never_the_same() {
        let keys: BTreeSet<String> = (0..200).map(|_| key().unwrap()).collect();
        assert_eq!(keys.len(), 200);
        let letters: BTreeSet<char> = keys.iter().flat_map(|key| key.chars().skip(3)).collect();
        assert_eq!(letters.len(), 62, "every letter is drawn");
        for key in &keys {
            assert_eq!(key.len(), 46, "{key}");
            assert!(key.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_'));
        }
    }

    #[test]
    fn what_is_printed_is_what_config_takes() {
        let name = KeyName::try_from("team").unwrap();
        let hash = keyring::hash_of("mr_0123456789abcdefghijklmn").to_string();
        let lines = table(&name, &hash);
        let today = Day::try_from("2026-11-23").unwrap();
        // Nothing but what else a configuration needs is missed.
        let faults = Config::from_toml(&lines, today).unwrap_err().to_string();
        assert!(!faults.contains("keys"), "{faults}");
    }

    #[test]
    fn a_key_that_could_be_guessed_is_not_hashed() {
        for weak in ["", "secret", "a long passphrase with spaces in it"] {
            assert!(matches!(hash(weak), Err(Failure::WeakKey { .. })), "{weak}");
        }
        assert!(hash("sk-0123456789abcdefghijk").unwrap().starts_with("sha256:"));
    }
}
