//! The bucket's level, its refusals and its waits.

use super::*;
use proptest::prelude::*;

fn gpt_4o(now: Instant) -> Bucket {
    Bucket::new(BucketSettings::new(15.0, 2_500.0, 4.0), now).unwrap()
}

#[test]
fn the_documents_worked_example() {
    let now = Instant::now();
    let mut bucket = gpt_4o(now);
    assert!((bucket.rate() - 625.0).abs() < 1e-9);
    let call = bucket.admit(now, 1_000, 0, None).unwrap();
    assert!((call.reserved() - 17_384.0).abs() < 1e-9, "1,000 + 4 * 4,096");
    assert!((bucket.utilization(now) - 2.781_44).abs() < 1e-9);
}

#[test]
fn exactly_full_still_admits() {
    let now = Instant::now();
    let mut bucket = gpt_4o(now);
    bucket.add(now, bucket.capacity());
    assert!(bucket.admit(now, 1, 0, Some(1)).is_ok());
    assert!(bucket.admit(now, 1, 0, Some(1)).is_err());
}

#[test]
fn cached_tokens_are_discounted_and_never_below_nothing() {
    let now = Instant::now();
    let mut settings = BucketSettings::new(15.0, 2_500.0, 4.0);
    let mut reserve = |discount: f64, cached: u64| {
        settings.cached_discount = discount;
        Bucket::new(settings, now).unwrap().admit(now, 1_000, cached, Some(0)).unwrap().reserved
    };
    assert!((reserve(1.0, 600) - 400.0).abs() < 1e-9);
    assert!((reserve(0.5, 600) - 700.0).abs() < 1e-9);
    assert!((reserve(1.0, 5_000)).abs() < 1e-9);
}

#[test]
fn a_clock_that_steps_back_changes_nothing() {
    let start = Instant::now();
    let later = start + Duration::from_secs(5);
    let mut bucket = gpt_4o(start);
    bucket.add(later, 5_000.0);
    bucket.add(start, 0.0);
    assert!((bucket.level(later) - 5_000.0).abs() < 1e-9);
}

#[test]
fn settings_that_hold_nothing_are_refused() {
    let check = |change: fn(&mut BucketSettings), fault| {
        let mut settings = BucketSettings::new(15.0, 2_500.0, 4.0);
        change(&mut settings);
        assert_eq!(Bucket::new(settings, Instant::now()).unwrap_err(), fault);
    };
    check(|settings| settings.ptu = 0.0, BucketFault::Rate);
    check(|settings| settings.input_tpm_per_ptu = f64::NAN, BucketFault::Rate);
    check(|settings| settings.window = Duration::ZERO, BucketFault::Window);
    check(|settings| settings.output_ratio = -1.0, BucketFault::Ratio);
    check(|settings| settings.cached_discount = 1.5, BucketFault::Discount);
}

#[derive(Debug, Clone)]
struct Call {
    after_ms: u64,
    prompt: u64,
    cached: u64,
    max_tokens: Option<u64>,
    completion: u64,
    takes_ms: u64,
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let call = (
        0_u64..3_000,
        0_u64..20_000,
        0_u64..20_000,
        proptest::option::of(0_u64..8_000),
        0_u64..8_000,
        0_u64..20_000,
    );
    let call = call.prop_map(|(after_ms, prompt, cached, max_tokens, completion, takes_ms)| Call {
        after_ms,
        prompt,
        cached,
        max_tokens,
        completion,
        takes_ms,
    });
    proptest::collection::vec(call, 1..80)
}

fn settings() -> impl Strategy<Value = BucketSettings> {
    (0.1_f64..2_000.0, 200.0_f64..60_000.0, 1.0_f64..8.0, 1_u64..120, 0.0_f64..=1.0).prop_map(
        |(ptu, tpm, ratio, window, cached_discount)| BucketSettings {
            window: Duration::from_secs(window),
            cached_discount,
            ..BucketSettings::new(ptu, tpm, ratio)
        },
    )
}

proptest! {
    /// Every law at once, over random calls that overlap and settle later.
    #[test]
    fn laws(settings in settings(), calls in calls()) {
        let start = Instant::now();
        let mut now = start;
        let mut bucket = Bucket::new(settings, start).unwrap();
        let mut open: Vec<(Instant, Admission, Call)> = Vec::new();
        for call in calls {
            now += Duration::from_millis(call.after_ms);
            open.sort_by_key(|(end, ..)| *end);
            while open.first().is_some_and(|(end, ..)| *end <= now) {
                let (end, admission, call) = open.remove(0);
                bucket.settle(end, &admission, call.prompt, call.cached, call.completion);
                prop_assert!(bucket.level(end) >= 0.0);
            }
            let before = bucket.level(now);
            match bucket.admit(now, call.prompt, call.cached, call.max_tokens) {
                Ok(admission) => {
                    prop_assert!(before <= bucket.capacity() * (1.0 + 2.0 * ROUNDING));
                    prop_assert!(admission.reserved() >= 0.0);
                    let grown = bucket.level(now) - before;
                    prop_assert!((grown - admission.reserved()).abs() < 1e-3);
                    let end = now + Duration::from_millis(call.takes_ms);
                    open.push((end, admission, call));
                }
                Err(full) => {
                    prop_assert!(before > bucket.capacity());
                    let wait = (before - bucket.capacity()) / bucket.rate();
                    prop_assert!((full.wait.as_secs_f64() - wait).abs() < 1e-6 * wait.max(1.0));
                    let mut waited = bucket.clone();
                    let freed = now + full.wait;
                    prop_assert!(waited.admit(freed, 1, 0, Some(1)).is_ok());
                    // Shorter waits are lost in the rounding.
                    if full.wait > Duration::from_millis(1) {
                        let mut early = bucket.clone();
                        let sooner = now + full.wait.mul_f64(0.99);
                        prop_assert!(early.admit(sooner, 1, 0, Some(1)).is_err());
                    }
                }
            }
            prop_assert!(bucket.level(now) >= 0.0);
        }
    }

    /// With estimates that are right, no span lets more through than it drains, plus one full
    /// bucket, plus the one call that overshoots.
    #[test]
    fn throughput_is_bounded(settings in settings(), calls in calls()) {
        let start = Instant::now();
        let mut now = start;
        let mut bucket = Bucket::new(settings, start).unwrap();
        let (mut admitted, mut largest) = (0.0_f64, 0.0_f64);
        for call in calls {
            now += Duration::from_millis(call.after_ms);
            if let Ok(admission) = bucket.admit(now, call.prompt, 0, Some(call.completion)) {
                admitted += admission.reserved();
                largest = largest.max(admission.reserved());
                bucket.settle(now, &admission, call.prompt, 0, call.completion);
            }
            let span = (now - start).as_secs_f64() + settings.window.as_secs_f64();
            prop_assert!(admitted <= (bucket.rate() * span + largest) * (1.0 + 1e-6));
        }
    }

    /// Looking never changes anything, and in steps or at once the drain is the same.
    #[test]
    fn drain_is_constant(settings in settings(), level in 0.0_f64..1e6, steps in 1_u32..50) {
        let start = Instant::now();
        let mut stepped = Bucket::new(settings, start).unwrap();
        stepped.add(start, level);
        let direct = stepped.clone();
        let mut now = start;
        for _ in 0..steps {
            now += Duration::from_millis(137);
            stepped.add(now, 0.0);
        }
        prop_assert!((stepped.level(now) - direct.level(now)).abs() < 1e-3);
    }
}
