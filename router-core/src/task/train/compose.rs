//! Composes rows whose question is known: a question inside a template, an instruction before it, material around it.
//!
//! The templates stand in a text file (`router-core/model/data/wrappers.txt`). A composed row keeps the label of its
//! question; a helper call is chat whatever it quotes. Characters of a private range mark where the question starts and
//! ends; they are taken out before anything is learned.
//!
//! Not done here: learning from the marks (`examples.rs`).

use std::collections::HashMap;

use crate::task::Task;

use super::learn::Dice;
use super::material::Material;
use super::material::log;
use super::material::material;
use super::material::spoken;
use super::material::table;
use super::rows::Language;
use super::rows::Row;
use super::wrappers::Set;
use super::wrappers::Template;
use super::wrappers::Wrappers;

/// Marks the start of a question.
pub(super) const OPEN: char = '\u{e000}';
/// Marks its end.
pub(super) const CLOSE: char = '\u{e001}';
/// Marks the start of a stretch of which nothing is known.
pub(super) const OPEN_UNKNOWN: char = '\u{e002}';
/// Marks its end.
pub(super) const CLOSE_UNKNOWN: char = '\u{e003}';

/// The most letters of a question that is composed.
const LONGEST: usize = 900;
/// A line that comes so often in the rows is an ask that was put around a text.
const OFTEN: usize = 5;

/// Composes `share` rows for each row that can be a question.
pub(super) fn compose(rows: &[Row], wrappers: &Wrappers, share: f64, seed: u64) -> Vec<Row> {
    let often = lines_by_count(rows);
    let mut composer =
        Composer { dice: Dice(seed), material: material(rows), wrappers, names: HashMap::new() };
    let mut composed = Vec::new();
    for row in rows {
        let Some(text) = row.single_text() else { continue };
        if text.contains('\n') {
            composed.extend(asked(row, &text, &often));
        }
        let letters = text.chars().count();
        if !(2..=LONGEST).contains(&letters) {
            continue;
        }
        let lines = text.lines().count() > 1;
        let many = text.contains("```") || (lines && surrounds(row));
        let share = if lines { share * 0.5 } else { share };
        let mut left = share;
        while left > 0.0 {
            if composer.dice.chance() < left {
                composed.extend(composer.one(row, &text, many));
            }
            left -= 1.0;
        }
    }
    composed
}

fn lines_by_count(rows: &[Row]) -> HashMap<String, usize> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for text in rows.iter().filter_map(Row::single_text) {
        if !text.contains('\n') {
            continue;
        }
        for line in [text.lines().next(), text.lines().last()].into_iter().flatten() {
            *counts.entry(line.trim().to_owned()).or_default() += 1;
        }
    }
    counts
}

/// A row with an ask that many rows share: the ask is the question, the rest is material.
fn asked(row: &Row, text: &str, often: &HashMap<String, usize>) -> Option<Row> {
    if !surrounds(row) {
        return None;
    }
    let many = |line: &str| {
        line.split(' ').count() > 1
            && line.chars().any(char::is_alphabetic)
            && !line.starts_with("```")
            && often.get(line.trim()).is_some_and(|&count| count >= OFTEN)
    };
    let (first, last) = (text.lines().next()?, text.lines().last()?);
    let marked = match (many(first), many(last)) {
        (true, false) => format!("{OPEN}{first}{CLOSE}{}", text.get(first.len()..)?),
        (false, true) => format!("{}{OPEN}{last}{CLOSE}", text.get(..text.len() - last.len())?),
        _ => return None,
    };
    Some(row.composed(&marked, row.task, "asked"))
}

/// True for sources whose rows are an ask around a text.
pub(super) fn surrounds(row: &Row) -> bool {
    const AROUND: [&str; 13] = [
        "trap",
        "docs",
        "code_",
        "codetrap",
        "context",
        "rewrite",
        "nsmc",
        "passage",
        "wiki",
        "transcript",
        "_log_",
        "_data_",
        "_on_",
    ];
    AROUND.iter().any(|part| row.source.contains(part))
}

/// A question that is put into a template.
#[derive(Debug, Clone, Copy)]
struct Question<'q> {
    text: &'q str,
    /// True if nothing is known of what stands inside it.
    unknown: bool,
    language: Language,
}

impl Question<'_> {
    fn marked(self, text: &str) -> String {
        let (open, close) =
            if self.unknown { (OPEN_UNKNOWN, CLOSE_UNKNOWN) } else { (OPEN, CLOSE) };
        format!("{open}{text}{close}")
    }
}

struct Composer<'w> {
    dice: Dice,
    material: Material,
    wrappers: &'w Wrappers,
    /// Names of fields and labels in the template that is being filled: the same at each place.
    names: HashMap<String, String>,
}

impl Composer<'_> {
    fn one(&mut self, row: &Row, text: &str, unknown: bool) -> Option<Row> {
        let wrappers = self.wrappers;
        let set = wrappers.of(row.language);
        let template = self.dice.pick(&set.templates)?;
        let task = if template.helper { Task::Chat } else { row.task };
        let question = Question { text, unknown, language: row.language };
        let text = self.filled(set, template, question);
        Some(row.composed(&text, task, &format!("wrap:{}", template.name)))
    }

    fn filled(&mut self, set: &Set, template: &Template, question: Question<'_>) -> String {
        self.names.clear();
        let mut text = String::new();
        let mut rest = template.text.as_str();
        while let Some(at) = rest.find(['{', '[']) {
            let (before, from) = rest.split_at(at);
            text.push_str(before);
            if let Some((asked, after)) =
                from.strip_prefix("[[").and_then(|inside| inside.split_once("]]"))
            {
                let number = self.dice.below(10) + 2;
                text.push(OPEN);
                text.push_str(&asked.replace("{n}", &number.to_string()));
                text.push(CLOSE);
                rest = after;
                continue;
            }
            let slot = from.strip_prefix('{').and_then(|inside| inside.split_once('}'));
            let Some((name, after)) = slot.filter(|(name, _)| is_slot(name)) else {
                text.push_str(from.get(..1).unwrap_or_default());
                rest = from.get(1..).unwrap_or_default();
                continue;
            };
            match name {
                "q" => text.push_str(&question.marked(question.text)),
                "h" => text.push_str(question.text),
                "j" => text.push_str(&question.marked(&in_json(question.text))),
                "v" => text.push_str(&question.marked(&spoken(
                    &mut self.dice,
                    question.text,
                    question.language,
                ))),
                "u" => text.push_str(&question.marked(&question.text.to_uppercase())),
                _ => text.push_str(&self.slot(name, set, question.language)),
            }
            rest = after;
        }
        text.push_str(rest);
        text
    }

    fn slot(&mut self, name: &str, set: &Set, language: Language) -> String {
        match name {
            "n" => (self.dice.below(48) + 2).to_string(),
            "doc" => self.titled(set, language),
            "docs" => {
                let count = 1 + self.dice.below(3);
                let docs: Vec<String> = (0..count).map(|_| self.titled(set, language)).collect();
                docs.join("\n\n")
            }
            "code" => self.dice.pick(&self.material.code).cloned().unwrap_or_default(),
            "log" => log(&mut self.dice),
            "csv" => table(&mut self.dice),
            "x" => self.dice.pick(set.list("ask")).cloned().unwrap_or_default(),
            "a" => self.dice.pick(set.list("answer")).cloned().unwrap_or_default(),
            "story" | "chatter" if self.dice.chance() < 0.5 => {
                let talk = self.material.talk(language);
                let own = set.list(name);
                let pool = if talk.is_empty() { own } else { talk };
                self.dice.pick(pool).cloned().unwrap_or_default()
            }
            "xmeta" | "jmeta" | "kmeta" | "emeta" => self.fields(name, set.list("meta")),
            name if NAMES.contains(&name) => {
                if let Some(known) = self.names.get(name) {
                    return known.clone();
                }
                let chosen = self.dice.pick(set.list(name)).cloned().unwrap_or_default();
                self.names.insert(name.to_owned(), chosen.clone());
                chosen
            }
            name => {
                let number = self.dice.below(48) + 2;
                let line = self.dice.pick(set.list(name)).cloned().unwrap_or_default();
                line.replace("{n}", &number.to_string())
            }
        }
    }

    /// Some fields that say nothing of the question, in the form that `kind` names.
    fn fields(&mut self, kind: &str, all: &[String]) -> String {
        let count = 1 + self.dice.below(4);
        let mut fields = Vec::new();
        for _ in 0..count {
            let number = (self.dice.below(48) + 2).to_string();
            let Some((name, value)) = self.dice.pick(all).and_then(|line| line.split_once('='))
            else {
                continue;
            };
            let value = value.replace("{n}", &number);
            let field = name.replace(' ', "_");
            fields.push(match kind {
                "xmeta" => format!("<{field}>{value}</{field}>"),
                "jmeta" => format!("\"{field}\": \"{value}\""),
                "emeta" => format!("{field} = {value}"),
                _ => format!("{name}: {value}"),
            });
        }
        fields.join(if kind == "jmeta" { ", " } else { "\n" })
    }

    /// A document, now and then with a heading.
    fn titled(&mut self, set: &Set, language: Language) -> String {
        let doc = match self.dice.below(20) {
            0..7 => self.facts(set.list("fact"), " "),
            7 | 8 => self.facts(set.list("faq"), " "),
            9 => self.facts(set.list("faq"), "\n"),
            _ => self.doc(set.list("doc"), language),
        };
        if self.dice.chance() < 0.35 {
            let title = self.dice.pick(set.list("title")).cloned().unwrap_or_default();
            return format!("{title}\n{doc}");
        }
        doc
    }

    /// Unrelated facts, one after another.
    fn facts(&mut self, facts: &[String], between: &str) -> String {
        let count = 3 + self.dice.below(6);
        let mut lines = Vec::new();
        for _ in 0..count {
            let number = (self.dice.below(48) + 2).to_string();
            lines.extend(self.dice.pick(facts).map(|fact| fact.replace("{n}", &number)));
        }
        lines.join(between)
    }

    fn doc(&mut self, own: &[String], language: Language) -> String {
        let mined = self.material.docs(language);
        let pool = if mined.is_empty() || self.dice.chance() < 0.5 { own } else { mined };
        self.dice.pick(pool).cloned().unwrap_or_default()
    }
}

/// Slots whose filling is a name: each is chosen once for a template.
const NAMES: [&str; 7] =
    ["askfield", "matfield", "rulefield", "asklabel", "matlabel", "rulelabel", "root"];
/// All other slots.
const SLOTS: [&str; 28] = [
    "q", "h", "v", "u", "j", "n", "x", "a", "doc", "docs", "code", "log", "csv", "form", "think",
    "greet", "thanks", "story", "persona", "speaker", "chatter", "tool", "xmeta", "jmeta", "kmeta",
    "emeta", "courtesy", "title",
];

fn is_slot(name: &str) -> bool {
    NAMES.contains(&name) || SLOTS.contains(&name)
}

/// A question as the value of a JSON string.
fn in_json(question: &str) -> String {
    question.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Row> {
        let mut text = String::new();
        for number in 2..42 {
            for row in [
                serde_json::json!({"text": format!("is {number} prime?"), "label": "reasoning", "source": "a"}),
                serde_json::json!({"text": format!("{number}은 소수인가요?"), "label": "reasoning", "source": "b"}),
                serde_json::json!({"text": format!("Name the city.\nLisbon lies {number} km away."), "label": "chat", "source": "x_docs"}),
            ] {
                text.push_str(&row.to_string());
                text.push('\n');
            }
        }
        Row::read_all(&text).unwrap()
    }

    #[test]
    fn a_composed_row_marks_its_question_and_keeps_its_label() {
        let wrappers = Wrappers::shipped().unwrap();
        let composed = compose(&rows(), &wrappers, 3.0, 7);
        assert_eq!(
            composed,
            compose(&rows(), &wrappers, 3.0, 7),
            "the same seed gives the same rows"
        );
        assert!(composed.len() > 200, "{}", composed.len());
        for row in &composed {
            let text = row.single_text().unwrap();
            let count = |mark| text.matches(mark).count();
            assert_eq!(count(OPEN) + count(OPEN_UNKNOWN), 1, "{text}");
            assert_eq!(count(CLOSE) + count(CLOSE_UNKNOWN), 1, "{text}");
            assert!(!text.contains("{q}") && !text.contains("[["), "{text}");
        }
        let helpers = composed.iter().filter(|row| row.source == "a+wrap:title").count();
        let chat =
            composed.iter().filter(|row| row.source == "a+wrap:title" && row.task == Task::Chat);
        assert_eq!(chat.count(), helpers, "a helper call is chat whatever it quotes");
    }

    #[test]
    fn an_ask_that_many_rows_share_is_the_question() {
        let composed = compose(&rows(), &Wrappers::shipped().unwrap(), 0.0, 7);
        let first = composed.first().unwrap().single_text().unwrap();
        assert!(first.starts_with(&format!("{OPEN}Name the city.{CLOSE}\n")), "{first}");
    }
}
