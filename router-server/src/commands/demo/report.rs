//! The report of the demo: where requests went and why, what callers saw, what it cost.

use std::time::Duration;

use router_core::chat::Usage;
use router_core::deployment::Catalog;
use router_core::deployment::pricing;
use router_core::task::Task;
use router_core::units::{Tokens, Usd};

use crate::console;
use crate::console::Paint;
use crate::console::Tone;

use super::caller::Answer;
use super::prompts::Language;
use super::stage::{Cast, Seen};

/// A month, for what something costs.
const MONTH: Duration = Duration::from_secs(30 * 24 * 3_600);

/// Inputs of the table besides the answers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown<'s> {
    /// Models and deployments of the demo.
    pub(super) cast: Cast,
    /// The deployments.
    pub(super) catalog: &'s Catalog,
    /// Counts of the provisioned deployment.
    pub(super) seen: Seen,
    /// Duration of the traffic.
    pub(super) lasted: Duration,
    /// The colours.
    pub(super) paint: Paint,
}

impl Shown<'_> {
    fn heading(&self, text: &str) -> String {
        format!("\n{}", self.paint.tone(Tone::Strong, text))
    }
}

/// The table.
pub(super) fn text(answers: &[Answer], shown: &Shown<'_>) -> String {
    [
        where_they_went(answers, shown),
        tasks(answers, shown),
        samples(answers, shown),
        callers_view(answers, shown),
        cost(answers, shown),
        added(answers, shown),
    ]
    .join("\n")
}

/// Next steps for the reader.
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
    AskedAgain,
    AfterFallback,
    Foreseen,
    Unanswered,
}

impl Way {
    const ALL: [Self; 6] = [
        Self::Reasoning,
        Self::Provisioned,
        Self::AskedAgain,
        Self::AfterFallback,
        Self::Foreseen,
        Self::Unanswered,
    ];

    fn of(answer: &Answer, cast: Cast) -> Self {
        let attempts = answer.header("x-router-attempts").and_then(|count| count.parse().ok());
        let once = attempts.unwrap_or(1_u32) < 2;
        match (answer.status, answer.header("x-router-model"), answer.header("x-router-billing")) {
            (200, Some(model), _) if model == cast.reasoning => Self::Reasoning,
            (200, _, Some("provisioned")) if once => Self::Provisioned,
            (200, _, Some("provisioned")) => Self::AskedAgain,
            (200, _, _) if once => Self::Foreseen,
            (200, _, _) => Self::AfterFallback,
            _ => Self::Unanswered,
        }
    }

    fn words(self, cast: Cast) -> (String, &'static str) {
        let by_token = |model: &str| format!("{model}, pay-as-you-go");
        match self {
            Self::Reasoning => (by_token(cast.reasoning), "scored as reasoning"),
            Self::Provisioned => {
                (format!("{}, provisioned", cast.chat), "scored as chat; the PTU had capacity")
            }
            Self::AskedAgain => (
                format!("{}, provisioned", cast.chat),
                "chat; the PTU returned 429: waited and retried there",
            ),
            Self::AfterFallback => {
                (by_token(cast.chat), "chat; the PTU returned 429: fell back in the same request")
            }
            Self::Foreseen => {
                (by_token(cast.chat), "chat; the PTU was known to be full: not tried")
            }
            Self::Unanswered => ("nowhere".to_owned(), "no 200 came"),
        }
    }
}

fn where_they_went(answers: &[Answer], shown: &Shown<'_>) -> String {
    let heading = ["requests", "to", "why", "median"].map(str::to_owned).to_vec();
    let mut rows = vec![heading];
    for way in Way::ALL {
        let on_it = |answer: &&Answer| Way::of(answer, shown.cast) == way;
        let taken: Vec<&Answer> = answers.iter().filter(on_it).collect();
        if !taken.is_empty() {
            let (place, why) = way.words(shown.cast);
            let took = middle(taken.iter().map(|answer| answer.took).collect());
            let count = taken.len().to_string();
            rows.push(vec![count, place, why.to_owned(), format!("{} ms", took.as_millis())]);
        }
    }
    let heading = shown.heading(&format!("Where {} requests went, and why", answers.len()));
    format!("{heading}\n{}", indented(&rows))
}

/// A table, moved in by two.
fn indented(rows: &[Vec<String>]) -> String {
    let table = console::table(rows, Paint::PLAIN);
    table.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

fn tasks(answers: &[Answer], shown: &Shown<'_>) -> String {
    let Cast { chat, reasoning, .. } = shown.cast;
    let mut rows = vec![["", reasoning, chat].map(str::to_owned).to_vec()];
    for task in Task::ALL {
        for language in Language::ALL {
            let served = |model| {
                let by = |answer: &&Answer| {
                    answer.expected == task
                        && answer.language == language
                        && answer.header("x-router-model") == Some(model)
                };
                answers.iter().filter(by).count().to_string()
            };
            let label = format!("{} in {}", task.as_str(), language.as_str());
            rows.push(vec![label, served(reasoning), served(chat)]);
        }
    }
    format!("{}\n{}", shown.heading("Which model served which task"), indented(&rows))
}

/// One answer of each task and language. The prompt stands last: Korean letters are wider than others.
fn samples(answers: &[Answer], shown: &Shown<'_>) -> String {
    let mut rows = vec![["score", "model", "deployment", "prompt"].map(str::to_owned).to_vec()];
    for task in Task::ALL {
        for language in Language::ALL {
            let alike = |answer: &&Answer| answer.expected == task && answer.language == language;
            if let Some(answer) = answers.iter().find(alike) {
                let header = |name| answer.header(name).unwrap_or("-").to_owned();
                rows.push(vec![
                    header("x-router-score"),
                    header("x-router-model"),
                    header("x-router-deployment"),
                    answer.prompt.clone(),
                ]);
            }
        }
    }
    format!("{}\n{}", shown.heading("For example"), indented(&rows))
}

fn callers_view(answers: &[Answer], shown: &Shown<'_>) -> String {
    let with = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    let on = |way: Way| answers.iter().filter(|answer| Way::of(answer, shown.cast) == way).count();
    let other = answers.len() - with(200) - with(429);
    format!(
        "{}\n  \
         429s of the provisioned deployment   {:>4} of {} requests sent to it\n  \
           answered nevertheless              {:>4} by another deployment, {} there after the wait\n  \
         known to be full, so not sent there  {:>4}\n  \
         429s that callers saw                {:>4}\n  \
         other failures that callers saw      {other:>4}",
        shown.heading("What was full, and what callers saw of it"),
        shown.seen.throttled,
        shown.seen.requests,
        on(Way::AfterFallback),
        on(Way::AskedAgain),
        on(Way::Foreseen),
        with(429)
    )
}

/// Cost of reasoning answers and of chat answers.
#[derive(Debug, Clone, Copy, Default)]
struct Bill {
    reasoning: Usd,
    chat: Usd,
}

impl Bill {
    fn add(&mut self, reasoned: bool, cost: Usd) {
        if reasoned { self.reasoning += cost } else { self.chat += cost }
    }

    /// A row: what each task cost, their sum, and a month of it.
    fn row(self, label: String, lasted: Duration) -> Vec<String> {
        let sum = self.reasoning + self.chat;
        let months = MONTH.as_secs_f64() / lasted.as_secs_f64().max(1.0);
        let dollars = |cost: Usd| format!("{:.4}", cost.as_f64());
        let month = format!("{:.0}", sum.as_f64() * months);
        vec![label, dollars(self.reasoning), dollars(self.chat), dollars(sum), month]
    }
}

/// Cost of the answers, and of the same answers elsewhere.
fn cost(answers: &[Answer], shown: &Shown<'_>) -> String {
    let (cast, catalog) = (shown.cast, shown.catalog);
    let (mut ours, mut all_reasoning, mut all_chat) =
        (Bill::default(), Bill::default(), Bill::default());
    for answer in answers {
        let Some(usage) = answer.usage else { continue };
        let reasoned = Way::of(answer, cast) == Way::Reasoning;
        let served = answer.header("x-router-deployment").and_then(|name| catalog.deployment(name));
        let cost = served.and_then(|found| pricing::marginal_cost(found, &usage));
        ours.add(reasoned, cost.unwrap_or_default());
        all_reasoning.add(reasoned, elsewhere(catalog, cast.reasoning_payg, &usage));
        // Without reasoning no hidden tokens are billed.
        let spoken = usage.completion.saturating_sub(usage.reasoning);
        let plain = Usage { completion: spoken, reasoning: Tokens::ZERO, ..usage };
        all_chat.add(reasoned, elsewhere(catalog, cast.chat_payg, &plain));
    }
    let Cast { chat, reasoning, .. } = cast;
    let heading = ["", "reasoning", "chat", "sum", "a month at this rate"];
    let rows = [
        heading.map(str::to_owned).to_vec(),
        ours.row("as routed".to_owned(), shown.lasted),
        all_reasoning.row(format!("all on {reasoning}, pay-as-you-go"), shown.lasted),
        all_chat.row(format!("all on {chat}, pay-as-you-go"), shown.lasted),
    ];
    let count = u32::try_from(answers.len()).map_or(0.0, f64::from);
    let requests = count * 86_400.0 / shown.lasted.as_secs_f64().max(1.0);
    format!(
        "{}\n{}\n  \
         The same words at list prices; this rate is {requests:.0} requests a day. {reasoning} would think about the chat too,\n  \
         which is left out; {chat} would not have thought at all. The provisioned deployment is paid for by the hour: what it\n  \
         serves costs nothing more.",
        shown.heading("What it cost by the token, in US dollars"),
        indented(&rows)
    )
}

fn elsewhere(catalog: &Catalog, deployment: &str, usage: &Usage) -> Usd {
    let found = catalog.deployment(deployment);
    found.and_then(|found| pricing::pay_as_you_go_cost(found, usage)).unwrap_or_default()
}

fn added(answers: &[Answer], shown: &Shown<'_>) -> String {
    let mut times: Vec<u64> = answers.iter().filter_map(Answer::overhead_us).collect();
    times.sort_unstable();
    format!(
        "{}\n  \
         p50 {} us, p95 {} us (scoring, deciding, headers, accounting; failed attempts not counted)",
        shown.heading("Time that the router added to a request"),
        quantile(&times, 50),
        quantile(&times, 95)
    )
}

/// The smallest value that `percent` of a hundred are not above; zero if there is none.
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
