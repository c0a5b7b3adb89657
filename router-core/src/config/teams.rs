//! The tables `[teams.NAME]` -> budgets that several keys share, and which key belongs to which team.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ledger::Allowance;
use crate::ledger::Payer;
use crate::ledger::Team;
use crate::units::KeyName;

use super::keys::{MOST, dollars, nested_budgets};
use super::raw;
use super::table::{Table, listed, quoted};

/// The teams by their names.
pub(super) type Teams = BTreeMap<String, Arc<Team>>;

/// Checks `[teams]`.
pub(super) fn check(raw: &BTreeMap<String, raw::Team>, table: &Table<'_>) -> Teams {
    let mut teams = Teams::new();
    for (name, team) in raw {
        let own = table.sub(name);
        let allowance = Allowance {
            payer: Payer::Team,
            tokens_per_minute: own.whole("tokens_per_minute", team.tokens_per_minute, 1..=MOST),
            daily_budget: dollars("daily_budget_usd", team.daily_budget_usd, &own),
            monthly_budget: dollars("monthly_budget_usd", team.monthly_budget_usd, &own),
            ..Allowance::default()
        };
        nested_budgets(&allowance, &own);
        // The account's name is longer than the team's.
        match KeyName::try_from(name.as_str()) {
            Ok(known) if name.len() <= MOST_LETTERS => {
                teams.insert(name.clone(), Arc::new(Team::new(known, allowance)));
            }
            Ok(_) | Err(_) => own.fault_here("a name is 1 to 100 of a-z, 0-9 and _"),
        }
    }
    teams
}

const MOST_LETTERS: usize = 100;

/// The team of a key.
pub(super) fn of_key(written: Option<&str>, teams: &Teams, table: &Table<'_>) -> Option<Arc<Team>> {
    let name = written?;
    let team = teams.get(name).cloned();
    if team.is_none() {
        table.fault(
            "team",
            format!(
                "no table [teams.NAME] for {}; there are: {}",
                quoted(name),
                listed(teams.keys())
            ),
        );
    }
    team
}

/// The most tags of a key, and the letters of each.
const MOST_TAGS: usize = 16;
const LONGEST_TAG: usize = 64;

/// The tags of a key.
pub(super) fn tags(written: Option<&[String]>, table: &Table<'_>) -> Vec<Box<str>> {
    let written = written.unwrap_or_default();
    let fits = |tag: &String| {
        (1..=LONGEST_TAG).contains(&tag.chars().count()) && !tag.chars().any(char::is_control)
    };
    if written.len() > MOST_TAGS {
        table.fault("tags", format!("must list at most {MOST_TAGS} words"));
    }
    for tag in written.iter().filter(|tag| !fits(tag)) {
        table.fault(
            "tags",
            format!("must be words of 1 to {LONGEST_TAG} letters; found {}", quoted(tag)),
        );
    }
    written.iter().map(|tag| tag.as_str().into()).collect()
}
