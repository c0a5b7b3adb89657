//! The file of the request log: appends lines, renames a file that has grown, and creates a file
//! that was moved away.
//!
//! It does what log rotators and shippers expect: it appends, it writes a line completely or
//! reports it lost, and if somebody moved or removed the file, the next line goes to a new one. It
//! waits only for the disk; the caller ensures that no request waits for it.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tracing::warn;

use crate::config::RequestLog;

/// The reason why lines cannot be written where config says.
#[derive(Debug, thiserror::Error)]
#[error("request_log.path: {}: {problem}", path.display())]
pub struct LogFault {
    path: PathBuf,
    problem: String,
}

/// Asks whether the file could be written. The file itself is not made.
///
/// # Errors
/// It could not, and why.
pub(crate) fn probe(log: &RequestLog) -> Result<(), LogFault> {
    let path = &log.path;
    let fault = |problem| LogFault { path: path.clone(), problem };
    let cannot = |error: &io::Error| fault(format!("cannot be written: {error}"));
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => return Err(fault("is a folder".to_owned())),
        // Opening a pipe would wait for its reader.
        Ok(found) if !found.is_file() => return Ok(()),
        Ok(_) => {
            OpenOptions::new().append(true).open(path).map_err(|error| cannot(&error))?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(cannot(&error)),
    }
    let folder = folder_of(path);
    if !folder.is_dir() {
        return Err(fault(format!("the folder {} does not exist", folder.display())));
    }
    // Rotation needs the folder as well, and whether it may be written to only trying tells.
    let tried = folder.join(format!(".model-router-{}", std::process::id()));
    let made = OpenOptions::new().write(true).create_new(true).open(&tried);
    let made = made.and_then(|file| {
        drop(file);
        fs::remove_file(&tried)
    });
    made.map_err(|error| fault(format!("cannot write to {}: {error}", folder.display())))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Lines that were not all written.
#[derive(Debug)]
pub(crate) struct Lost {
    /// Number of lost lines.
    pub(crate) written: u64,
    /// The system's error.
    pub(crate) cause: io::Error,
}

/// The file, open or about to be.
#[derive(Debug)]
pub(crate) struct RecordFile {
    log: RequestLog,
    open: Option<Open>,
    /// True if full files could not be kept: that is reported once.
    stuck: bool,
}

#[derive(Debug)]
struct Open {
    file: File,
    identity: Identity,
    size: u64,
    /// True if the last line in it breaks off.
    torn: bool,
}

/// Identity of a file, which tells it from another that took its name: device and number.
type Identity = (u64, u64);

#[cfg(unix)]
fn identity(of: &Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    (of.dev(), of.ino())
}

/// Elsewhere an open file cannot be moved away.
#[cfg(not(unix))]
fn identity(_: &Metadata) -> Identity {
    (0, 0)
}

impl RecordFile {
    /// Nothing is opened yet.
    pub(crate) fn new(log: RequestLog) -> Self {
        Self { log, open: None, stuck: false }
    }

    /// The path that config names.
    pub(crate) fn path(&self) -> &Path {
        &self.log.path
    }

    /// Appends lines, each with its end.
    ///
    /// # Errors
    /// Not all could be written; the next try opens the file again.
    pub(crate) fn append(&mut self, lines: &[u8]) -> Result<(), Lost> {
        let mut written = 0;
        let done = self.try_append(lines, &mut written);
        done.map_err(|cause| {
            self.open = None;
            let whole = lines.get(..written).unwrap_or_default();
            let written = whole.split(|byte| *byte == b'\n').count() - 1;
            Lost { written: u64::try_from(written).unwrap_or(u64::MAX), cause }
        })
    }

    fn try_append(&mut self, lines: &[u8], written: &mut usize) -> io::Result<()> {
        if self.open.as_ref().is_some_and(|open| moved(open, &self.log.path)) {
            self.open = None;
        }
        let length = u64::try_from(lines.len()).unwrap_or(u64::MAX);
        let full = |size: u64| self.log.max_bytes.is_some_and(|most| size + length > most);
        let mut open = match self.open.take() {
            Some(open) => open,
            None => Open::at(&self.log.path)?,
        };
        if open.size > 0 && full(open.size) {
            match rotate(&self.log) {
                Ok(()) => open = Open::at(&self.log.path)?,
                Err(error) if !self.stuck => {
                    self.stuck = true;
                    let path = self.log.path.display();
                    warn!(%path, %error, "a full request log cannot be renamed: it keeps growing");
                }
                Err(_) => {}
            }
        }
        let open = self.open.insert(open);
        if open.torn {
            open.file.write_all(b"\n")?;
            open.size += 1;
            open.torn = false;
        }
        while let Some(rest) = lines.get(*written..).filter(|rest| !rest.is_empty()) {
            match open.file.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => *written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        open.size += length;
        Ok(())
    }
}

impl Open {
    fn at(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            // Names of keys and ids of requests are not secret, but other users need not read them.
            options.mode(0o640);
        }
        let file = options.open(path)?;
        let found = file.metadata()?;
        let size = found.len();
        // A file that may not be read is believed to be whole.
        let torn = found.is_file() && size > 0 && !ends_a_line(path).unwrap_or(true);
        Ok(Self { file, identity: identity(&found), size, torn })
    }
}

/// True if the file ends with a whole line: a process that was killed may have left half of one.
fn ends_a_line(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// True if the path names another file by now, or none.
fn moved(open: &Open, path: &Path) -> bool {
    let now = fs::metadata(path).ok();
    now.is_none_or(|now| identity(&now) != open.identity)
}

/// The file becomes `.1`, that one `.2`, and so on; the oldest goes.
///
/// Only what the path itself names is moved: a device, a pipe or a link, `/dev/stdout` say, is there for others too.
fn rotate(log: &RequestLog) -> io::Result<()> {
    if !fs::symlink_metadata(&log.path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "it is no plain file"));
    }
    let kept = |number: u32| {
        let mut name = log.path.clone().into_os_string();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    for number in (1..log.keep).rev() {
        match fs::rename(kept(number), kept(number + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    fs::rename(&log.path, kept(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(folder: &tempfile::TempDir, max_bytes: Option<u64>, keep: u32) -> RequestLog {
        RequestLog { path: folder.path().join("r.jsonl"), max_bytes, keep }
    }

    fn text(log: &RequestLog, suffix: &str) -> String {
        fs::read_to_string(format!("{}{suffix}", log.path.display())).unwrap_or_default()
    }

    #[test]
    fn a_file_that_was_moved_or_removed_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let log = log(&folder, None, 5);
        let mut file = RecordFile::new(log.clone());
        file.append(b"1\n2\n").unwrap();
        fs::rename(&log.path, folder.path().join("moved")).unwrap();
        file.append(b"3\n").unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("moved")).unwrap(), "1\n2\n");
        assert_eq!(text(&log, ""), "3\n");
        fs::remove_file(&log.path).unwrap();
        file.append(b"4\n").unwrap();
        assert_eq!(text(&log, ""), "4\n");
        // Emptied in place, as rotators do that copy: what follows is appended to nothing.
        fs::write(&log.path, "").unwrap();
        file.append(b"5\n").unwrap();
        assert_eq!(text(&log, ""), "5\n");
    }

    #[test]
    fn no_file_grows_beyond_its_size_and_no_more_are_kept_than_asked() {
        let folder = tempfile::tempdir().unwrap();
        let log = log(&folder, Some(10), 2);
        let mut file = RecordFile::new(log.clone());
        for line in ["aaaa\n", "bbbb\n", "cccc\n", "dddd\n", "eeee\n", "ffff\n", "gggg\n"] {
            file.append(line.as_bytes()).unwrap();
        }
        let found = ["", ".1", ".2", ".3"].map(|suffix| text(&log, suffix));
        assert_eq!(found, ["gggg\n", "eeee\nffff\n", "cccc\ndddd\n", ""]);
        // A restarted process continues at the end of the file.
        RecordFile::new(log.clone()).append(b"hhhh\n").unwrap();
        RecordFile::new(log.clone()).append(b"iiii\n").unwrap();
        assert_eq!([text(&log, ""), text(&log, ".1")], ["iiii\n", "gggg\nhhhh\n"]);
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_plain_file_is_left_where_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let log = log(&folder, Some(10), 2);
        let target = folder.path().join("target");
        std::os::unix::fs::symlink(&target, &log.path).unwrap();
        let mut file = RecordFile::new(log.clone());
        for line in ["aaaa\n", "bbbb\n", "cccc\n", "dddd\n"] {
            file.append(line.as_bytes()).unwrap();
        }
        assert_eq!(fs::read_to_string(&target).unwrap(), "aaaa\nbbbb\ncccc\ndddd\n");
        assert!(fs::symlink_metadata(&log.path).unwrap().is_symlink());
        assert_eq!(text(&log, ".1"), "");
    }

    #[test]
    fn half_a_line_spoils_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let log = log(&folder, None, 5);
        fs::write(&log.path, "{\"at_unix_ms\":1}\n{\"at_un").unwrap();
        RecordFile::new(log.clone()).append(b"{\"at_unix_ms\":2}\n").unwrap();
        let parsed = router_core::log_line::Log::parse(&text(&log, "")).unwrap();
        assert_eq!((parsed.requests.len(), parsed.torn), (2, 1));
    }

    #[test]
    fn a_full_disk_is_told_and_survived() {
        let full = Path::new("/dev/full");
        if !full.exists() {
            return;
        }
        let log = RequestLog { path: full.to_owned(), max_bytes: None, keep: 5 };
        let mut file = RecordFile::new(log);
        let lost = file.append(b"1\n2\n").unwrap_err();
        assert_eq!(lost.written, 0);
        assert!(lost.cause.to_string().contains("space"), "{}", lost.cause);
        assert!(file.append(b"3\n").is_err());
    }

    #[test]
    fn what_cannot_be_written_is_told_beforehand() {
        let folder = tempfile::tempdir().unwrap();
        let told = |path: &str| {
            let path = folder.path().join(path);
            let log = RequestLog { path, max_bytes: None, keep: 5 };
            let told = probe(&log).map_err(|fault| fault.to_string());
            told.map_err(|text| text.replace(&format!("{}", folder.path().display()), ""))
        };
        assert_eq!(told("r.jsonl"), Ok(()));
        assert_eq!(
            told("no/r.jsonl").unwrap_err(),
            "request_log.path: /no/r.jsonl: the folder /no does not exist"
        );
        fs::create_dir(folder.path().join("taken")).unwrap();
        assert_eq!(told("taken").unwrap_err(), "request_log.path: /taken: is a folder");
        fs::write(folder.path().join("file"), "").unwrap();
        assert!(told("file/r.jsonl").unwrap_err().contains("/file/r.jsonl: cannot be written"));
        assert_eq!(told("file"), Ok(()));
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(left.len(), 2, "trying leaves nothing behind: {left:?}");
    }
}
