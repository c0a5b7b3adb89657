//! Keeps the history in a file of `server.state_dir`, so that seven days of it survive a restart.
//!
//! The file is replaced as a whole: written under another name, synced, renamed. A crash loses at most what happened since the
//! last write. A file that cannot be read is moved aside and reported; the history then starts anew, because no request depends
//! on it.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing::warn;

use super::rollup::Rollup;

/// Interval between writes.
pub(crate) const EVERY: Duration = Duration::from_secs(60);

const NAME: &str = "dashboard.json";

/// Number of the format; a file of another one is not read.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Written<'r> {
    version: u32,
    history: &'r Rollup,
}

#[derive(Deserialize)]
struct Kept {
    version: u32,
    history: Rollup,
}

/// The history that the folder holds; `None` if it holds none that this program can read.
pub(super) fn read(folder: &Path) -> Option<Rollup> {
    let path = folder.join(NAME);
    let text = match fs::read_to_string(&path) {
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return None,
        read => read,
    };
    let kept = text.and_then(|text| Ok(serde_json::from_str::<Kept>(&text)?));
    match kept {
        Ok(Kept { version: VERSION, history }) if history.is_whole() => return Some(history),
        Ok(Kept { version, .. }) => {
            warn!(
                version,
                "the dashboard's history in server.state_dir has another format: it starts anew"
            );
        }
        Err(error) => {
            warn!(%error, "the dashboard's history in server.state_dir cannot be read: it starts anew");
        }
    }
    if let Err(error) = fs::rename(&path, path.with_extension("json.unreadable")) {
        warn!(%error, "the unreadable history cannot be moved aside");
    }
    None
}

/// Writes the history. Blocks while the disk does.
///
/// # Errors
/// The folder cannot be written to.
pub(super) fn write(folder: &Path, history: &Rollup) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let path = folder.join(NAME);
    let new = path.with_extension("json.new");
    let mut file = BufWriter::new(File::create(&new)?);
    serde_json::to_writer(&mut file, &Written { version: VERSION, history })?;
    file.flush()?;
    file.get_ref().sync_all()?;
    drop(file);
    fs::rename(&new, &path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::rollup::Range;

    #[test]
    fn a_history_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let mut history = Rollup::default();
        for second in 0..60 {
            history.sample(1_795_046_400_000 + second * 1_000, std::iter::empty());
        }
        write(&path, &history).unwrap();
        let read = read(&path).unwrap();
        let seconds = |history: &Rollup| -> u32 {
            let steps = history.range(Range::Hour, 1_795_046_459_000);
            steps.iter().map(|step| step.seconds).sum()
        };
        assert_eq!((seconds(&read), seconds(&history)), (60, 60));
        assert!(!path.join("dashboard.json.new").exists());
    }

    #[test]
    fn a_file_that_cannot_be_read_is_moved_aside() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read(folder.path()).is_none(), "there is none yet");
        for text in ["not json", r#"{"version":9,"history":{"since_ms":0,"names":[],"tiers":[]}}"#]
        {
            fs::write(folder.path().join(NAME), text).unwrap();
            assert!(read(folder.path()).is_none());
            let aside = fs::read_to_string(folder.path().join("dashboard.json.unreadable"));
            assert_eq!(aside.unwrap(), text);
            assert!(!folder.path().join(NAME).exists());
        }
    }
}
