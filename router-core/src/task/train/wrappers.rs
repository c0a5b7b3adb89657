//! Templates that a question is put into, and what fills their slots: a text file, read once.
//!
//! `## KIND LANG NAME` starts an entry. `wrap` keeps the label of its question, `helper` is chat; any other kind is a list
//! of lines for the slot of that name. `{q}` stands for the question, `[[..]]` for what a helper call asks.
//!
//! Not done here: filling them (`compose.rs`).

use std::collections::HashMap;

use super::rows::Language;

/// A template with its slots.
#[derive(Debug, Clone)]
pub(super) struct Template {
    /// Its name.
    pub(super) name: String,
    /// Its text, with slots in braces.
    pub(super) text: String,
    /// True for a helper call of a chat front end.
    pub(super) helper: bool,
}

/// The reason why a text is no set of templates.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WrapperError {
    /// A line `## ..` that names no kind and language.
    #[error("wrappers, line {line}: expected `## KIND LANG [NAME]`")]
    Head {
        /// The line, from 1.
        line: usize,
    },
    /// A language has no templates or a slot has nothing to fill it.
    #[error("wrappers: no `{0}` for `{1}`")]
    Missing(&'static str, &'static str),
}

/// Templates and what fills their slots, for one language.
#[derive(Debug, Clone, Default)]
pub(super) struct Set {
    /// The templates.
    pub(super) templates: Vec<Template>,
    lists: HashMap<String, Vec<String>>,
}

/// Templates of both languages.
#[derive(Debug, Clone, Default)]
pub struct Wrappers {
    english: Set,
    korean: Set,
}

impl Set {
    /// The lines that fill a slot; empty if the file holds nothing for it.
    pub(super) fn list(&self, name: &str) -> &[String] {
        self.lists.get(name).map_or(&[], Vec::as_slice)
    }
}

impl Wrappers {
    /// The templates that the shipped model learned from.
    ///
    /// # Errors
    /// Never in a released build: a test reads them.
    pub fn shipped() -> Result<Self, WrapperError> {
        Self::parse(include_str!("../../../model/data/wrappers.txt"))
    }

    /// Reads templates.
    ///
    /// # Errors
    /// A head that is none, or a language without templates.
    pub fn parse(text: &str) -> Result<Self, WrapperError> {
        let mut wrappers = Self::default();
        let mut head: Option<[String; 3]> = None;
        let mut body = String::new();
        for (line, text) in (1..).zip(text.lines()) {
            let Some(rest) = text.strip_prefix("## ").filter(|rest| is_head(rest)) else {
                body.push_str(text);
                body.push('\n');
                continue;
            };
            wrappers.take(head.take(), &body);
            body.clear();
            let mut words = rest.split(' ').map(str::to_owned);
            let (Some(kind), Some(language)) = (words.next(), words.next()) else {
                return Err(WrapperError::Head { line });
            };
            head = Some([kind, language, words.next().unwrap_or_default()]);
        }
        wrappers.take(head, &body);
        for (set, language) in [(&wrappers.english, "en"), (&wrappers.korean, "ko")] {
            if set.templates.is_empty() {
                return Err(WrapperError::Missing("wrap", language));
            }
        }
        Ok(wrappers)
    }

    fn take(&mut self, head: Option<[String; 3]>, body: &str) {
        let Some([kind, language, name]) = head else { return };
        let set = if language == "ko" { &mut self.korean } else { &mut self.english };
        let text = body.trim_end_matches('\n').to_owned();
        match kind.as_str() {
            "wrap" => set.templates.push(Template { name, text, helper: false }),
            "helper" => set.templates.push(Template { name, text, helper: true }),
            _ => {
                let lines = text.lines().filter(|line| !line.trim().is_empty());
                let lines = lines.map(|line| line.replace("\\n", "\n"));
                set.lists.entry(kind).or_default().extend(lines);
            }
        }
    }

    /// The templates of a language.
    pub(super) fn of(&self, language: Language) -> &Set {
        match language {
            Language::English => &self.english,
            Language::Korean => &self.korean,
        }
    }
}

fn is_head(rest: &str) -> bool {
    let mut words = rest.split(' ');
    let kind =
        words.next().is_some_and(|kind| kind.chars().all(|letter| letter.is_ascii_lowercase()));
    kind && matches!(words.next(), Some("en" | "ko"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_templates_are_read() {
        let wrappers = Wrappers::shipped().unwrap();
        for language in Language::ALL {
            let set = wrappers.of(language);
            assert!(set.templates.len() > 60, "{}", set.templates.len());
            for name in [
                "form", "think", "greet", "thanks", "story", "persona", "answer", "ask", "doc",
                "title",
            ] {
                assert!(set.list(name).len() > 8, "{name}");
            }
        }
    }

    #[test]
    fn faults_of_a_template_file_are_named() {
        let fault = Wrappers::parse("## wrap en a\n{q}\n").unwrap_err();
        assert_eq!(fault.to_string(), "wrappers: no `wrap` for `ko`");
    }
}
