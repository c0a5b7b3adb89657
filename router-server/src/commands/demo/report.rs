//! What the demo showed: where requests went and why, what callers saw, what it cost.

use std::time::Duration;

use router_core::chat::Usage;
use router_core::deployment::Catalog;
use router_core::deployment::pricing;
use router_core::task::Task;
use router_core::units::{Tokens, Usd};

use super::caller::Answer;
use super::prompts::Language;
use super::stage::Seen;

/// The table.
pub(super) fn text(answers: &[Answer], catalog: &Catalog, seen: Seen) -> String {
    [
        where_they_went(answers),
        tasks(answers),
        samples(answers),
        callers_view(answers, seen),
        cost(answers, catalog),
        added(answers),
    ]
    .join("\n")
}

/// How to go on by hand.
pub(super) fn farewell(url: &str) -> String {
    let post = format!("curl -i {url}/v1/chat/completions -H 'content-type: application/json' -d");
    format!(
        "\nThe dashboard is at {url}/. Try it yourself (Ctrl-C ends):\n\n\
         {post} '{{\"model\":\"auto\",\"messages\":[{{\"role\":\"user\",\"content\":\"안녕하세요! 점심 메뉴 추천해 줘\"}}]}}'\n\n\
         {post} '{{\"model\":\"auto\",\"stream\":true,\"messages\":[{{\"role\":\"user\",\"content\":\"Prove that there are infinitely many primes\"}}]}}'\n\n\
         curl {url}/v1/route -H 'content-type: application/json' -d \
         '{{\"model\":\"auto\",\"messages\":[{{\"role\":\"user\",\"content\":\"이 수열의 일반항을 증명해 줘\"}}]}}'\n"
    )
}

/// One way that requests took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Reasoning,
    Provisioned,
    AfterFallback,
    KnownFull,
    Unanswered,
}

impl Way {
    const ALL: [Self; 5] = [
        Self::Reasoning,
        Self::Provisioned,
        Self::AfterFallback,
        Self::KnownFull,
        Self::Unanswered,
    ];

    fn of(answer: &Answer) -> Self {
        let fallback = answer.header("x-router-fallback");
        match (answer.status, answer.header("x-router-model"), answer.header("x-router-billing")) {
            (200, Some("o1"), _) => Self::Reasoning,
            (200, _, Some("provisioned")) => Self::Provisioned,
            (200, _, _) if fallback == Some("cooling") => Self::KnownFull,
            (200, _, _) => Self::AfterFallback,
            _ => Self::Unanswered,
        }
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Reasoning => ("o1, pay-as-you-go", "scored as reasoning"),
            Self::Provisioned => ("gpt-4o, provisioned", "scored as chat, and there was room"),
            Self::AfterFallback => {
                ("gpt-4o, pay-as-you-go", "chat; the PTU said 429, answered in the same request")
            }
            Self::KnownFull => {
                ("gpt-4o, pay-as-you-go", "chat; the PTU had asked to wait, so it was not tried")
            }
            Self::Unanswered => ("nowhere", "no 200 came"),
        }
    }
}

fn where_they_went(answers: &[Answer]) -> String {
    let mut lines = vec![format!("\nWhere {} requests went, and why", answers.len())];
    for way in Way::ALL {
        let taken: Vec<&Answer> = answers.iter().filter(|answer| Way::of(answer) == way).collect();
        if !taken.is_empty() {
            let (place, why) = way.words();
            let took = middle(taken.iter().map(|answer| answer.took).collect());
            lines.push(format!(
                "  {:>4}  {place:<23}{why:<57}{:>5} ms",
                taken.len(),
                took.as_millis()
            ));
        }
    }
    lines.join("\n")
}

fn tasks(answers: &[Answer]) -> String {
    let mut lines = vec!["\nWhich model served which task".to_owned()];
    lines.push(format!("  {:<24}{:>8}{:>10}", "", "o1", "gpt-4o"));
    for task in Task::ALL {
        for language in Language::ALL {
            let served = |model| {
                let by = |answer: &&Answer| {
                    answer.expected == task
                        && answer.language == language
                        && answer.header("x-router-model") == Some(model)
                };
                answers.iter().filter(by).count()
            };
            let label = format!("{} in {}", task.as_str(), language.as_str());
            lines.push(format!("  {label:<24}{:>8}{:>10}", served("o1"), served("gpt-4o")));
        }
    }
    lines.join("\n")
}

/// One answer of each task and language. The prompt stands last: Korean letters are wider than others.
fn samples(answers: &[Answer]) -> String {
    let mut lines = vec!["\nFor example".to_owned()];
    for task in Task::ALL {
        for language in Language::ALL {
            let alike = |answer: &&Answer| answer.expected == task && answer.language == language;
            if let Some(answer) = answers.iter().find(alike) {
                lines.push(format!(
                    "  score {:<7}{:<8}{:<13}{}",
                    answer.header("x-router-score").unwrap_or("-"),
                    answer.header("x-router-model").unwrap_or("-"),
                    answer.header("x-router-deployment").unwrap_or("-"),
                    answer.prompt
                ));
            }
        }
    }
    lines.join("\n")
}

fn callers_view(answers: &[Answer], seen: Seen) -> String {
    let with = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    let fallbacks = answers.iter().filter(|answer| Way::of(answer) == Way::AfterFallback).count();
    let other = answers.len() - with(200) - with(429);
    format!(
        "\nWhat was full, and who noticed\n  \
         429s of the provisioned deployment   {:>4} of {} requests that reached it\n  \
         fallbacks within the request         {fallbacks:>4}\n  \
         429s that callers saw                {:>4}\n  \
         other failures that callers saw      {other:>4}",
        seen.throttled,
        seen.requests,
        with(429)
    )
}

/// What answers cost: those of reasoning, and those of chat.
#[derive(Debug, Clone, Copy, Default)]
struct Bill {
    reasoning: Usd,
    chat: Usd,
}

impl Bill {
    fn add(&mut self, served_by_o1: bool, cost: Usd) {
        if served_by_o1 { self.reasoning += cost } else { self.chat += cost }
    }

    fn line(self, label: &str) -> String {
        let columns = [self.reasoning, self.chat, self.reasoning + self.chat];
        let [reasoning, chat, sum] = columns.map(|cost| format!("{:.4}", cost.as_f64()));
        format!("  {label:<36}{reasoning:>10}{chat:>10}{sum:>10}")
    }
}

/// What the answers cost, and what they would have cost elsewhere.
fn cost(answers: &[Answer], catalog: &Catalog) -> String {
    let (mut ours, mut o1, mut gpt_4o) = (Bill::default(), Bill::default(), Bill::default());
    for answer in answers {
        let Some(usage) = answer.usage else { continue };
        let reasoned = Way::of(answer) == Way::Reasoning;
        let served = answer.header("x-router-deployment").and_then(|name| catalog.deployment(name));
        let cost = served.and_then(|found| pricing::marginal_cost(found, &usage));
        ours.add(reasoned, cost.unwrap_or_default());
        o1.add(reasoned, elsewhere(catalog, "o1_payg", &usage));
        // A model without hidden reasoning is not billed for any.
        let spoken = usage.completion.saturating_sub(usage.reasoning);
        let plain = Usage { completion: spoken, reasoning: Tokens::ZERO, ..usage };
        gpt_4o.add(reasoned, elsewhere(catalog, "gpt_4o_payg", &plain));
    }
    [
        format!("\nWhat it cost by the token, in US dollars{:>9}{:>10}{:>10}", "to o1", "chat", "sum"),
        ours.line("as routed"),
        o1.line("all on o1, pay-as-you-go"),
        gpt_4o.line("all on gpt-4o, pay-as-you-go"),
        "  (the same words at list prices. o1 would think about the chat too, which is left out; gpt-4o would not have\n  \
         thought at all. The provisioned deployment is paid by the hour: what it serves costs nothing more.)"
            .to_owned(),
    ]
    .join("\n")
}

fn elsewhere(catalog: &Catalog, deployment: &str, usage: &Usage) -> Usd {
    let found = catalog.deployment(deployment);
    found.and_then(|found| pricing::pay_as_you_go_cost(found, usage)).unwrap_or_default()
}

fn added(answers: &[Answer]) -> String {
    let mut times: Vec<u64> = answers.iter().filter_map(Answer::overhead_us).collect();
    times.sort_unstable();
    format!(
        "\nWhat the router itself added to a request\n  \
         p50 {} us, p99 {} us (scoring, deciding, headers, accounting; failed attempts not counted)",
        quantile(&times, 50),
        quantile(&times, 99)
    )
}

/// The smallest value that `percent` of a hundred are not above; zero where there is none.
fn quantile(sorted: &[u64], percent: usize) -> u64 {
    let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(place).copied().unwrap_or_default()
}

fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!((quantile(&hundred, 50), quantile(&hundred, 99)), (50, 99));
        assert_eq!((quantile(&[7], 50), quantile(&[7], 99), quantile(&[], 99)), (7, 7, 0));
    }
}
