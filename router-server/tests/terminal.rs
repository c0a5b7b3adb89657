//! Behavior at a terminal, through a pseudo-terminal: the questions of `init`, and colours unless `NO_COLOR` is
//! set.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail loudly")]

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// Runs the program at a terminal, types the lines, and returns everything that the terminal shows.
fn at_terminal(folder: &Path, words: &[&str], typed: &[&str], no_color: Option<&str>) -> String {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let side = || Stdio::from(OpenOptions::new().read(true).write(true).open(&name).unwrap());
    let mut command = Command::new(env!("CARGO_BIN_EXE_router-server"));
    command.args(words).current_dir(folder).stdin(side()).stdout(side()).stderr(side());
    command.env_remove("NO_COLOR").env("TERM", "xterm");
    if let Some(value) = no_color {
        command.env("NO_COLOR", value);
    }
    let mut child = command.spawn().unwrap();
    // The terminal ends when its other side is closed.
    drop(command);
    let mut terminal = File::from(master);
    for line in typed {
        writeln!(terminal, "{line}").unwrap();
    }
    let mut shown = Vec::new();
    let mut part = [0; 4_096];
    while let Ok(read @ 1..) = terminal.read(&mut part) {
        shown.extend_from_slice(part.get(..read).unwrap());
    }
    assert!(child.wait().unwrap().success(), "{}", String::from_utf8_lossy(&shown));
    String::from_utf8(shown).unwrap()
}

#[test]
fn five_answers_at_a_terminal_become_a_configuration_that_checks() {
    let folder = tempfile::tempdir().unwrap();
    // The prompt for the address repeats until there is one; an empty line takes the default.
    let typed =
        ["", "https://contoso.openai.azure.com", "koreacentral", "", "gpt-5.4=chat-prod", "ptu=50"];
    let shown = at_terminal(folder.path(), &["init"], &typed, None);
    assert_eq!(shown.matches("Address of the Azure OpenAI resource").count(), 2, "{shown}");
    for question in
        ["Its region", "Model for reasoning", "[gpt-5.6-terra]", "Model for chat", "DEPLOYMENT=PTU"]
    {
        assert!(shown.contains(question), "{question}: {shown}");
    }
    let written = std::fs::read_to_string(folder.path().join("router.toml")).unwrap();
    for line in ["gpt-5.6-terra", "azure_deployment = \"chat-prod\"", "ptu = 50"] {
        assert!(written.contains(line), "{line}\n---\n{written}");
    }
    let checked = at_terminal(folder.path(), &["check"], &[], None);
    assert!(checked.contains("chat_prod"), "{checked}");
    assert!(checked.contains("\u{1b}["), "a terminal shows colours: {checked}");
}

#[test]
fn no_color_switches_colours_off_unless_it_is_empty() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = "https://contoso.openai.azure.com";
    at_terminal(folder.path(), &["init", "--non-interactive", "--endpoint", endpoint], &[], None);
    for (value, coloured) in [(None, true), (Some(""), true), (Some("1"), false)] {
        let shown = at_terminal(folder.path(), &["check"], &[], value);
        assert_eq!(shown.contains('\u{1b}'), coloured, "{value:?}: {shown}");
    }
}
