//! Prints the explanations of `docs/scorer.md`: ten prompts in each language, their scores and the reasons.
//!
//! `cargo run --release -p router-core --example explanations`
use std::error::Error;
use std::io::Write;
use std::sync::Arc;

use router_core::chat::ChatRequest;
use router_core::task::{Classifier, LinearScorer, Signals};

const PROMPTS: [&str; 20] = [
    "Prove that the sum of two odd numbers is even.",
    "Translate this proof into Korean: the sum of two odd numbers is even.",
    "My loop skips every second item when I delete from the list. Why?",
    "Write a commit message for this.\n```\nfn add(a: u32, b: u32) -> u32 { a + b }\n```",
    "Last digit of 7^100?",
    "Who proved the four colour theorem?",
    "Three friends share a taxi for $42 and one pays twice as much as each of the others. What does each pay?",
    "Write a birthday poem for a maths teacher.",
    "Thanks, that helped a lot!",
    "Plan a four-day trip to Lisbon for five people under 900 euros, no flights after 8 pm.",
    "두 홀수의 합이 짝수임을 증명해 줘.",
    "다음 증명을 영어로 번역만 해줘: 두 홀수의 합은 짝수이다.",
    "리스트에서 지우면 원소를 하나씩 건너뛰는데 왜 그래?",
    "이 코드에 맞는 커밋 메시지 한 줄만 써줘.\n```\nfn add(a: u32, b: u32) -> u32 { a + b }\n```",
    "7의 100제곱의 일의 자리 숫자는?",
    "사색 정리를 증명한 사람은 누구야?",
    "셋이 택시비 42000원을 내는데 한 명이 나머지의 두 배를 낸다. 각자 얼마야?",
    "수학 선생님께 드릴 생일 축하 시를 써줘.",
    "고마워, 도움이 많이 됐어!",
    "다섯 명이 90만 원 이하로 부산에서 3박 4일을 보내는 일정을 조건에 맞게 짜줘.",
];

fn main() -> Result<(), Box<dyn Error>> {
    let classifier = Classifier::new(Arc::new(LinearScorer::shipped()?), Signals::default());
    let mut out = std::io::stdout().lock();
    for prompt in PROMPTS {
        let body =
            serde_json::json!({"messages": [{"role": "user", "content": prompt}]}).to_string();
        let request = ChatRequest::parse(body.as_bytes())?;
        let verdict = classifier.classify(&request, None);
        let score = verdict.score.value();
        writeln!(out, "**{}** -> {} ({score:.2})\n", prompt.replace('\n', " "), verdict.task)?;
        for reason in classifier.reasons(&request, 5) {
            writeln!(out, "- `{}` {:+.2}", reason.name.replace('`', "'"), reason.weight)?;
        }
        writeln!(out)?;
    }
    Ok(())
}
