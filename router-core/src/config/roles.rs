//! The tables `[routing]`, `[roles]` and `[aliases]` -> the policy and the scoring settings.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use crate::deployment::Area;
use crate::deployment::Catalog;
use crate::deployment::Residency;
use crate::model::Effort;
use crate::policy::CacheKey;
use crate::policy::HostedTools;
use crate::policy::Mode;
use crate::policy::OnUnavailable;
use crate::policy::Policy;
use crate::policy::Preference;
use crate::policy::RequestedModel;
use crate::policy::Role;
use crate::policy::RoleEffort;
use crate::policy::RuleTable;
use crate::task::OtherLanguages;
use crate::task::Score;
use crate::task::Signals;
use crate::task::Task;
use crate::units::ModelName;

use super::choosing;
use super::nearest::nearest;
use super::raw::{self, Raw};
use super::records::EFFORTS;
use super::table::{Table, quoted};

/// Settings of the scorer.
#[derive(Debug, Clone, Default)]
pub struct Scoring {
    /// Signals added to the score.
    pub signals: Signals,
    /// A scorer's model file in place of the built-in one.
    pub model: Option<PathBuf>,
    /// Segments whose features are remembered; 0 for none.
    pub segments_max: usize,
}

/// Segments that are remembered by default: less than 1 MB.
const SEGMENTS: usize = 8_192;

/// Checks `[routing]`'s part of scoring.
#[expect(clippy::cast_possible_truncation, reason = "weights need no more than 7 digits")]
pub(super) fn scoring(raw: &raw::Routing, table: &Table<'_>) -> Scoring {
    let default = Signals::default();
    let threshold = table
        .number("threshold", raw.threshold, 0.0..=1.0)
        .and_then(|value| Score::try_new(value as f32));
    let other_languages = table.word(
        "other_languages",
        raw.other_languages.as_deref(),
        "score, chat, reasoning or caller",
        OtherLanguages::from_word,
    );
    let segments = table.count("segments_max", raw.segments_max, 0..=1_000_000);
    let segments_max = segments.unwrap_or(SEGMENTS);
    let (raw, model) = (&raw.signals, raw.scorer_model.clone());
    let table = table.sub("signals");
    let weight = |name: &str, value: Option<f64>, least: f64, default: f32| {
        table.number(name, value, least..=10.0).map_or(default, |value| value as f32)
    };
    let signals = Signals {
        threshold: threshold.unwrap_or(default.threshold),
        follow_up: weight("follow_up", raw.follow_up, 0.0, default.follow_up),
        hysteresis: weight("hysteresis", raw.hysteresis, 0.0, default.hysteresis),
        instructions: weight("instructions", raw.instructions, -10.0, default.instructions),
        tools: weight("tools", raw.tools, -10.0, default.tools),
        tool_result: weight("tool_result", raw.tool_result, -10.0, default.tool_result),
        json_schema: weight("json_schema", raw.json_schema, -10.0, default.json_schema),
        image: weight("image", raw.image, -10.0, default.image),
        json_object: weight("json_object", raw.json_object, -10.0, default.json_object),
        short_answer: weight("short_answer", raw.short_answer, -10.0, default.short_answer),
        reasoning_effort: weight(
            "reasoning_effort",
            raw.reasoning_effort,
            -10.0,
            default.reasoning_effort,
        ),
        step_by_step: weight("step_by_step", raw.step_by_step, -10.0, default.step_by_step),
        helper_call: weight("helper_call", raw.helper_call, -10.0, default.helper_call),
        other_languages: other_languages.unwrap_or(default.other_languages),
    };
    Scoring { signals, model, segments_max }
}

/// Checks `[routing]`, `[roles]` and `[aliases]`.
pub(super) fn policy(raw: &Raw, top: &Table<'_>) -> Policy {
    let (routing, table) = (&raw.routing, top.sub("routing"));
    let mut residency = Residency::anywhere();
    if let Some(area) = table.rule::<Area>("residency", routing.residency.as_deref()) {
        residency.narrow(area);
    }
    let prefer = table.word(
        "prefer",
        routing.prefer.as_deref(),
        "cost, fast or balanced",
        Preference::from_word,
    );
    let unsupported =
        table.word("unsupported", routing.unsupported.as_deref(), "adapt or reject", |word| {
            match word {
                "adapt" => Some(false),
                "reject" => Some(true),
                _ => None,
            }
        });
    let cache_key = routing.prompt_cache_key.as_deref();
    let cache_key = table.word("prompt_cache_key", cache_key, "off or derive", CacheKey::from_word);
    let served: BTreeSet<&str> =
        raw.deployments.values().filter_map(|deployment| deployment.model.as_deref()).collect();
    let roles = top.sub("roles");
    Policy {
        reasoning: role(&raw.roles.reasoning, Task::Reasoning, &served, &roles.sub("reasoning")),
        chat: role(&raw.roles.chat, Task::Chat, &served, &roles.sub("chat")),
        aliases: aliases(raw, &served, &top.sub("aliases")),
        prefer: prefer.unwrap_or_default(),
        residency,
        strict_deployment: routing.strict_deployment.unwrap_or(false),
        exclude_retired: routing.exclude_retired.unwrap_or(false),
        reject_unsupported: unsupported.unwrap_or(false),
        cache_key: cache_key.unwrap_or_default(),
        mode: mode(routing, &table),
        hosted_tools: hosted_tools(&raw.residency, &top.sub("residency")),
        forced: forced(routing, &table),
        choice: choosing::settings(routing, &table),
        rules: RuleTable::default(),
    }
}

fn hosted_tools(residency: &raw::Residency, table: &Table<'_>) -> HostedTools {
    let word = residency.hosted_tools.as_deref();
    table.word("hosted_tools", word, "allow or reject", HostedTools::from_word).unwrap_or_default()
}

fn forced(routing: &raw::Routing, table: &Table<'_>) -> Option<Task> {
    let word = routing.force_role.as_deref();
    let forced = table.word("force_role", word, "reasoning or chat", Task::from_word);
    if let Some(role) = forced {
        table.warn("force_role", format!("the role {role} serves all that names no model"));
    }
    forced
}

fn mode(routing: &raw::Routing, table: &Table<'_>) -> Mode {
    let role = table
        .word("default_role", routing.default_role.as_deref(), "reasoning or chat", Task::from_word)
        .unwrap_or(Task::Chat);
    let mode = table.word("mode", routing.mode.as_deref(), "route or observe", |word| match word {
        "route" => Some(Mode::Route),
        "observe" => Some(Mode::Observe(role)),
        _ => None,
    });
    mode.unwrap_or_default()
}

fn role(raw: &raw::Role, task: Task, served: &BTreeSet<&str>, table: &Table<'_>) -> Role {
    let names = raw.models.as_deref().unwrap_or_default();
    if names.is_empty() {
        table.fault("models", "missing; must list at least one model, the preferred one first");
    }
    let mut models = Vec::new();
    for name in names {
        if !served.contains(name.as_str()) {
            table.fault(
                "models",
                format!(
                    "no deployment serves {}; {}",
                    quoted(name),
                    nearest(name, served.iter().copied())
                ),
            );
        } else if let Ok(name) = ModelName::try_from(name.as_str())
            && !models.contains(&name)
        {
            models.push(name);
        }
    }
    let (on_unavailable, timeout) = match task {
        Task::Reasoning => (OnUnavailable::Downgrade, Duration::from_secs(600)),
        // There is nothing below chat to downgrade to.
        Task::Chat => (OnUnavailable::Reject, Duration::from_secs(60)),
    };
    let said = table.word(
        "on_unavailable",
        raw.on_unavailable.as_deref(),
        "downgrade or reject",
        |word| match word {
            "downgrade" => Some(OnUnavailable::Downgrade),
            "reject" => Some(OnUnavailable::Reject),
            _ => None,
        },
    );
    if task == Task::Chat && said == Some(OnUnavailable::Downgrade) {
        table.fault("on_unavailable", "must be reject: there is no role below chat");
    }
    Role {
        models: models.into(),
        effort: effort(raw.effort.as_ref(), task, table),
        on_unavailable: said.unwrap_or(on_unavailable),
        first_byte_timeout: table
            .milliseconds("first_byte_timeout_ms", raw.first_byte_timeout_ms, 1)
            .unwrap_or(timeout),
    }
}

/// A ladder is checked later, when the catalog is known.
fn effort(raw: Option<&raw::EffortSetting>, task: Task, table: &Table<'_>) -> RoleEffort {
    let word = match raw {
        Some(raw::EffortSetting::One(word)) => Some(word.as_str()),
        Some(raw::EffortSetting::Ladder(_)) => return RoleEffort::OfModel,
        None => None,
    };
    let usual = (task == Task::Reasoning).then_some(Effort::Medium);
    let effort = table.word("effort", word, EFFORTS, Effort::from_word).or(usual);
    effort.map_or(RoleEffort::OfModel, RoleEffort::Fixed)
}

fn aliases(raw: &Raw, served: &BTreeSet<&str>, table: &Table<'_>) -> BTreeMap<Box<str>, Box<str>> {
    let nothing = Catalog::default();
    // Names that are understood even without a deployment: `auto`, `auto:fast`, the roles.
    let reserved = |name: &str| {
        RequestedModel::look_up(Some(name), &BTreeMap::new(), &nothing).is_ok()
            && !name.contains('/')
    };
    let exists = |target: &str| {
        let pinned = target.strip_prefix("deployment:");
        pinned.is_some_and(|name| raw.deployments.contains_key(name))
            || reserved(target)
            || served.contains(target)
            || raw.deployments.contains_key(target)
    };
    for (alias, target) in &raw.aliases {
        if alias.trim().is_empty() || alias.trim() != alias {
            table.fault(alias, "an alias is a name without white space around it");
        } else if reserved(alias) {
            table.fault(alias, "is a built-in name, which is looked up before aliases");
        } else if served.contains(alias.as_str()) {
            table.warn(
                alias,
                format!("hides the model of that name; it now means {}", quoted(target)),
            );
        }
        if !exists(target) {
            let own = RequestedModel::allowed(&BTreeMap::new(), &nothing);
            let names = own.iter().map(String::as_str).chain(served.iter().copied());
            let names = nearest(target, names.chain(raw.deployments.keys().map(String::as_str)));
            table.fault(alias, format!("names {}, which does not exist; {names}", quoted(target)));
        }
    }
    raw.aliases
        .iter()
        .map(|(alias, target)| (alias.as_str().into(), target.as_str().into()))
        .collect()
}
