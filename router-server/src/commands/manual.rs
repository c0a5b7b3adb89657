//! `completions` and `man`: shell completions and manual pages, generated from the definition of
//! the command line.

use std::fs;

use clap::CommandFactory;
use clap_mangen::Man as Page;

use crate::args::CommandLine;
use crate::args::Completions;
use crate::args::Man;
use crate::console;

use super::Failure;

const PROGRAM: &str = "router-server";

pub(super) fn completions(completions: &Completions) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(completions.shell, &mut CommandLine::command(), PROGRAM, &mut script);
    Ok(console::say(String::from_utf8_lossy(&script).trim_end())?)
}

/// One page at the terminal, or all pages as files.
pub(super) fn man(man: &Man) -> Result<(), Failure> {
    let command = CommandLine::command().disable_help_subcommand(true);
    if let Some(folder) = &man.out {
        let unwritten = |error| Failure::Files(format!("{}: {error}", folder.display()));
        fs::create_dir_all(folder).map_err(unwritten)?;
        return clap_mangen::generate_to(command, folder).map_err(unwritten);
    }
    let mut page = Vec::new();
    Page::new(command).render(&mut page)?;
    Ok(console::say(String::from_utf8_lossy(&page).trim_end())?)
}
