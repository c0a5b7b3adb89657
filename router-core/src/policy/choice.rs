//! Chooses the models for a task and a request, in order, and whether the request is bound to one
//! deployment.
//!
//! This is preference only. Residency, capabilities and capacity are applied later (`selection`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::deployment::Catalog;
use crate::deployment::Residency;
use crate::task::Because;
use crate::task::Task;
use crate::task::Verdict;
use crate::units::DeploymentName;
use crate::units::ModelName;

use super::choose::ChoiceSettings;
use super::effort::RoleEffort;
use super::hints::Preference;
use super::names::RequestedModel;
use super::routing_rule::RuleTable;

/// The configured policy of choosing models.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The role of tasks that need reasoning.
    pub reasoning: Role,
    /// The role of simple chat.
    pub chat: Role,
    /// Other names for roles, models and deployments.
    pub aliases: BTreeMap<Box<str>, Box<str>>,
    /// The preference of requests that state none.
    pub prefer: Preference,
    /// The area in which every request must be processed.
    pub residency: Residency,
    /// True if a deployment asked for by its bare name may not fall back to others of its model.
    pub strict_deployment: bool,
    /// True if a deployment leaves on its model's retirement day; else the day only warns.
    pub exclude_retired: bool,
    /// True if a request that a model would refuse is answered 400 instead of being adapted.
    pub reject_unsupported: bool,
    /// Treatment of requests without a `prompt_cache_key`.
    pub cache_key: CacheKey,
    /// The use of scores: they choose the role, or are only recorded.
    pub mode: Mode,
    /// Treatment of hosted tools where a residency binds.
    pub hosted_tools: HostedTools,
    /// The role that serves whatever names no model, whatever its score, its hints or the role it asks for.
    pub forced: Option<Task>,
    /// The choice between chat and reasoning.
    pub choice: ChoiceSettings,
    /// The operator's rules, which come before the score.
    pub rules: RuleTable,
}

/// Treatment of tools that the service itself runs (web search, file search, code interpreter ..) where a residency binds:
/// they can process data elsewhere than the deployment does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HostedTools {
    /// They pass.
    #[default]
    Allow,
    /// The request is refused.
    Reject,
}

/// Treatment of requests without a `prompt_cache_key`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CacheKey {
    /// They are sent without one.
    #[default]
    Off,
    /// They get a hash of their key and conversation.
    Derive,
}

impl CacheKey {
    /// The treatment that a word of the configuration names.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "off" => Some(Self::Off),
            "derive" => Some(Self::Derive),
            _ => None,
        }
    }
}

impl HostedTools {
    /// The treatment that a word of the configuration names.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "allow" => Some(Self::Allow),
            "reject" => Some(Self::Reject),
            _ => None,
        }
    }
}

impl Policy {
    /// The role of a task.
    pub fn role(&self, task: Task) -> &Role {
        match task {
            Task::Reasoning => &self.reasoning,
            Task::Chat => &self.chat,
        }
    }

    /// The task that a verdict leads to: its own, or that of the role which serves all if scores are only observed. The
    /// caller's own choice counts in every mode.
    pub(crate) fn heed(&self, verdict: Verdict) -> Task {
        match self.mode {
            Mode::Observe(role) if verdict.because != Because::Hint => role,
            Mode::Observe(_) | Mode::Route => verdict.task,
        }
    }

    /// The task that would have been served, if the verdict was only observed. The caller excludes requests whose role a
    /// key, a rule or a switch set.
    pub fn would(&self, verdict: Verdict) -> Option<Task> {
        match self.mode {
            Mode::Observe(_) if verdict.because != Because::Hint => Some(verdict.task),
            Mode::Observe(_) | Mode::Route => None,
        }
    }

    /// The models: the requested ones, or those of the task's role.
    pub fn choose(&self, asked: &RequestedModel, task: Task, catalog: &Catalog) -> ModelChoice {
        let of_role = |task: Task| Arc::clone(&self.role(task).models);
        let of_deployment = |name: &DeploymentName| {
            catalog
                .deployment(name.as_str())
                .map(|found| found.model.name.clone())
                .into_iter()
                .collect()
        };
        let (role, models, target) = match asked {
            RequestedModel::Auto(_) | RequestedModel::Role(_) => {
                (Some(task), of_role(task), Target::Any)
            }
            RequestedModel::Model(model) => (None, [model.clone()].into(), Target::Any),
            RequestedModel::Deployment(name) if self.strict_deployment => {
                (None, of_deployment(name), Target::Only(name.clone()))
            }
            RequestedModel::Deployment(name) => {
                (None, of_deployment(name), Target::First(name.clone()))
            }
            RequestedModel::Pinned(name) => (None, of_deployment(name), Target::Only(name.clone())),
        };
        ModelChoice { role, models, target }
    }
}

/// The use of scores: they choose the role, or are only recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// The score chooses the role.
    #[default]
    Route,
    /// This role serves every scored request; what the score would have chosen is only recorded.
    Observe(Task),
}

/// The models of a role and its limits.
#[derive(Debug, Clone, PartialEq)]
pub struct Role {
    /// The models, the preferred one first.
    pub models: Arc<[ModelName]>,
    /// The effort of requests that set none.
    pub effort: RoleEffort,
    /// The treatment of requests if no deployment of the role is inside the residency.
    pub on_unavailable: OnUnavailable,
    /// The time of an upstream to its first byte.
    pub first_byte_timeout: Duration,
}

/// Treatment of requests that no deployment of the reasoning role may serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnUnavailable {
    /// The chat role serves it, disclosed.
    Downgrade,
    /// The request is refused.
    Reject,
}

/// The requested models for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelChoice {
    /// The role that chose them; `None` if the caller named a model or deployment.
    pub role: Option<Task>,
    /// The models, the preferred one first.
    pub models: Arc<[ModelName]>,
    /// The request's binding to a deployment.
    pub target: Target,
}

/// A request's binding to a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Any deployment of the models.
    Any,
    /// This one first, then any other of the models.
    First(DeploymentName),
    /// This one and no other.
    Only(DeploymentName),
}
