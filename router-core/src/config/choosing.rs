//! The choice between chat and reasoning (`routing.choose` and its numbers), and the roles' ladders of efforts.
//!
//! A ladder depends on the efforts that the role's models accept, so it is checked once the catalog is known.

use std::sync::Arc;

use crate::deployment::Catalog;
use crate::deployment::Deployment;
use crate::model::Effort;
use crate::policy::ChoiceSettings;
use crate::policy::Choose;
use crate::policy::EffortLadder;
use crate::policy::Policy;
use crate::policy::Preset;
use crate::policy::RoleEffort;
use crate::task::Task;
use crate::units::ModelName;

use super::raw::{self, EffortSetting, Raw};
use super::records::EFFORTS;
use super::table::{Table, listed};

/// The largest worth of an answer and the largest cost of a second, in dollars.
const MOST_USD: f64 = 1_000.0;

/// Checks the choice in `[routing]`.
pub(super) fn settings(raw: &raw::Routing, table: &Table<'_>) -> ChoiceSettings {
    let default = ChoiceSettings::default();
    let choose = raw.choose.as_deref();
    let choose = table.word("choose", choose, "type, benefit or value", Choose::from_word);
    let presets = "quality, balanced or thrift";
    let preset =
        table.word("value_preset", raw.value_preset.as_deref(), presets, Preset::from_word);
    let preset = preset.unwrap_or(Preset::BALANCED);
    let dollars = |name: &str, value: Option<f64>, default: f64| {
        table.number(name, value, 0.0..=MOST_USD).unwrap_or(default)
    };
    let threshold = table.number("benefit_threshold", raw.benefit_threshold, 0.0..=1.0);
    let settings = ChoiceSettings {
        choose: choose.unwrap_or_default(),
        benefit_threshold: threshold.map_or(default.benefit_threshold, narrowed),
        answer_usd: dollars("answer_value_usd", raw.answer_value_usd, preset.answer_usd),
        second_usd: dollars("second_cost_usd", raw.second_cost_usd, preset.second_usd),
    };
    let unused = [
        ("benefit_threshold", raw.benefit_threshold.is_some(), Choose::Benefit),
        ("value_preset", raw.value_preset.is_some(), Choose::Value),
        ("answer_value_usd", raw.answer_value_usd.is_some(), Choose::Value),
        ("second_cost_usd", raw.second_cost_usd.is_some(), Choose::Value),
    ];
    for (name, _, of) in unused.into_iter().filter(|(_, set, of)| *set && *of != settings.choose) {
        table.warn(name, format!("has no effect unless choose = \"{}\"", of.as_str()));
    }
    settings
}

/// Warns if models of the roles have no price, because then no value is known.
pub(super) fn warn_of_prices(policy: &Policy, catalog: &Catalog, table: &Table<'_>) {
    if policy.choice.choose != Choose::Value {
        return;
    }
    let of_roles = |name: &ModelName| {
        Task::ALL.into_iter().any(|task| policy.role(task).models.contains(name))
    };
    let unpriced = |one: &&Arc<Deployment>| {
        !one.billing.is_provisioned() && one.prices().is_none() && of_roles(&one.model.name)
    };
    let names: Vec<&str> =
        catalog.deployments().iter().filter(unpriced).map(|one| one.name.as_str()).collect();
    if !names.is_empty() {
        let names = listed(names);
        table.warn("choose", format!("the price of {names} is unknown: there the type decides"));
    }
}

/// Checks the ladders of the roles.
pub(super) fn ladders(raw: &Raw, policy: &mut Policy, catalog: &Catalog, table: &Table<'_>) {
    for (task, setting) in
        [(Task::Reasoning, &raw.roles.reasoning.effort), (Task::Chat, &raw.roles.chat.effort)]
    {
        let Some(EffortSetting::Ladder(ladder)) = setting else { continue };
        let table = table.sub(task.as_str()).sub("effort");
        let accepted = accepted(&policy.role(task).models, catalog);
        let Some(checked) = self::ladder(ladder, &accepted, &table) else { continue };
        let role = match task {
            Task::Reasoning => &mut policy.reasoning,
            Task::Chat => &mut policy.chat,
        };
        role.effort = RoleEffort::Ladder(checked);
    }
}

/// The efforts of the role's first model that has any; all efforts if none has.
fn accepted(models: &[ModelName], catalog: &Catalog) -> Vec<Effort> {
    let of = |name: &ModelName| catalog.model(name.as_str())?.efforts.as_ref();
    let found = models.iter().filter_map(of).find(|efforts| !efforts.accepted.is_empty());
    found.map_or_else(|| Effort::ALL.to_vec(), |efforts| efforts.accepted.clone())
}

fn ladder(raw: &raw::EffortLadder, accepted: &[Effort], table: &Table<'_>) -> Option<EffortLadder> {
    let end = |name: &str, word: Option<&str>| {
        let word = table.required(name, word, EFFORTS);
        table.word(name, word, EFFORTS, Effort::from_word)
    };
    let (from, to) = (end("from", raw.from.as_deref()), end("to", raw.to.as_deref()));
    let (from, to) = (from?, to?);
    if from >= to {
        table.fault("from", format!("must be less than to, which is `{to}`; found `{from}`"));
        return None;
    }
    let inside = |effort: &Effort| (from..=to).contains(effort) && accepted.contains(effort);
    let levels: Vec<Effort> = Effort::ALL.into_iter().filter(inside).collect();
    if levels.len() < 2 {
        let accepted = listed(accepted);
        table.fault_here(format!(
            "must span at least two efforts that the model accepts, which are {accepted}"
        ));
        return None;
    }
    let cuts: Vec<f32> = match &raw.cuts {
        Some(cuts) => cuts.iter().map(|cut| narrowed(*cut)).collect(),
        None => EffortLadder::usual_cuts(levels.len()),
    };
    let ladder = EffortLadder::try_new(&levels, &cuts);
    if ladder.is_none() {
        let (count, levels) = (levels.len() - 1, listed(&levels));
        table.fault(
            "cuts",
            format!("must be {count} ascending numbers from 0 to 1, between {levels}"),
        );
    }
    ladder
}

#[expect(clippy::cast_possible_truncation, reason = "a benefit needs no more than 7 digits")]
fn narrowed(value: f64) -> f32 {
    value as f32
}
