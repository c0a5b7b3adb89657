//! Quotas by the minute and by the ten seconds.

use super::*;
use proptest::prelude::*;

#[test]
fn the_eleventh_request_within_a_second_is_refused_until_the_next() {
    let start = Instant::now();
    let mut quota = Quota::new(QuotaSettings::new(600, 1_000_000), start);
    let now = start + Duration::from_millis(250);
    assert!((0..10).all(|_| quota.admit(now, 4, Some(1)).is_ok()));
    let refused = quota.admit(now, 4, Some(1)).unwrap_err();
    assert_eq!((refused.limit, refused.wait), (Limit::Requests, Duration::from_millis(750)));
    assert!(quota.admit(now + refused.wait, 4, Some(1)).is_ok());
}

#[test]
fn ten_second_slices_bind_small_limits() {
    let start = Instant::now();
    let mut quota = Quota::new(QuotaSettings::new(12, 1_000_000), start);
    let at = |seconds| start + Duration::from_secs(seconds);
    assert!(quota.admit(at(0), 4, Some(1)).is_ok());
    assert!(quota.admit(at(1), 4, Some(1)).is_ok());
    let refused = quota.admit(at(2), 4, Some(1)).unwrap_err();
    assert_eq!(refused.wait, Duration::from_secs(8), "2 in each 10 s");
}

#[test]
fn tokens_are_characters_and_the_cap() {
    let now = Instant::now();
    let mut quota = Quota::new(QuotaSettings::new(6_000, 1_000), now);
    let reading = quota.admit(now, 401, Some(99)).unwrap();
    assert_eq!(reading.remaining_tokens, 1_000 - 101 - 99);
    let arrival = Arrival { prompt_chars: 400, ..Arrival::default() };
    assert_eq!(quota.estimate(arrival), 116, "the guess for a missing cap");
    let refused = quota.admit(now + SECOND, 4, Some(800)).unwrap_err();
    assert_eq!((refused.limit, refused.wait), (Limit::Tokens, Duration::from_secs(59)));
    assert!(quota.admit(now + SECOND, 4, Some(700)).is_ok(), "a smaller one still fits");
}

#[test]
fn each_part_counts_by_its_weight() {
    let weights = Weights { prompt: 1.0, cached: 0.5, cap: 0.0 };
    let settings = QuotaSettings { weights, ..QuotaSettings::new(60, 1_000) };
    let quota = Quota::new(settings, Instant::now());
    let arrival = Arrival { prompt_chars: 800, cached_chars: 400, max_tokens: Some(9_000) };
    assert_eq!(quota.estimate(arrival), 100 + 50);
}

#[test]
fn a_temporary_cut_shows_in_the_reading() {
    let now = Instant::now();
    let mut quota = Quota::new(QuotaSettings::new(60, 1_000), now);
    quota.limit_tokens(100);
    assert_eq!(quota.reading(now).limit_tokens, 100);
    assert!(quota.admit(now, 0, Some(101)).is_err());
}

#[test]
fn refused_requests_count_only_where_told_so() {
    let now = Instant::now();
    let left = |count_rejected| {
        let settings = QuotaSettings { count_rejected, ..QuotaSettings::new(600, 10) };
        let mut quota = Quota::new(settings, now);
        quota.admit(now, 0, Some(11)).unwrap_err();
        quota.reading(now).remaining_requests
    };
    assert_eq!((left(false), left(true)), (600, 599));
}

proptest! {
    #[test]
    fn laws(
        rpm in 1_u64..2_000,
        tpm in 1_000_u64..200_000,
        calls in proptest::collection::vec((0_u64..4_000, 0_u64..4_000, 0_u64..900), 1..120),
    ) {
        let start = Instant::now();
        let mut now = start;
        let mut quota = Quota::new(QuotaSettings::new(rpm, tpm), start);
        let mut admitted: Vec<(Instant, u64)> = Vec::new();
        for (after_ms, chars, cap) in calls {
            now += Duration::from_millis(after_ms);
            let arrival =
                Arrival { prompt_chars: chars, max_tokens: Some(cap), ..Arrival::default() };
            let estimate = quota.estimate(arrival);
            match quota.admit(now, chars, Some(cap)) {
                Ok(reading) => {
                    admitted.push((now, estimate));
                    prop_assert!(reading.remaining_tokens <= reading.limit_tokens);
                    prop_assert!(reading.reset_tokens <= MINUTE);
                }
                Err(refused) => {
                    prop_assert!(refused.wait > Duration::ZERO && refused.wait <= MINUTE);
                    if estimate <= tpm {
                        let mut waited = quota.clone();
                        prop_assert!(waited.admit(now + refused.wait, chars, Some(cap)).is_ok());
                    }
                }
            }
        }
        // No aligned slice ever held more than its share.
        let in_slice = |length: u64, at: &Instant| (*at - start).as_secs() / length;
        for (length, limit) in [(1, rpm.div_ceil(60)), (10, rpm.div_ceil(6)), (60, rpm)] {
            for (at, _) in &admitted {
                let same = |(other, _): &&(Instant, u64)| in_slice(length, other) == in_slice(length, at);
                let together = admitted.iter().filter(same).count();
                prop_assert!(together as u64 <= limit);
            }
        }
        for (at, _) in &admitted {
            let minute = in_slice(60, at);
            let tokens: u64 = admitted
                .iter()
                .filter(|(other, _)| in_slice(60, other) == minute)
                .map(|(_, tokens)| tokens)
                .sum();
            prop_assert!(tokens <= tpm);
        }
    }
}
