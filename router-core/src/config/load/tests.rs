//! Layers of values in random trees and texts.

use proptest::prelude::*;

use super::super::program_tables::Unchecked;
use super::*;

const SHIPPED: &str = include_str!("../../../models.toml");

/// Keys that mean something, so that random trees reach the checks behind the first refusal.
const KEYS: &[&str] = &[
    "server",
    "listen",
    "routing",
    "threshold",
    "residency",
    "roles",
    "reasoning",
    "chat",
    "models",
    "effort",
    "aliases",
    "auto",
    "endpoints",
    "seoul",
    "url",
    "api",
    "api_version",
    "api_key",
    "env",
    "file",
    "anonymous",
    "deployments",
    "ptu",
    "endpoint",
    "model",
    "billing",
    "area",
    "input_tpm_per_ptu",
    "window_ms",
    "o1",
    "efforts",
    "usd_per_million_tokens",
    "input",
    "output",
    "long_context",
    "retires",
    "limits",
    "deadline_ms",
    "$__toml_private_datetime",
    "",
    "한국",
];
const WORDS: &[&str] = &[
    "",
    "seoul",
    "o1",
    "gpt-5.2",
    "auto",
    "chat",
    "azure",
    "openai",
    "provisioned",
    "pay_as_you_go",
    "global",
    "region:koreacentral",
    "https://api.openai.com/v1",
    "http://[::1",
    "2026-02-29",
    "deployment:seoul",
    "low",
    "열쇠",
];

fn value() -> impl Strategy<Value = Value> {
    let word = proptest::sample::select(WORDS).prop_map(Value::from);
    let leaf = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        word,
        ".{0,8}".prop_map(|text| Value::from(text.as_str())),
    ];
    leaf.prop_recursive(5, 64, 6, |inner| {
        prop_oneof![
            1 => proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            4 => table(inner).prop_map(Value::from),
        ]
    })
}

fn table(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Dict> {
    let key = prop_oneof![
        9 => proptest::sample::select(KEYS).prop_map(str::to_owned),
        1 => ".{0,6}",
    ];
    proptest::collection::btree_map(key, inner, 0..8)
}

fn read(values: Dict) -> Done<Unchecked> {
    let mut read = Read::default();
    read.text(SHIPPED, &Origin::Shipped);
    read.merge(Metadata::named(TEXT_NAME), values);
    read.finish()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn no_tree_of_values_panics_and_each_refusal_says_why(values in table(value())) {
        let today = Day::try_from("2026-11-23").unwrap();
        if let Err(ConfigFaults(faults)) = read(values).check(today) {
            prop_assert!(!faults.is_empty());
            for fault in faults {
                prop_assert!(!fault.problem.is_empty() && !fault.to_string().contains('\n'));
            }
        }
    }

    #[test]
    fn no_text_panics(text in ".{0,200}", name in "[A-Z_]{0,20}", value in ".{0,40}") {
        let mut read = Read::default();
        read.text(&text, &Origin::Unnamed);
        read.environment(&[(format!("ROUTER__{name}"), value)]);
        let faulty = read.finish::<Unchecked>().check(Day::try_from("2026-11-23").unwrap()).is_err();
        prop_assert!(faulty);
    }
}

#[test]
fn lines_and_columns_count_letters() {
    let mut read = Read::default();
    read.text("# 한국어\nx = \"한국\" y\n", &Origin::Unnamed);
    let problem = read.faults.first().map(|fault| fault.problem.clone()).unwrap();
    assert!(problem.starts_with("line 2, column 10: "), "{problem}");
}

#[test]
fn reading_stops_at_a_hundred_faults() {
    let unknown = (0..1_000).map(|number| (format!("key{number}"), Value::from(1)));
    assert_eq!(read(unknown.collect()).faults.len(), MOST_FAULTS);
}
