//! Generated traces, for loads that the published trace does not contain.
//!
//! Each has about five requests per second and depends only on the seed.

use std::time::Duration;

use azure_emulator::dice::{Dice, Lengths};

use crate::simulation_args::Generated;

use super::trace::Arrival;

/// Default length of a trace.
const LENGTH_SECONDS: f64 = 3_600.0;

/// Mean number of requests per second.
const RATE: f64 = 5.0;

/// A bursty trace turns between calm and burst in this rhythm: calm seconds, burst seconds.
const RHYTHM: (f64, f64) = (45.0, 15.0);

/// Ratio of the request rate in a burst to that in a calm.
const BURST: f64 = 5.0;

/// A trace of this kind.
pub fn generate(kind: Generated, seed: u64) -> Vec<Arrival> {
    let mut dice = Dice::new(seed, b"generated trace");
    let mut arrivals = Vec::new();
    let mut at = 0.0;
    // Thinning: draw at the highest rate and keep each with the share that its moment has of it.
    let highest = RATE * highest(kind);
    while at < length(kind) {
        at -= (1.0 - dice.share()).ln() / highest;
        if dice.share() * highest < RATE * rate(kind, at) {
            let (prompt, output) = lengths(kind);
            arrivals.push(Arrival {
                at: Duration::from_secs_f64(at),
                prompt: prompt.draw(&mut dice).min(16_000),
                cached: 0,
                estimate: None,
                output: output.draw(&mut dice).min(4_000),
                cap: None,
                streamed: None,
                task: None,
            });
        }
    }
    let first = arrivals.first().map_or(Duration::ZERO, |arrival| arrival.at);
    for arrival in &mut arrivals {
        arrival.at -= first;
    }
    arrivals
}

/// The rate at a moment, 1 being the mean.
fn rate(kind: Generated, at: f64) -> f64 {
    match kind {
        Generated::Bursty => {
            let (calm, burst) = RHYTHM;
            let mean = BURST.mul_add(burst, calm) / (calm + burst);
            if at % (calm + burst) < calm { 1.0 / mean } else { BURST / mean }
        }
        Generated::Diurnal => 1.0 - 0.7 * (at / LENGTH_SECONDS * std::f64::consts::TAU).cos(),
        Generated::LongOutput | Generated::Steady => 1.0,
    }
}

/// Length of a trace, in seconds.
fn length(kind: Generated) -> f64 {
    match kind {
        Generated::Bursty | Generated::Diurnal | Generated::LongOutput => LENGTH_SECONDS,
        Generated::Steady => 600.0,
    }
}

fn highest(kind: Generated) -> f64 {
    match kind {
        Generated::Bursty => rate(kind, RHYTHM.0),
        Generated::Diurnal => 1.7,
        Generated::LongOutput | Generated::Steady => 1.0,
    }
}

/// The lengths of prompt and answer: log-normal, the usual ones as in the published trace.
fn lengths(kind: Generated) -> (Lengths, Lengths) {
    let prompt = Lengths::Skewed { median: 800, spread: 0.9 };
    let output = match kind {
        Generated::Bursty | Generated::Diurnal | Generated::Steady => {
            Lengths::Skewed { median: 150, spread: 0.8 }
        }
        Generated::LongOutput => Lengths::Skewed { median: 1_500, spread: 0.6 },
    };
    (prompt, output)
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn a_seed_makes_one_trace() {
        for kind in Generated::value_variants() {
            let arrivals = generate(*kind, 7);
            assert_eq!(arrivals, generate(*kind, 7), "{kind:?}");
            assert_ne!(arrivals, generate(*kind, 8), "{kind:?}");
            assert!(arrivals.is_sorted_by_key(|arrival| arrival.at), "{kind:?}");
            let mean = RATE * length(*kind);
            let share = f64::from(u32::try_from(arrivals.len()).unwrap()) / mean;
            assert!((0.8..1.2).contains(&share), "{kind:?}: {}", arrivals.len());
        }
    }

    #[test]
    fn a_bursty_trace_has_bursts() {
        let arrivals = generate(Generated::Bursty, 1);
        let phase = |arrival: &&Arrival| arrival.at.as_secs_f64() % 60.0 >= 45.0;
        let share = arrivals.iter().filter(phase).count() * 100 / arrivals.len();
        // A quarter of the time at five times the rate: 75 of 120 parts.
        assert!((58..67).contains(&share), "{share} %");
    }
}
