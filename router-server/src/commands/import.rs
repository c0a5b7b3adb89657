//! `import azure`: converts the output of the Azure CLI to a configuration. It does not contact
//! Azure.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use router_core::clock;

use crate::args::Import;
use crate::args::ImportAzure;
use crate::azure::Listing;
use crate::azure::ListingFault;
use crate::azure::Written;
use crate::azure::written;
use crate::config::Config;
use crate::console;

use super::Failure as CommandFailure;

/// The reason why no configuration is written.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A file cannot be read.
    #[error("{}: cannot be read: {fault}", named(path))]
    Unread {
        /// The file.
        path: PathBuf,
        /// The system's error.
        fault: io::Error,
    },
    /// A file holds something else.
    #[error("{}: {fault}", named(path))]
    Listing {
        /// The file.
        path: PathBuf,
        /// Fault of the listing.
        fault: ListingFault,
    },
    /// The router can use none of the deployments.
    #[error("none of the deployments can be used{}", listed(remarks))]
    Nothing {
        /// The reason why each was left out.
        remarks: Vec<String>,
    },
    /// The file to be written is there already, or cannot be written.
    #[error("{}: {}", path.display(), unwritten(fault))]
    Unwritten {
        /// The file.
        path: PathBuf,
        /// The system's error.
        fault: io::Error,
    },
}

fn unwritten(fault: &io::Error) -> String {
    if fault.kind() == io::ErrorKind::AlreadyExists {
        return "is there already and is not replaced; name another file with --out".to_owned();
    }
    format!("cannot be written: {fault}")
}

fn named(path: &Path) -> String {
    match path.display().to_string().as_str() {
        "-" => "standard input".to_owned(),
        path => path.to_owned(),
    }
}

fn listed(remarks: &[String]) -> String {
    remarks.iter().flat_map(|remark| ["\n  ", remark]).collect()
}

/// Reads the files and writes the configuration.
pub(super) fn run(import: &Import) -> Result<(), CommandFailure> {
    let Import::Azure(ImportAzure { files, out }) = import;
    let mut listing = Listing::default();
    for path in files {
        let text = read(path).map_err(|fault| Failure::Unread { path: path.clone(), fault })?;
        let unfit = |fault| Failure::Listing { path: path.clone(), fault };
        listing.add(&text).map_err(unfit)?;
    }
    listing.complete();
    deliver(&listing, out.as_deref())
}

/// Writes a listing's configuration into a file or to standard output, and its remarks to standard error.
pub(super) fn deliver(listing: &Listing, out: Option<&Path>) -> Result<(), CommandFailure> {
    let today = clock::day(clock::wall());
    let Written { text, deployments, remarks } = written(listing, today);
    if deployments == 0 {
        return Err(Failure::Nothing { remarks }.into());
    }
    for remark in &remarks {
        console::complain(format_args!("note: {remark}"));
    }
    if let Err(faults) = Config::from_toml(&text, today) {
        console::complain(format_args!("to be completed before it loads:\n{faults}"));
    }
    let Some(path) = out else { return Ok(console::say(text)?) };
    let unwritten = |fault| Failure::Unwritten { path: path.to_owned(), fault };
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    file.and_then(|mut file| writeln!(file, "{text}")).map_err(unwritten)?;
    console::complain(format_args!(
        "{}: {deployments} deployments. Next: router-server check --config {}",
        path.display(),
        path.display()
    ));
    Ok(())
}

fn read(path: &Path) -> io::Result<String> {
    if path != Path::new("-") {
        return std::fs::read_to_string(path);
    }
    let mut text = String::new();
    io::stdin().lock().read_to_string(&mut text)?;
    Ok(text)
}
