//! The traffic of the demo: calm, a burst that fills the provisioned deployment, a pause, another
//! burst, calm.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use indicatif::{ProgressBar, ProgressStyle};
use router_core::task::Task;

use super::caller::{Answer, Caller};
use super::prompts::Prompt;

/// Concurrent callers during a calm.
const CALM: usize = 4;
/// Long enough for the provisioned deployment to drain what a burst left in it.
const BREATH: Duration = Duration::from_millis(2_500);

/// One part of the traffic.
#[derive(Debug)]
struct Phase {
    name: &'static str,
    prompts: Vec<Prompt>,
    at_once: usize,
    then_rest: Duration,
}

/// Sends all of it; every answer, in the order in which they came.
pub(super) async fn send(url: &str, prompts: Vec<Prompt>) -> Vec<Answer> {
    let caller = Caller::new(url);
    let phases = phases(prompts);
    let total = phases.iter().map(|phase| phase.prompts.len()).sum::<usize>();
    let bar = progress(u64::try_from(total).unwrap_or(u64::MAX));
    let mut answers = Vec::with_capacity(total);
    for phase in phases {
        bar.set_message(phase.name);
        let asked = phase.prompts.iter().map(|prompt| caller.ask(prompt));
        let mut coming = stream::iter(asked).buffer_unordered(phase.at_once);
        while let Some(answer) = coming.next().await {
            bar.inc(1);
            answers.push(answer);
        }
        tokio::time::sleep(phase.then_rest).await;
    }
    bar.finish_and_clear();
    answers
}

/// The bursts repeat the questions of the calm phase, as small talk of other users.
fn phases(prompts: Vec<Prompt>) -> Vec<Phase> {
    let chat = |prompt: &&Prompt| prompt.task() == Task::Chat;
    let burst: Vec<Prompt> = prompts.iter().filter(chat).cloned().collect();
    let second: Vec<Prompt> = burst.iter().rev().take(24).cloned().collect();
    let after: Vec<Prompt> = prompts.iter().step_by(5).cloned().collect();
    let phase = |name, prompts: Vec<Prompt>, at_once, then_rest| Phase {
        name,
        prompts,
        at_once,
        then_rest,
    };
    let (burst_size, second_size) = (burst.len(), second.len());
    vec![
        phase("calm: all prompts, four callers", mixed(prompts), CALM, Duration::ZERO),
        phase("burst: forty callers at once", burst, burst_size.max(1), BREATH),
        phase("burst: twenty-four callers at once", second, second_size.max(1), BREATH),
        phase("calm again", after, CALM, Duration::ZERO),
    ]
}

/// Tasks and languages in turn instead of one after the other.
fn mixed(prompts: Vec<Prompt>) -> Vec<Prompt> {
    let stride = 17; // shares no divisor with the number of prompts, so that each is met once
    let count = prompts.len();
    let at = (0..count).map(|place| place * stride % count.max(1));
    let order: Vec<Prompt> = at.filter_map(|place| prompts.get(place).cloned()).collect();
    if count.is_multiple_of(stride) { prompts } else { order }
}

fn progress(total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("  {bar:32} {pos}/{len}  {msg}");
    ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::prompts;
    use super::*;

    #[test]
    fn the_calm_phase_asks_every_prompt_once() {
        let count = prompts::all().len();
        let mixed = mixed(prompts::all());
        let texts: HashSet<&str> = mixed.iter().map(|prompt| &*prompt.text).collect();
        assert_eq!((mixed.len(), texts.len()), (count, count));
    }
}
