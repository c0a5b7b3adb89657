//! Keeps the spending of keys and teams in a file of `server.state_dir`, so that a restart loses nothing.
//!
//! The file is replaced as a whole: written under another name, synced, renamed. A crash loses the spending since the last
//! write, a few seconds at most. With `[replicas]` Redis keeps the totals, and this file is neither read nor written.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use router_core::clock;
use router_core::decision::Moment;
use router_core::ledger::{Ledger, Used};
use router_core::units::{Day, Usd};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tokio::time::Instant;
use tracing::{info, warn};

/// Interval between writes, if anything was spent.
pub(crate) const EVERY: Duration = Duration::from_secs(5);

const NAME: &str = "spent.json";

/// The reason why the folder does not serve.
#[derive(Debug, thiserror::Error)]
#[error("server.state_dir: {}: {cause}", path.display())]
pub struct StateFault {
    path: PathBuf,
    cause: io::Error,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Kept {
    accounts: BTreeMap<String, Spent>,
}

/// Whole picodollars, as strings: JSON's numbers are too short for them.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Spent {
    on: String,
    day: String,
    month: String,
}

/// The folder.
#[derive(Debug)]
pub(crate) struct StateDir {
    file: PathBuf,
    /// Contents written last, so that an idle router does not write.
    written: Mutex<String>,
}

impl StateDir {
    /// Opens the folder, creates it if need be, and puts what it knows into the ledger.
    ///
    /// # Errors
    /// It cannot be created, or its file is not ours or cannot be read or replaced.
    pub(crate) fn open(folder: &Path, ledger: &Ledger) -> Result<Self, StateFault> {
        let file = folder.join(NAME);
        let fault = |cause| StateFault { path: file.clone(), cause };
        fs::create_dir_all(folder).map_err(fault)?;
        let text = match fs::read_to_string(&file) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => String::new(),
            read => read.map_err(fault)?,
        };
        let kept: Kept = if text.is_empty() {
            Kept::default()
        } else {
            serde_json::from_str(&text)
                .map_err(|cause| fault(io::Error::new(io::ErrorKind::InvalidData, cause)))?
        };
        let moment = Moment::new(Instant::now(), clock::day(clock::wall()));
        let mut restored = 0_usize;
        for (name, spent) in &kept.accounts {
            if let Some((used, on)) = spent.read() {
                ledger.restore(name, used, on, moment);
                restored += 1;
            }
        }
        if restored > 0 {
            info!(accounts = restored, "spending of this month read from server.state_dir");
        }
        let dir = Self { file, written: Mutex::new(text) };
        // An unwritable folder is reported at once.
        dir.write(&Self::text(ledger))
            .map_err(|cause| StateFault { path: dir.file.clone(), cause })?;
        Ok(dir)
    }

    /// Writes what has changed. Blocks while the disk does.
    pub(crate) fn keep(&self, ledger: &Ledger) {
        let text = Self::text(ledger);
        let same = *self.written.lock().unwrap_or_else(PoisonError::into_inner) == text;
        if same {
            return;
        }
        if let Err(error) = self.write(&text) {
            warn!(%error, "what keys have spent could not be written to server.state_dir");
        }
    }

    fn text(ledger: &Ledger) -> String {
        let moment = Moment::new(Instant::now(), clock::day(clock::wall()));
        let accounts = ledger.all_own(moment).into_iter();
        let accounts = accounts
            .filter(|(_, used, _)| used.month > Usd::ZERO || used.day > Usd::ZERO)
            .map(|(name, used, on)| (name.as_ref().to_owned(), Spent::of(&used, on)));
        serde_json::to_string_pretty(&Kept { accounts: accounts.collect() }).unwrap_or_default()
    }

    fn write(&self, text: &str) -> io::Result<()> {
        let beside = self.file.with_extension("json.new");
        let mut file = File::create(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        drop(file);
        fs::rename(&beside, &self.file)?;
        text.clone_into(&mut self.written.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(())
    }
}

impl Spent {
    fn of(used: &Used, on: Day) -> Self {
        let [day, month] = [used.day, used.month].map(|usd| usd.picodollars().to_string());
        Self { on: on.to_string(), day, month }
    }

    fn read(&self) -> Option<(Used, Day)> {
        let usd = |text: &str| text.parse().ok().map(Usd::of_picodollars);
        let used = Used { day: usd(&self.day)?, month: usd(&self.month)?, ..Used::default() };
        Some((used, Day::try_from(self.on.as_str()).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spent(ledger: &Ledger, name: &str) -> Used {
        ledger.used(name, Moment::new(Instant::now(), clock::day(clock::wall())))
    }

    #[test]
    fn what_was_spent_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let today = clock::day(clock::wall());
        let one = Ledger::default();
        let dir = StateDir::open(&path, &one).unwrap();
        let used = |dollars| Used {
            day: Usd::of_dollars(dollars).unwrap(),
            month: Usd::of_dollars(2.0 * dollars).unwrap(),
            ..Used::default()
        };
        one.restore("billing", used(1.5), today, Moment::new(Instant::now(), today));
        one.restore("team__finance", used(3.0), today, Moment::new(Instant::now(), today));
        dir.keep(&one);
        let other = Ledger::default();
        StateDir::open(&path, &other).unwrap();
        assert_eq!(spent(&other, "billing"), used(1.5));
        assert_eq!(spent(&other, "team__finance"), used(3.0));
        assert_eq!(spent(&other, "nobody"), Used::default());
    }

    #[test]
    fn a_file_that_is_not_ours_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(NAME);
        fs::write(&file, "not json").unwrap();
        let fault = StateDir::open(folder.path(), &Ledger::default()).unwrap_err();
        assert!(fault.to_string().contains("spent.json"), "{fault}");
        assert_eq!(fs::read_to_string(file).unwrap(), "not json");
    }
}
