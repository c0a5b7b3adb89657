//! The quality that the model card states, by the program itself, on data that is not part of this repository.
#![cfg(feature = "lab")]

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

#[test]
#[expect(clippy::disallowed_methods, reason = "where the data lies is said by the environment")]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn the_shipped_model_is_as_good_as_its_card_says() {
    let Ok(folder) = std::env::var("ROUTER_DATA_DIR") else {
        eprintln!("skipped: ROUTER_DATA_DIR is not set, so there is no dev set to measure on");
        return;
    };
    let rows = PathBuf::from(folder).join("task/dev.jsonl");
    let program = Command::new(env!("CARGO_BIN_EXE_router-server"))
        .args(["evaluate", "--json", "--data"])
        .arg(rows)
        .output()
        .unwrap();
    assert!(program.status.success(), "{}", String::from_utf8_lossy(&program.stderr));
    let found: Value = serde_json::from_slice(&program.stdout).unwrap();
    let figure = |slice: &Value, name: &str| slice[name].as_f64().unwrap();
    assert!(figure(&found["overall"], "auc") > 0.985, "{found}");
    assert!(figure(&found["overall"], "ece") < 0.03, "{found}");
    assert!(figure(&found["by_slice"]["hard"], "auc") > 0.97, "{found}");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "where the data lies is said by the environment")]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn the_text_around_a_question_hardly_moves_its_verdict() {
    let Ok(folder) = std::env::var("ROUTER_DATA_DIR") else {
        eprintln!("skipped: ROUTER_DATA_DIR is not set, so there are no wrapped questions");
        return;
    };
    let program = Command::new(env!("CARGO_BIN_EXE_router-server"))
        .args(["evaluate", "--wrappers"])
        .arg(PathBuf::from(folder).join("wrappers_dev.jsonl"))
        .output()
        .unwrap();
    assert!(program.status.success(), "{}", String::from_utf8_lossy(&program.stderr));
    let report = String::from_utf8(program.stdout).unwrap();
    // family, rows, AUC, accuracy, chat judged reasoning, flips, shift
    let columns = |line: &str| -> Vec<Option<f64>> {
        let numbers = line.get(28..).unwrap_or_default().split_whitespace();
        numbers.map(|number| number.parse().ok()).collect()
    };
    let (families, all) = report.trim_end().rsplit_once('\n').unwrap();
    let all = columns(all);
    assert!(all[1].unwrap() > 0.97 && all[4].unwrap() < 0.05, "{report}");
    for family in families.lines().skip(1) {
        assert!(columns(family)[1].is_none_or(|auc| auc > 0.92), "{report}");
    }
    let helpers = families.lines().find(|line| line.starts_with("helper_title")).unwrap();
    assert!(columns(helpers)[3].unwrap() < 0.06, "{report}");
}
