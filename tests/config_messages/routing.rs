//! Messages about rules, choices and efforts.

use super::{SOUND, check, load, warnings};

/// Rules after the sound configuration.
fn ruled(rules: &str) -> String {
    format!("{SOUND}\n{rules}")
}

#[test]
fn faulty_rules_are_named_with_what_is_allowed() {
    let text = ruled(
        r#"
[rules.a]
when = { keys = ["web"], operations = ["embeddings"], turn_words = [" "], min_turn_chars = 9, max_turn_chars = 3 }
set = { task = "hard", role = "chat", effort = "huge", model = "gpt-9" }

[rules.b]
order = 3
when.header = { name = "authorization", value = "x", prefix = "y" }
when.instructions_hash = ["256:xyz"]

[rules.c]
order = 3
set.prefer = "cheap"
"#,
    );
    let expected = r"
a.toml: rules.a.order: missing; must be 1 to 10000; lower ones are tried first
a.toml: rules.a.when.keys: no key `web`; there are: none
a.toml: rules.a.when.operations: must be chat, responses, input_tokens or compact, found `embeddings`
a.toml: rules.a.when.turn_words: an entry is 1 to 256 bytes that are not all blank; found ` `
a.toml: rules.a.when.min_turn_chars: must be at most max_turn_chars, which is 3; found 9
a.toml: rules.a.set.role: must not be set together with task
a.toml: rules.a.set.model: no deployment serves `gpt-9`; there are: gpt-5.2
a.toml: rules.a.set.task: must be reasoning or chat, found `hard`
a.toml: rules.a.set.effort: must be one of none, minimal, low, medium, high, xhigh, max, found `huge`
a.toml: rules.b.when.header.name: carries credentials, which a configuration must not hold; use keys
a.toml: rules.b.when.header: must have exactly one of value, prefix and present = true
a.toml: rules.b.when.instructions_hash: must be a number of characters from 1 to 8192, a colon and 16 hexadecimal digits, as `router-server explain` prints them; found `256:xyz`
a.toml: rules.b.set: missing; must set at least one of task, role, model, effort and prefer
a.toml: rules.c.order: is also the order of rules.b: the first match counts
a.toml: rules.c.when: missing; must have at least one of keys, operations, header, tools, instructions_hash, instructions_words, turn_words, question_words, min_turn_chars, max_turn_chars, min_prompt_tokens and max_prompt_tokens
a.toml: rules.c.set.prefer: must be cost, fast or balanced, found `cheap`
";
    check(&[("a.toml", &text)], &[], expected);
}

#[test]
fn unreachable_and_overlapping_rules_are_warned_of() {
    let text = ruled(
        r#"
[rules.sums]
order = 1
when.turn_words = ["sum"]
set.task = "chat"

[rules.totals]
order = 2
when = { turn_words = ["the sum of"], max_turn_chars = 200 }
set.task = "reasoning"

[rules.short]
order = 3
when.max_turn_chars = 40
set.task = "reasoning"

[rules.long]
order = 4
when.min_turn_chars = 4_000
set.effort = "high"
"#,
    );
    let expected = [
        "rules.totals: is never used: rules.sums (order 1) matches all its requests",
        "rules.short: overlaps rules.sums, which takes precedence",
    ];
    assert_eq!(warnings(&text), expected);
}

#[test]
fn the_choice_and_ladders_of_effort_are_checked() {
    let roles = |reasoning: &str, routing: &str| {
        let chat = r#"chat = { models = ["gpt-5.2"] }"#;
        let (before, _) = SOUND.split_once("[roles]").unwrap();
        let reasoning = format!(r#"reasoning = {{ models = ["gpt-5.2"], effort = {reasoning} }}"#);
        format!("{before}\n[roles]\n{reasoning}\n{chat}\n[routing]\n{routing}\n")
    };
    for (effort, expected) in [
        ("7", r#": must be an effort in quotes or { from = "low", to = "high" }, found `7`"#),
        (
            r#"{ from = "low" }"#,
            ".to: missing; must be one of none, minimal, low, medium, high, xhigh, max",
        ),
        (
            r#"{ from = "high", to = "low" }"#,
            ".from: must be less than to, which is `low`; found `high`",
        ),
        (
            r#"{ from = "low", to = "most" }"#,
            ".to: must be one of none, minimal, low, medium, high, xhigh, max, found `most`",
        ),
        (
            r#"{ from = "low", to = "high", cuts = [0.4, 0.2] }"#,
            ".cuts: must be 2 ascending numbers from 0 to 1, between low, medium, high",
        ),
        (
            r#"{ from = "low", until = "high" }"#,
            ".until: unknown key; known here are from, to, cuts",
        ),
    ] {
        let faults = load(&[("a.toml", &roles(effort, ""))], &[]).unwrap_err();
        assert!(faults.contains(&format!("a.toml: roles.reasoning.effort{expected}")), "{faults}");
    }
    let faults =
        load(&[("a.toml", &roles(r#""low""#, "choose = \"luck\"\nanswer_value_usd = -1"))], &[]);
    let expected = "a.toml: routing.choose: must be type, benefit or value, found `luck`\n\
        a.toml: routing.answer_value_usd: must be at least 0, found -1";
    assert_eq!(faults.unwrap_err(), expected);
    let unused = warnings(&roles(r#"{ from = "low", to = "high" }"#, "benefit_threshold = 0.3"));
    assert_eq!(unused, ["routing.benefit_threshold: has no effect unless choose = \"benefit\""]);
}
