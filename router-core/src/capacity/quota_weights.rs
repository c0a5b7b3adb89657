//! Learns how much prompt, cached prompt and cap count against a pay-as-you-go quota, from the remaining quota in responses.
//!
//! Azure documents that prompt and cap count in full. Measurements differ for some APIs and models: in the Responses API the
//! cap does not count, and cached tokens do. Between two answers the remaining tokens fall by what the requests
//! sent in between count, so each pair is one equation in the three weights. Least squares with a prior solve them: the
//! prior is the documented rule, and older equations fade.
//!
//! It does not track the remaining quota (`quota.rs`).

use std::time::Duration;

use tokio::time::Instant;

use crate::units::Tokens;

use super::reservation::Load;

/// Characters per token in Azure's estimate.
const CHARACTERS_PER_TOKEN: u64 = 4;

/// Azure's estimate of the answer if the request has no cap: its smallest default.
const MISSING_CAP: u64 = 16;

/// Weight of the documented rule, in observed tokens.
const PRIOR: f64 = 500.0;

/// Share of earlier equations that a new one keeps.
const KEPT: f64 = 0.99;

/// No weight is believed beyond this.
const MOST: f64 = 2.0;

/// Answers further apart than this are of different minutes of the quota.
const SAME_MINUTE: Duration = Duration::from_secs(60);

/// The parts of a request that may count, in tokens: prompt outside of the cache, prompt in the cache, cap.
///
/// **Source:** Microsoft, "Manage Azure OpenAI quota": the prompt is estimated by its characters.
pub(super) fn parts(load: &Load) -> [f64; 3] {
    let prompt = Tokens(load.characters.div_ceil(CHARACTERS_PER_TOKEN)).as_f64();
    let share = load.cached.as_f64() / load.prompt.as_f64().max(1.0);
    let cached = prompt * share.min(1.0);
    [prompt - cached, cached, load.cap.unwrap_or(Tokens(MISSING_CAP)).as_f64()]
}

/// Amounts sent when a request entered, itself included.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sent {
    parts: [f64; 3],
    /// Amounts that other replicas sent, as they counted them.
    elsewhere: f64,
}

impl Sent {
    /// Nothing yet.
    pub const NONE: Self = Self { parts: [0.0; 3], elsewhere: 0.0 };

    pub(super) fn add(&mut self, load: &Load) {
        for (sum, part) in self.parts.iter_mut().zip(parts(load)) {
            *sum += part;
        }
    }

    pub(super) fn add_elsewhere(&mut self, tokens: f64) {
        self.elsewhere += tokens;
    }

    fn since(&self, earlier: &Self) -> ([f64; 3], f64) {
        let mut parts = self.parts;
        for (part, before) in parts.iter_mut().zip(earlier.parts) {
            *part -= before;
        }
        (parts, self.elsewhere - earlier.elsewhere)
    }
}

/// Reported remainder, and the amounts sent when its request entered.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Anchor {
    sent: Sent,
    remaining: u64,
    at: Instant,
}

/// The weights of prompt, cached prompt and cap.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct QuotaWeights {
    weights: [f64; 3],
    anchor: Option<Anchor>,
    /// Sums of least squares: the products of the parts, and of the parts with what was counted.
    squares: [[f64; 3]; 3],
    moments: [f64; 3],
}

impl QuotaWeights {
    /// The documented rule: everything counts in full.
    pub(crate) const DOCUMENTED: Self =
        Self { weights: [1.0; 3], anchor: None, squares: [[0.0; 3]; 3], moments: [0.0; 3] };

    /// The weights of a token of the prompt, of its cached part and of the cap.
    pub(crate) fn get(&self) -> [f64; 3] {
        self.weights
    }

    /// The tokens that a request counts on arrival.
    pub(super) fn counted(&self, load: &Load) -> u64 {
        whole(dot(self.weights, parts(load)))
    }

    /// The tokens that the larger half of a request counts, of which services agree that it counts alone.
    pub(super) fn larger_half(&self, load: &Load) -> u64 {
        let [prompt, cached, cap] = parts(load);
        let [of_prompt, of_cached, of_cap] = self.weights.map(|weight| weight.min(1.0));
        whole((of_prompt * prompt + of_cached * cached).max(of_cap * cap))
    }

    /// Learns from a response that states the remaining tokens; `sent` is the total sent when its request entered.
    pub(super) fn learn(&mut self, now: Instant, sent: Sent, remaining: u64) {
        let Some(before) = self.anchor else {
            self.anchor = Some(Anchor { sent, remaining, at: now });
            return;
        };
        let (parts, elsewhere) = sent.since(&before.sent);
        let size: f64 = parts.iter().sum();
        if size <= 0.0 {
            // Answers overtake each other: this one knows no more than the last.
            return;
        }
        self.anchor = Some(Anchor { sent, remaining, at: now });
        let fell = before.remaining.checked_sub(remaining).map(|tokens| Tokens(tokens).as_f64());
        let counted = fell.map(|fell| fell - elsewhere).filter(|counted| *counted >= 0.0);
        let same_minute = now.saturating_duration_since(before.at) < SAME_MINUTE;
        // A use far above all that was sent belongs to other clients of the quota.
        let Some(counted) = counted.filter(|counted| same_minute && *counted <= MOST * size) else {
            return;
        };
        for (row, part) in self.squares.iter_mut().zip(parts) {
            for (square, other) in row.iter_mut().zip(parts) {
                *square = *square * KEPT + part * other / size;
            }
        }
        for (moment, part) in self.moments.iter_mut().zip(parts) {
            *moment = *moment * KEPT + part * counted / size;
        }
        self.weights = self.solved();
    }

    /// Least squares with the prior, by Gauss's elimination; the matrix is positive definite.
    fn solved(&self) -> [f64; 3] {
        let mut rows: Vec<[f64; 4]> = Vec::with_capacity(3);
        for (at, (row, moment)) in self.squares.iter().zip(self.moments).enumerate() {
            let [first, second, third] = *row;
            let mut equation = [first, second, third, moment + PRIOR];
            if let Some(diagonal) = equation.get_mut(at) {
                *diagonal += PRIOR;
            }
            for (earlier, pivot) in rows.iter().enumerate() {
                let pivot_value = pivot.get(earlier).copied().unwrap_or(1.0);
                let factor = equation.get(earlier).copied().unwrap_or(0.0) / pivot_value;
                equation.iter_mut().zip(pivot).for_each(|(value, other)| *value -= factor * other);
            }
            rows.push(equation);
        }
        let mut weights = [0.0; 3];
        for (at, row) in rows.iter().enumerate().rev() {
            let [first, second, third, right] = *row;
            let known = dot([first, second, third], weights);
            let diagonal = row.get(at).copied().unwrap_or(1.0);
            if let Some(weight) = weights.get_mut(at) {
                *weight = (right - known) / diagonal;
            }
        }
        weights.map(|weight| weight.clamp(0.0, MOST))
    }
}

fn dot(one: [f64; 3], other: [f64; 3]) -> f64 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float cast saturates, and no weight is below zero"
)]
fn whole(tokens: f64) -> u64 {
    tokens.round() as u64
}

#[cfg(test)]
mod tests {
    use azure_emulator::quota::{Arrival, Quota, QuotaSettings, Weights};
    use proptest::prelude::*;

    use super::*;

    fn load(characters: u64, cached: f64, cap: u64) -> Load {
        let prompt = Tokens(characters / 4);
        let cached = Tokens(whole(prompt.as_f64() * cached));
        Load { prompt, cached, characters, cap: Some(Tokens(cap)) }
    }

    fn arrival(load: &Load) -> Arrival {
        let Load { characters, cached, cap, .. } = *load;
        let max_tokens = cap.map(|cap| cap.0);
        Arrival { prompt_chars: characters, cached_chars: cached.0 * 4, max_tokens }
    }

    proptest! {
        /// Whatever counts at the deployment, after some requests the estimate is what it counts.
        #[test]
        fn the_weights_of_the_emulator_are_found(
            prompt in 0.5f64..1.5, cached in 0.0f64..1.0, cap in 0.0f64..1.0,
            requests in proptest::collection::vec((400u64..8_000, 0.0f64..0.9, 50u64..4_000), 150),
        ) {
            let start = Instant::now();
            let weights = Weights { prompt, cached, cap };
            let settings = QuotaSettings { weights, ..QuotaSettings::new(1_000_000, 50_000_000) };
            let mut theirs = Quota::new(settings, start);
            let (mut ours, mut sent) = (QuotaWeights::DOCUMENTED, Sent::default());
            let mut now = start;
            for &(characters, cached, cap) in &requests {
                now += Duration::from_millis(300);
                let load = load(characters, cached, cap);
                sent.add(&load);
                let left = theirs.arrive(now, arrival(&load)).unwrap();
                ours.learn(now, sent, left.remaining_tokens);
            }
            for &(characters, cached, cap) in requests.iter().take(20) {
                let load = load(characters, cached, cap);
                let (counted, found) = (theirs.estimate(arrival(&load)), ours.counted(&load));
                let wrong = Tokens(counted.abs_diff(found)).as_f64();
                let documented: f64 = parts(&load).iter().sum();
                prop_assert!(wrong <= 0.1 * documented, "{found} for {counted}, {:?}", ours.get());
            }
        }

        /// Nobody's headers bring a weight out of its range.
        #[test]
        fn weights_stay_in_their_range(
            said in proptest::collection::vec((0u64..1_000_000, 0u64..100_000, 0u64..100_000), 100),
        ) {
            let mut now = Instant::now();
            let (mut ours, mut sent) = (QuotaWeights::DOCUMENTED, Sent::default());
            for (remaining, characters, cap) in said {
                now += Duration::from_millis(10);
                sent.add(&load(characters, 0.3, cap));
                ours.learn(now, sent, remaining);
                prop_assert!(ours.get().iter().all(|weight| (0.0..=MOST).contains(weight)), "{:?}", ours.get());
            }
        }
    }

    #[test]
    fn a_new_rule_replaces_an_old_one_and_traffic_of_others_is_no_rule() {
        let mut now = Instant::now();
        let (mut ours, mut sent, mut remaining) =
            (QuotaWeights::DOCUMENTED, Sent::default(), 1_000_000_000);
        let mut teach = |ours: &mut QuotaWeights, cap_weight: f64, others: u64| {
            for number in 0..300u64 {
                now += Duration::from_millis(10);
                let load = load(2_000 + 40 * (number % 20), 0.0, 100 * (number % 10));
                sent.add(&load);
                let [prompt, cached, cap] = parts(&load);
                remaining -= whole(prompt + cached + cap_weight * cap) + others;
                ours.learn(now, sent, remaining);
            }
        };
        teach(&mut ours, 0.0, 0);
        assert!(ours.get()[2] < 0.1, "{:?}", ours.get());
        teach(&mut ours, 1.0, 0);
        assert!(ours.get()[2] > 0.9, "{:?}", ours.get());
        let before = ours.get();
        teach(&mut ours, 1.0, 50_000);
        let same = ours.get().iter().zip(before).all(|(one, other)| (one - other).abs() < 1e-9);
        assert!(same, "more than was sent is somebody else's");
    }
}
