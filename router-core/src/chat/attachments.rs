//! Estimates the tokens of files and audio from their size; only the service opens them.
//!
//! The estimates steer capacity and cost. They never cause a refusal, because a scanned page is as
//! large as a chapter of text.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::units::Tokens;

/// A page of a document: its text, and its image in the middle of what images cost.
///
/// **Source:** `OpenAI`, "File inputs": both the text and an image of each page are given to the model.
const PAGE: u64 = 1_500;
/// The approximate bytes of a page: text documents have 30 to 100 KB per page.
const PAGE_BYTES: u64 = 60_000;
/// The most pages. **Source:** `OpenAI`, "File inputs": 100 pages.
const MOST_PAGES: u64 = 100;
/// The bytes of sound for a token: ten tokens per second, of 64 to 128 kbit/s.
///
/// **Source:** `OpenAI`, "Managing costs" of the Realtime API: a token for each 100 ms of the user's speech.
const SOUND_BYTES: u64 = 1_200;
/// The same of sound that is not compressed: 16-bit samples at 16 to 24 kHz.
const WAVE_BYTES: u64 = 4_000;
/// The bytes of plain text for a token.
const TEXT_BYTES: u64 = 4;

/// A file of a message of chat: `{"file_data":"data:..","filename":".."}`.
pub(super) fn of_file(file: &str) -> Tokens {
    #[derive(Deserialize)]
    struct File<'a> {
        #[serde(default, borrow)]
        file_data: Option<&'a RawValue>,
    }
    let data = serde_json::from_str::<File<'_>>(file).ok().and_then(|file| file.file_data);
    data.map_or(Tokens(PAGE), |data| of_file_data(data.get()))
}

/// The content of a file as it is written in the body: a string with base64, mostly as a `data:` address.
pub(super) fn of_file_data(data: &str) -> Tokens {
    let bytes = decoded(data);
    if data.trim_start_matches('"').starts_with("data:text/") {
        return Tokens(bytes / TEXT_BYTES);
    }
    Tokens((bytes.saturating_mul(PAGE) / PAGE_BYTES).clamp(PAGE, MOST_PAGES * PAGE))
}

/// A file that is named but not there.
pub(super) fn of_file_elsewhere() -> Tokens {
    Tokens(PAGE)
}

/// Sound: `{"data":"..","format":"wav"}`.
pub(super) fn of_sound(sound: &str) -> Tokens {
    #[derive(Deserialize)]
    struct Sound<'a> {
        #[serde(default, borrow)]
        data: Option<&'a RawValue>,
        #[serde(default, borrow)]
        format: Option<&'a RawValue>,
    }
    let Ok(Sound { data, format }) = serde_json::from_str(sound) else { return Tokens::ZERO };
    let wave = format.is_some_and(|format| matches!(format.get(), "\"wav\"" | "\"pcm16\""));
    let per_token = if wave { WAVE_BYTES } else { SOUND_BYTES };
    Tokens(data.map_or(0, |data| decoded(data.get()).div_ceil(per_token)))
}

/// The bytes that base64 of this length encodes.
fn decoded(text: &str) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::MAX).saturating_mul(3) / 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_sound_count_by_their_size() {
        let megabyte = "A".repeat(1 << 20);
        let pdf = format!("\"data:application/pdf;base64,{megabyte}\"");
        assert!((15_000..25_000).contains(&of_file_data(&pdf).0));
        assert_eq!(
            of_file(&format!(r#"{{"filename":"a.pdf","file_data":{pdf}}}"#)),
            of_file_data(&pdf)
        );
        assert_eq!(of_file(r#"{"file_id":"file-1"}"#), Tokens(PAGE));
        assert_eq!(of_file_data(&format!("\"{}\"", megabyte.repeat(20))), Tokens(150_000));
        let text = format!("\"data:text/plain;base64,{megabyte}\"");
        assert!((190_000..200_000).contains(&of_file_data(&text).0));
        let sound =
            |format: &str| of_sound(&format!(r#"{{"data":"{megabyte}","format":"{format}"}}"#)).0;
        assert!((150..250).contains(&sound("wav")), "{}", sound("wav"));
        assert!((500..1_000).contains(&sound("mp3")), "{}", sound("mp3"));
        assert_eq!(of_sound("5"), Tokens::ZERO);
    }
}
