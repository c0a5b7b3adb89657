//! Detects changes of the configuration's files, by reading them every `server.watch_ms` and at
//! SIGHUP.
//!
//! The files are read and compared rather than watched through the kernel. A mounted secret or
//! config map changes a link above the file, editors replace files, and network and container file
//! systems often report no change: reading by the configured path detects all of these, costs
//! microseconds for a few small files, and needs neither a thread nor a crate. A change counts once
//! two reads agree on it, and the content that is used must agree with a later read, so that a file
//! is not used while it is being written.
//!
//! The files of the running configuration and of the last one that was read are watched: if the
//! latter does not run because a certificate or a secret is missing, its appearance is a change.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use router_core::clock;
use router_core::config::ConfigFaults;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::config::Config;
use crate::reload::Live;

/// The files of a configuration, as they were when it was read.
#[derive(Debug)]
pub struct Follow {
    files: Vec<PathBuf>,
    /// The files named by the configuration that was read last, whether or not it runs.
    named: Vec<PathBuf>,
    seen: Seen,
    hang_up: HangUp,
}

/// State of each watched file.
type Seen = BTreeMap<PathBuf, Look>;

/// State of a file; an unreadable file has a state too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Absent,
    /// A hash of the content.
    Small(u64),
    /// Too long to be read each time: its length and its last change.
    Large(u64, Option<SystemTime>),
}

/// Files up to this length are read whole.
const SMALL_BYTES: u64 = 1 << 20;

/// The gap between two looks that must agree.
const SETTLE: Duration = Duration::from_millis(100);

/// A file that keeps changing is read anyway after so many looks.
const MOST_LOOKS: usize = 50;

impl Follow {
    /// Takes a first look at the files of a configuration; to be called before it is read, so that no change is missed.
    ///
    /// # Errors
    /// The process may not listen to signals.
    pub fn new(files: &[PathBuf]) -> io::Result<Self> {
        let seen = look(files.iter());
        Ok(Self { files: files.to_vec(), named: Vec::new(), seen, hang_up: HangUp::new()? })
    }

    /// Takes a first look at the files that a configuration names; to be called before they are read.
    #[must_use]
    pub fn with_files_of(mut self, config: &Config) -> Self {
        self.seen.extend(look(config.other_files().iter()));
        self
    }

    /// Reloads at each change, for as long as it is awaited.
    pub(crate) async fn follow(mut self, live: &Arc<Live>) {
        loop {
            self.cover(live).await;
            let pause = live.current().config.server.watch;
            let asked = tokio::select! {
                () = self.hang_up.heard() => true,
                () = sleep(pause.unwrap_or(Duration::MAX)), if pause.is_some() => false,
            };
            let now = self.look().await;
            if !asked && now == self.seen {
                continue;
            }
            info!(asked, "reloading the configuration");
            let Some((seen, read)) = self.read(now, asked).await else { continue };
            self.seen = seen;
            self.named = read.as_ref().map(Config::other_files).unwrap_or_default();
            // Before they are read, so that no change is missed.
            self.cover(live).await;
            let live = Arc::clone(live);
            blocking(move || live.take(read)).await;
        }
    }

    /// Takes a first look at files that have come in question, and forgets those that no longer are.
    async fn cover(&mut self, live: &Live) {
        let mut paths = self.files.clone();
        paths.extend(live.current().config.other_files());
        paths.extend_from_slice(&self.named);
        self.seen.retain(|path, _| paths.contains(path));
        paths.retain(|path| !self.seen.contains_key(path));
        self.seen.extend(blocking(move || look(paths.iter())).await.unwrap_or_default());
    }

    /// Reads the configuration from files that no longer change: looks before and after agree. `None` if reading
    /// panicked.
    async fn read(
        &self,
        mut now: Seen,
        at_once: bool,
    ) -> Option<(Seen, Result<Config, ConfigFaults>)> {
        let mut settled = at_once;
        for _ in 0..MOST_LOOKS {
            if !settled {
                sleep(SETTLE).await;
                let again = self.look().await;
                settled = again == now;
                now = again;
                continue;
            }
            let read = self.load().await?;
            let again = self.look().await;
            if again == now {
                return Some((now, read));
            }
            (now, settled) = (again, false);
        }
        Some((now, self.load().await?))
    }

    async fn load(&self) -> Option<Result<Config, ConfigFaults>> {
        let files = self.files.clone();
        blocking(move || Config::load(&files, clock::day(clock::wall()))).await
    }

    /// Looks again at all that was looked at.
    async fn look(&self) -> Seen {
        let paths: Vec<PathBuf> = self.seen.keys().cloned().collect();
        blocking(move || look(paths.iter())).await.unwrap_or_else(|| self.seen.clone())
    }
}

/// Does what reads files where it holds nobody up; `None` if it panicked.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.inspect_err(|error| warn!(%error, "a reload ended early")).ok()
}

fn look<'p>(paths: impl Iterator<Item = &'p PathBuf>) -> Seen {
    paths.map(|path| (path.clone(), look_at(path).unwrap_or(Look::Absent))).collect()
}

fn look_at(path: &Path) -> io::Result<Look> {
    let about = std::fs::metadata(path)?;
    if about.len() > SMALL_BYTES {
        return Ok(Look::Large(about.len(), about.modified().ok()));
    }
    let mut hasher = DefaultHasher::new();
    hasher.write(&std::fs::read(path)?);
    Ok(Look::Small(hasher.finish()))
}

/// SIGHUP, if there is such a thing.
#[derive(Debug)]
struct HangUp(#[cfg(unix)] tokio::signal::unix::Signal);

impl HangUp {
    #[cfg(unix)]
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        signal(SignalKind::hangup()).map(Self)
    }

    #[cfg(not(unix))]
    #[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
    fn new() -> io::Result<Self> {
        Ok(Self())
    }

    async fn heard(&mut self) {
        #[cfg(unix)]
        if self.0.recv().await.is_some() {
            return;
        }
        std::future::pending::<()>().await;
    }
}
