//! Tests of the linear scorer: the shipped model, clear cases in both languages, gains and reasons.

use super::*;

fn score(text: &str) -> f32 {
    let body = serde_json::json!({"messages": [{"role": "user", "content": text}]}).to_string();
    let request = ChatRequest::parse(body.as_bytes()).unwrap();
    LinearScorer::shipped().unwrap().score(&request).value()
}

#[test]
fn the_shipped_model_loads_and_is_small() {
    let scorer = LinearScorer::shipped().unwrap();
    assert!(scorer.training_rows() > 50_000);
    assert!(SHIPPED.len() <= 1 << 20, "at most 1 MiB");
}

#[test]
fn clear_cases_of_both_languages() {
    for text in [
        "Prove that the square root of 2 is irrational.",
        "소수가 무한히 많음을 증명해 줘",
        "Write a Rust function that merges two sorted lists without allocating.",
        "연립방정식 2x+3y=12, x-y=1 을 풀어줘",
    ] {
        assert!(score(text) > 0.6, "{text}: {}", score(text));
    }
    for text in [
        "Thanks, have a nice day!",
        "고마워, 좋은 하루 보내",
        "Translate this to Korean: Where is the station?",
        "제주도 여행지 추천해줘",
    ] {
        assert!(score(text) < 0.4, "{text}: {}", score(text));
    }
}

fn gain(text: &str) -> f32 {
    let body = serde_json::json!({"messages": [{"role": "user", "content": text}]}).to_string();
    let request = ChatRequest::parse(body.as_bytes()).unwrap();
    LinearScorer::shipped().unwrap().assess(&request.messages()[0]).gain.value()
}

#[test]
fn what_has_to_be_worked_out_gains_more_in_both_languages() {
    for (more, less) in [
        (
            "Find the number of integers n with 1 <= n <= 500 such that n^2 + 3n + 7 is divisible by 11.",
            "What is the term for a word that means the opposite of another word?",
        ),
        (
            "1부터 500까지의 자연수 n 중에서 n^2+3n+7이 11의 배수가 되는 n의 개수를 구하시오.",
            "어떤 낱말과 뜻이 반대인 낱말을 가리키는 용어는 무엇인가?",
        ),
        (
            "Which is it?\nA) 12\nB) 15\nC) 18\nD) 21",
            "Which is it?\nA) red\nB) blue\nC) green\nD) pink",
        ),
        (
            "다음 중 알맞은 것은? ① 12개 ② 15개 ③ 18개 ④ 21개",
            "다음 중 알맞은 것은? ① 빨강 ② 파랑 ③ 초록 ④ 분홍",
        ),
    ] {
        assert!(gain(more) > gain(less) + 0.02, "{more}: {} {}", gain(more), gain(less));
    }
}

#[test]
fn a_gain_names_the_features_that_moved_it() {
    let body = r#"{"messages":[{"role":"user","content":"Compute 12 + 30 and 7 * 8."}]}"#;
    let request = ChatRequest::parse(body.as_bytes()).unwrap();
    let reasons = LinearScorer::shipped().unwrap().gain_reasons(&request, 9);
    let names: Vec<&str> = reasons.iter().map(|reason| reason.name.as_ref()).collect();
    assert!(names.contains(&"numbers") && names.contains(&"arithmetic operators"), "{names:?}");
    assert!(reasons.is_sorted_by(|a, b| a.weight.abs() >= b.weight.abs()));
}

#[test]
fn decomposed_hangul_scores_like_composed() {
    let loose = "\u{1106}\u{1175}\u{1107}\u{116e}\u{11ab}\u{1112}\u{1162} \u{110c}\u{116f}";
    assert!((score(loose) - score("미분해 줘")).abs() < 1e-6);
}

#[test]
fn reasons_name_words_of_the_request() {
    for (text, word) in [("Prove that 7 is prime.", "prove"), ("점화식을 풀어줘", "풀어줘")]
    {
        let body = serde_json::json!({"messages": [{"role": "user", "content": text}]}).to_string();
        let request = ChatRequest::parse(body.as_bytes()).unwrap();
        let reasons = LinearScorer::shipped().unwrap().reasons(&request, 6);
        assert!(reasons.iter().any(|reason| reason.name.contains(word)), "{reasons:?}");
        assert!(reasons.is_sorted_by(|a, b| a.weight.abs() >= b.weight.abs()));
    }
}
