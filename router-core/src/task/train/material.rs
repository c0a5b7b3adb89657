//! Material that stands around a question: pieces of the rows themselves, and logs, tables and speech made on the spot.
//!
//! Not done here: templates (`wrappers.rs`).

use crate::task::Task;

use super::learn::Dice;
use super::rows::Language;
use super::rows::Row;

/// Pieces of each kind of material that are taken from the rows.
const PIECES: usize = 1_500;

/// Material taken from the rows.
#[derive(Debug, Default)]
pub(super) struct Material {
    docs: [Vec<String>; 2],
    /// Small talk: a sentence each.
    talk: [Vec<String>; 2],
    /// Code.
    pub(super) code: Vec<String>,
}

impl Material {
    /// Documents of a language.
    pub(super) fn docs(&self, language: Language) -> &[String] {
        self.docs.get(usize::from(language == Language::Korean)).map_or(&[], Vec::as_slice)
    }

    /// Small talk of a language.
    pub(super) fn talk(&self, language: Language) -> &[String] {
        self.talk.get(usize::from(language == Language::Korean)).map_or(&[], Vec::as_slice)
    }
}

/// Sources of small talk.
const TALK: [&str; 3] = ["chitchat", "chatbot", "chatterbot"];

/// The material of the rows.
pub(super) fn material(rows: &[Row]) -> Material {
    let mut material = Material::default();
    for row in rows {
        let Some(text) = row.single_text() else { continue };
        if let Some(code) = text.split("```").nth(1) {
            if material.code.len() < PIECES && (80..700).contains(&code.len()) {
                material.code.push(code.trim_matches('\n').to_owned());
            }
            continue;
        }
        let Some(longest) = text.lines().max_by_key(|line| line.len()) else { continue };
        let letters = longest.chars().count();
        let talks = row.task == Task::Chat && TALK.iter().any(|name| row.source.contains(name));
        if talks && !text.contains(['\n', '?']) && (12..110).contains(&letters) {
            let talk = material.talk.get_mut(usize::from(row.language == Language::Korean));
            if let Some(talk) = talk.filter(|talk| talk.len() < PIECES) {
                talk.push(text.clone());
            }
        }
        let prose = (120..700).contains(&letters) && !longest.contains(['?', '{', '=']);
        if text.lines().count() > 1 && prose && row.task == Task::Chat {
            let korean = longest.chars().any(|letter| matches!(letter, '가'..='힣'));
            let docs = material.docs.get_mut(usize::from(korean));
            if let Some(docs) = docs.filter(|docs| docs.len() < PIECES) {
                docs.push(longest.to_owned());
            }
        }
    }
    material
}

/// A log of a few lines.
pub(super) fn log(dice: &mut Dice) -> String {
    const LEVELS: [&str; 4] = ["INFO", "WARN", "ERROR", "DEBUG"];
    const PARTS: [&str; 6] = ["gateway", "worker-3", "auth", "billing", "scheduler", "db"];
    const SAID: [&str; 8] = [
        "request finished in {n}ms",
        "connection reset by peer",
        "retrying, attempt {n}",
        "GET /items/{n} 200",
        "POST /login 401",
        "queue length {n}",
        "job {n} started",
        "timeout after {n} ms",
    ];
    let form = dice.below(3);
    let lines = 3 + dice.below(7);
    let line = |dice: &mut Dice| {
        let (a, b) = (dice.below(60), dice.below(60));
        let level = dice.pick(&LEVELS).copied().unwrap_or_default();
        let part = dice.pick(&PARTS).copied().unwrap_or_default();
        let said = dice.pick(&SAID).copied().unwrap_or_default();
        let said = said.replace("{n}", &dice.below(3000).to_string());
        match form {
            0 => format!("2024-04-11T09:{a:02}:{b:02}.{b:03}Z {level} {part}: {said}"),
            1 => format!("[{level}] {a:02}:{b:02} {part} - {said}"),
            _ => format!("Apr 11 09:{a:02}:{b:02} host1 {part}[{a}{b}]: {said}"),
        }
    };
    (0..lines).map(|_| line(dice)).collect::<Vec<_>>().join("\n")
}

/// A table of a few rows.
pub(super) fn table(dice: &mut Dice) -> String {
    const HEADS: [&str; 6] = ["name", "units", "price", "region", "month", "score"];
    const CELLS: [&str; 8] = ["north", "Berlin", "Q2", "lamp", "A-17", "open", "서울", "pending"];
    let bars = dice.below(2) == 0;
    let columns = 3 + dice.below(3);
    let rows = 3 + dice.below(5);
    let mut lines =
        vec![HEADS.get(..columns).unwrap_or(&HEADS).join(if bars { " | " } else { "," })];
    for _ in 0..rows {
        let cells: Vec<String> = (0..columns)
            .map(|at| match at {
                0 | 3 => dice.pick(&CELLS).copied().unwrap_or_default().to_owned(),
                _ => dice.below(5000).to_string(),
            })
            .collect();
        lines.push(cells.join(if bars { " | " } else { "," }));
    }
    if bars {
        lines = lines.iter().map(|line| format!("| {line} |")).collect();
    }
    lines.join("\n")
}

/// As a transcript of speech has it: no signs, no capitals, a filler now and then.
pub(super) fn spoken(dice: &mut Dice, question: &str, language: Language) -> String {
    let fillers: [&str; 4] = match language {
        Language::English => ["uh", "um", "so", "like"],
        Language::Korean => ["어", "음", "그러니까", "그"],
    };
    let bare: String = question
        .to_lowercase()
        .chars()
        .map(
            |letter| {
                if matches!(letter, '.' | ',' | '?' | '!' | ';' | ':') { ' ' } else { letter }
            },
        )
        .collect();
    let mut words: Vec<&str> = bare.split_whitespace().collect();
    for _ in 0..=words.len() / 12 {
        let at = dice.below(words.len() + 1);
        words.insert(at, dice.pick(&fillers).copied().unwrap_or_default());
    }
    words.join(" ")
}
