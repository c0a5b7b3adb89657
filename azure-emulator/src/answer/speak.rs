//! Generates the answer to a request: text or tool calls, its length, and its finish reason.
//!
//! The answer is prose of a drawn or requested length, in Korean if the last user message contains
//! Hangul. It never repeats the prompt, except for a scripted echo. A cap cuts it; a reasoning
//! model spends the cap on hidden tokens first, so a tight cap leaves no text at all.

use super::call;
use super::instance;
use super::words;
use crate::accept;
use crate::dice::Dice;
use crate::dice::Lengths;
use crate::dice::scaled;
use crate::profile::Profile;
use crate::wire::request::Ask;
use crate::wire::request::Format;
use crate::wire::said::Finish;
use crate::wire::said::Said;
use crate::wire::tokens;
use serde_json::json;

/// Style of a deployment's answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Voice {
    /// Tokens of visible text.
    pub output: Lengths,
    /// Hidden tokens at medium effort.
    pub reasoning: Lengths,
    /// True if the last user message is repeated as the answer.
    pub echo: bool,
}

/// All choices of the answer to `ask`.
pub fn answer(voice: &Voice, profile: &Profile, ask: &Ask, dice: &mut Dice) -> Vec<Said> {
    // A client that asks for a thousand choices shall not make the emulator write them all.
    (0..ask.choices.min(16)).map(|_| choice(voice, profile, ask, dice)).collect()
}

fn choice(voice: &Voice, profile: &Profile, ask: &Ask, dice: &mut Dice) -> Said {
    let cap = ask.cap.unwrap_or(profile.max_output_tokens).min(profile.max_output_tokens);
    let wished = hidden_tokens(voice, profile, ask, dice);
    let reasoning_tokens = wished.min(cap);
    if wished >= cap && wished > 0 {
        return Said {
            pieces: Vec::new(),
            calls: Vec::new(),
            finish: Finish::Length,
            reasoning_tokens,
            completion_tokens: cap,
        };
    }
    if let Some(call) = call::choose(ask, dice) {
        let arguments = u64::try_from(tokens::pieces(&call.arguments).len()).unwrap_or(0);
        return Said {
            pieces: Vec::new(),
            calls: vec![call],
            finish: Finish::ToolCalls,
            reasoning_tokens,
            completion_tokens: reasoning_tokens + arguments,
        };
    }
    let mut pieces = text(voice, ask, dice);
    let room = usize::try_from(cap - reasoning_tokens).unwrap_or(usize::MAX);
    let finish = if pieces.len() > room { Finish::Length } else { Finish::Stop };
    pieces.truncate(room);
    let visible = u64::try_from(pieces.len()).unwrap_or(0);
    Said {
        pieces,
        calls: Vec::new(),
        finish,
        reasoning_tokens,
        completion_tokens: reasoning_tokens + visible,
    }
}

fn hidden_tokens(voice: &Voice, profile: &Profile, ask: &Ask, dice: &mut Dice) -> u64 {
    if !accept::reasons(profile, ask) {
        return 0;
    }
    if let Some(wished) = ask.wishes.reasoning_tokens {
        return wished;
    }
    let effort = ask.effort.as_deref().or(profile.default_effort.as_deref());
    let factor = match effort {
        Some("minimal") => 0.1,
        Some("low") => 0.4,
        Some("high") => 2.5,
        Some("xhigh") => 4.0,
        _ => 1.0,
    };
    scaled(voice.reasoning.draw(dice), factor)
}

fn text(voice: &Voice, ask: &Ask, dice: &mut Dice) -> Vec<String> {
    if let Some(text) = &ask.wishes.text {
        return tokens::pieces(text);
    }
    match &ask.format {
        Format::JsonObject => tokens::pieces(&json!({"answer": "alpha"}).to_string()),
        Format::Schema(schema) => tokens::pieces(&instance::of(schema, dice).to_string()),
        Format::Text if voice.echo => tokens::pieces(&ask.last_user),
        Format::Text => {
            let drawn = voice.output.draw(dice);
            let count = ask.wishes.output_tokens.unwrap_or(drawn);
            words::prose(tokens::has_hangul(&ask.last_user), count.min(200_000), dice)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(model: &str, ask: &Ask) -> Said {
        let voice =
            Voice { output: Lengths::Fixed(20), reasoning: Lengths::Fixed(100), echo: false };
        let ask = Ask { choices: 1, ..ask.clone() };
        answer(&voice, &Profile::for_model(model), &ask, &mut Dice::new(3, b"")).remove(0)
    }

    #[test]
    fn says_as_much_as_it_shall() {
        let plain = said("gpt-4o", &Ask::default());
        assert_eq!((plain.completion_tokens, plain.finish), (20, Finish::Stop));
        let capped = said("gpt-4o", &Ask { cap: Some(7), ..Ask::default() });
        assert_eq!((capped.completion_tokens, capped.finish), (7, Finish::Length));
        let mut ask = Ask::default();
        ask.wishes.output_tokens = Some(33);
        assert_eq!(said("gpt-4o", &ask).pieces.len(), 33);
    }

    #[test]
    fn reasoning_spends_the_cap_first() {
        let free = said("o1", &Ask::default());
        assert_eq!((free.reasoning_tokens, free.completion_tokens), (100, 120));
        let tight = said("o1", &Ask { cap: Some(80), ..Ask::default() });
        assert_eq!((tight.reasoning_tokens, tight.completion_tokens), (80, 80));
        assert_eq!((tight.text().as_str(), tight.finish), ("", Finish::Length));
        let high = said("o1", &Ask { effort: Some("high".to_owned()), ..Ask::default() });
        assert_eq!(high.reasoning_tokens, 250);
        assert_eq!(said("gpt-5.4", &Ask::default()).reasoning_tokens, 0, "its default is none");
    }

    #[test]
    fn speaks_the_callers_language() {
        let korean = Ask { last_user: "요약해 주세요".to_owned(), ..Ask::default() };
        assert!(tokens::has_hangul(&said("gpt-4o", &korean).text()));
        assert!(!tokens::has_hangul(&said("gpt-4o", &Ask::default()).text()));
    }
}
