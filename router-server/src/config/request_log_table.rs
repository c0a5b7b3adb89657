//! The table `[request_log]`: the file with one line per request, and its rotation.
//!
//! It does not check whether the file can be written: a configuration is also read where nothing is
//! served.

use std::path::PathBuf;

use router_core::config::Table;

use super::raw_request_log::RequestLog as Raw;

/// The file that has a line for each request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestLog {
    /// The file.
    pub path: PathBuf,
    /// Beyond this size a new file is begun; `None` if another program rotates it.
    pub max_bytes: Option<u64>,
    /// The number of rotated files that are kept.
    pub keep: u32,
}

/// Default number of full files kept.
const KEEP: u32 = 5;

/// Checks `[request_log]`; `None` if no file is named.
pub(super) fn check(raw: &Raw, table: &Table<'_>) -> Option<RequestLog> {
    let max_bytes = table.whole("max_bytes", raw.max_bytes, 65_536..=1 << 40);
    let keep = table.whole("keep", raw.keep, 1..=1_000).and_then(|keep| u32::try_from(keep).ok());
    match &raw.path {
        Some(path) if path.file_name().is_none() => {
            table.fault("path", "must be the path of a file");
            None
        }
        Some(path) => {
            Some(RequestLog { path: path.clone(), max_bytes, keep: keep.unwrap_or(KEEP) })
        }
        None => {
            for (name, given) in [("max_bytes", raw.max_bytes), ("keep", raw.keep)] {
                if given.is_some() {
                    table.fault(name, "needs request_log.path, which is missing");
                }
            }
            None
        }
    }
}
