//! `key`: makes a key, or hashes one that was made elsewhere. Nothing is written but to the terminal.

use std::io::{self, BufRead, IsTerminal};

use aws_lc_rs::rand;
use router_core::units::KeyName;

use crate::args::KeyCommand;
use crate::console;
use crate::keyring;

use super::Failure;

/// What keys begin with, so that people and secret scanners know one when they see it. Not a `-`: a double click shall
/// take the whole key.
const PREFIX: &str = "mr_";
const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// 256 bits of chance: 43 letters of 62.
const LENGTH: usize = 43;
/// A key that was made elsewhere has at least so many letters: 22 of base64 are 132 bits.
const LEAST: usize = 22;

pub(super) fn run(what: &KeyCommand) -> Result<(), Failure> {
    let told = match what {
        KeyCommand::New { name } => {
            let key = key()?;
            format!(
                "{key}\n\n\
                 This is the key; it is shown this once. The configuration holds its hash:\n\n{}",
                lines(name, &key)
            )
        }
        KeyCommand::Hash => hash(&read()?)?,
    };
    Ok(console::say(told)?)
}

/// What goes into a configuration.
fn lines(name: &KeyName, key: &str) -> String {
    format!("[keys.{name}]\nhashes = [\"{}\"]", keyring::hash_of(key))
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

    use router_core::config::Config;
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
        let lines = lines(&name, "mr_0123456789abcdefghijklmn");
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
