//! Parses the wait that a 429 or a fault requests, in all forms that upstreams use, most precise first.
//!
//! 1. `retry-after-ms`, milliseconds, fractions allowed;
//! 2. `retry-after`, seconds, fractions allowed, or an HTTP date;
//! 3. `x-ratelimit-reset-requests` and `-tokens` (also seen as `x-rate-limit-..`), seconds or a duration such as `6m0s`;
//! 4. "retry after 20 seconds" or "try again in 1.5s" in the error's message.
//!
//! The first form with a positive time wins. Zero, negative numbers, `NaN`, infinities and past dates are ignored, so the
//! next form is read: `retry-after: 0` next to `retry-after-ms: 300` is a rounding and means 300 ms. A time is capped at
//! `longest`: 86,400 s has been seen where a minute was meant.
//!
//! **Source:** Microsoft, "Provisioned throughput", what 429 means; openai-python, `_base_client.py`, the order of the
//! first two; openai/openai-python#937 and `OpenAI`'s rate limit guide for the third.

use std::time::{Duration, SystemTime};

use http::HeaderMap;

/// The wait that a 429 asks for, at most `longest`; `None` if it names none that is positive.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use router_core::upstream::retry_after::wait;
/// let mut headers = http::HeaderMap::new();
/// headers.insert("retry-after", "0".parse()?);
/// headers.insert("retry-after-ms", "300".parse()?);
/// let asked = wait(&headers, "", SystemTime::UNIX_EPOCH, Duration::from_secs(60));
/// assert_eq!(asked, Some(Duration::from_millis(300)));
/// # Ok::<(), http::header::InvalidHeaderValue>(())
/// ```
pub fn wait(
    headers: &HeaderMap,
    message: &str,
    wall: SystemTime,
    longest: Duration,
) -> Option<Duration> {
    let asked = told(headers, wall)
        .or_else(|| reset(|name| text(headers, name)))
        .or_else(|| in_message(message))?;
    Some(bounded(asked, longest))
}

/// The wait that a fault asks for: by the first two ways alone, because a 500 tells of its quotas as a 200 does, with no
/// wish to be left alone until they are full again.
pub fn wait_after_fault(
    headers: &HeaderMap,
    wall: SystemTime,
    longest: Duration,
) -> Option<Duration> {
    told(headers, wall).map(|asked| bounded(asked, longest))
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim)
}

/// The comparison is in floats: a huge number of seconds is no `Duration`.
fn bounded(asked: f64, longest: Duration) -> Duration {
    if asked >= longest.as_secs_f64() { longest } else { Duration::from_secs_f64(asked) }
}

/// Value of the two headers whose only purpose is this wait.
fn told(headers: &HeaderMap, wall: SystemTime) -> Option<f64> {
    let text = |name| text(headers, name);
    let milliseconds = || positive(text("retry-after-ms")?.parse::<f64>().ok()? / 1_000.0);
    let after = || {
        let text = text("retry-after")?;
        let date = || {
            let until = httpdate::parse_http_date(text).ok()?;
            until.duration_since(wall).ok().map(|wait| wait.as_secs_f64())
        };
        positive(text.parse::<f64>().ok().or_else(date)?)
    };
    milliseconds().or_else(after)
}

fn positive(seconds: f64) -> Option<f64> {
    (seconds.is_finite() && seconds > 0.0).then_some(seconds)
}

/// The time until the exhausted quota is full again. Where both are named, the one that has nothing left counts; where
/// neither or both say so, the longer, because the shorter alone does not help.
fn reset<'h>(text: impl Fn(&str) -> Option<&'h str>) -> Option<f64> {
    let mut exhausted: Option<f64> = None;
    let mut any: Option<f64> = None;
    for quota in ["requests", "tokens"] {
        let one = |form: &str| text(&format!("{form}{quota}"));
        let named = one("x-ratelimit-reset-").or_else(|| one("x-rate-limit-reset-"));
        let Some(seconds) = named.and_then(duration).and_then(positive) else { continue };
        any = Some(any.map_or(seconds, |other| other.max(seconds)));
        let left = one("x-ratelimit-remaining-").or_else(|| one("x-rate-limit-remaining-"));
        if left.and_then(|left| left.parse::<f64>().ok()).is_some_and(|left| left <= 0.0) {
            exhausted = Some(exhausted.map_or(seconds, |other| other.max(seconds)));
        }
    }
    exhausted.or(any)
}

/// Seconds of `10`, `1.5`, `1.5s`, `250ms`, `6m0s`, `1h2m3s`.
pub(super) fn duration(text: &str) -> Option<f64> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Some(seconds);
    }
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (number, tail) = rest.split_at_checked(digits)?;
        let letters = tail.find(|letter: char| !letter.is_ascii_alphabetic());
        let (unit, tail) = tail.split_at_checked(letters.unwrap_or(tail.len()))?;
        let factor = match unit {
            "h" => 3_600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 0.001,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * factor;
        rest = tail;
    }
    (!text.is_empty()).then_some(seconds)
}

/// The time named in a message: "Please retry after 20 seconds", "Please try again in 6m0s".
fn in_message(message: &str) -> Option<f64> {
    let message = message.to_ascii_lowercase();
    ["retry after ", "try again in "].into_iter().find_map(|phrase| {
        let (_, tail) = message.split_once(phrase)?;
        let mut words = tail.split_whitespace();
        let number = words.next()?.trim_end_matches(['.', ',', ';']);
        let unit = words.next().unwrap_or_default();
        let factor = if unit.starts_with("millisecond") || unit == "ms" {
            0.001
        } else if unit.starts_with("minute") {
            60.0
        } else {
            1.0
        };
        duration(number).map(|value| value * factor).and_then(positive)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn asked(headers: &[(&str, &str)], message: &str, wall: SystemTime) -> Option<f64> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: http::HeaderName = name.parse().unwrap();
            map.insert(name, value.parse().unwrap());
        }
        wait(&map, message, wall, MINUTE).map(|wait| wait.as_secs_f64())
    }

    #[track_caller]
    fn check(headers: &[(&str, &str)], expected: Option<f64>) {
        assert_eq!(asked(headers, "", SystemTime::UNIX_EPOCH), expected, "{headers:?}");
    }

    #[test]
    fn every_row_of_the_comparison_with_other_routers_is_right() {
        check(&[("retry-after", "1"), ("retry-after-ms", "400")], Some(0.4));
        check(&[("retry-after-ms", "400")], Some(0.4));
        check(&[("retry-after", "0"), ("retry-after-ms", "300")], Some(0.3));
        check(&[("retry-after", "3")], Some(3.0));
        check(&[("retry-after", "4")], Some(4.0));
        check(&[("retry-after", "2.5")], Some(2.5));
        check(&[], None);
    }

    #[test]
    fn the_vectors_of_the_official_client_are_clamped_or_said_to_be_nothing() {
        for (seconds, expected) in [
            ("20", Some(20.0)),
            ("0", None),
            ("-10", None),
            ("60", Some(60.0)),
            ("61", Some(60.0)),
            ("120", Some(60.0)),
            ("121", Some(60.0)),
            ("86400", Some(60.0)),
            ("inf", None),
            ("-inf", None),
            ("nan", None),
            ("1e400", None),
            ("99999999999999999999999999999999999", Some(60.0)),
            ("", None),
            ("   ", None),
            ("soon", None),
            ("Zun, 29 Sep 2024 02:26:12 GMT", None),
        ] {
            check(&[("retry-after", seconds)], expected);
        }
        check(&[("retry-after-ms", "120000")], Some(60.0));
        check(&[("retry-after-ms", "120001")], Some(60.0));
        check(&[("retry-after-ms", "37.5")], Some(0.0375));
        check(&[("retry-after-ms", "-5"), ("retry-after", "2")], Some(2.0));
        check(&[("retry-after-ms", "nan"), ("retry-after", "2")], Some(2.0));
    }

    #[test]
    fn dates_count_from_the_wall_clock() {
        // The client's own vectors: this moment is 2023-09-29 16:26:27 UTC less ten seconds.
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_696_004_787);
        let date = |text| asked(&[("retry-after", text)], "", wall);
        assert_eq!(date("Fri, 29 Sep 2023 16:26:37 GMT"), Some(10.0));
        assert_eq!(date("Fri, 29 Sep 2023 16:27:37 GMT"), Some(60.0));
        assert_eq!(date("Fri, 29 Sep 2023 16:26:27 GMT"), None);
        assert_eq!(date("Fri, 29 Sep 2023 16:26:17 GMT"), None);
        assert_eq!(date("Tue, 29 Sep 2099 16:26:17 GMT"), Some(60.0));
    }

    #[test]
    fn quota_headers_and_messages_come_last() {
        check(&[("x-ratelimit-reset-tokens", "6m0s")], Some(60.0));
        check(&[("x-ratelimit-reset-requests", "1.5s")], Some(1.5));
        check(&[("x-ratelimit-reset-requests", "20ms")], Some(0.02));
        check(&[("x-rate-limit-reset-tokens", "55")], Some(55.0));
        check(&[("x-ratelimit-reset-tokens", "-1")], None);
        let both = [("x-ratelimit-reset-tokens", "9"), ("x-ratelimit-reset-requests", "2")];
        check(&both, Some(9.0));
        check(&[both[0], both[1], ("x-ratelimit-remaining-requests", "0")], Some(2.0));
        for (message, expected) in [
            (
                "have exceeded token rate limit. Please retry after 20 seconds. Please go",
                Some(20.0),
            ),
            ("Please retry after 500 milliseconds.", Some(0.5)),
            ("Limit 3, Used 3. Please try again in 6m0s. Visit", Some(60.0)),
            ("Please try again in 1.5s.", Some(1.5)),
            ("Please retry after 86400 seconds.", Some(60.0)),
            ("Please retry after a while", None),
            ("나중에 retry after ", None),
        ] {
            assert_eq!(asked(&[], message, SystemTime::UNIX_EPOCH), expected, "{message}");
        }
    }

    proptest! {
        #[test]
        fn a_wait_is_positive_and_never_over_its_cap(
            milliseconds in "\\PC{0,12}", seconds in "\\PC{0,12}", reset in "[0-9hms.]{0,8}", message in "retry after \\PC{0,12}",
        ) {
            let mut headers = HeaderMap::new();
            for (name, value) in [("retry-after-ms", milliseconds), ("retry-after", seconds), ("x-ratelimit-reset-tokens", reset)] {
                if let Ok(value) = http::HeaderValue::from_str(&value) {
                    headers.insert(name, value);
                }
            }
            if let Some(wait) = wait(&headers, &message, SystemTime::UNIX_EPOCH, MINUTE) {
                prop_assert!(wait <= MINUTE);
            }
        }
    }
}
