//! Determines the task of a request, by the operator's rules and then by the score, and the other settings of the matching rule.
//!
//! A rule applies to requests that leave the choice to the router: `auto` and the names of roles. It widens no right: a setting
//! that the key does not allow or that `force_role` overrides is dropped, and the decision discloses it.

use std::sync::Arc;

use crate::deployment::Catalog;
use crate::policy::Effects;
use crate::policy::ModelChoice;
use crate::policy::Policy;
use crate::policy::RequestedModel;
use crate::policy::Target;
use crate::selection::Constraints;
use crate::selection::Needs;
use crate::selection::eligible;
use crate::task::Because;
use crate::task::Task;
use crate::task::Verdict;

use super::tradeoff::{Scales, Tradeoff};
use super::{Ask, Rules, SetBy};

/// The rule that matched a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchedRule {
    /// Its name.
    pub name: Arc<str>,
    /// The settings that do not apply to this request (`task`, `role`, `model`): the key does not allow them, no deployment of
    /// the model may serve the request, or `routing.force_role` overrides them.
    pub unmet: Vec<&'static str>,
}

/// The inputs of the task other than the request.
#[derive(Clone, Copy)]
pub(super) struct Basis<'d> {
    /// The meaning of the model name in the request.
    pub(super) asked: &'d RequestedModel,
    /// The role that config forces, if the key may use it.
    pub(super) forced: Option<Task>,
    pub(super) rules: &'d Rules,
}

/// The settings of the matching rule for a request.
#[derive(Debug, Default)]
pub(super) struct Ruled {
    pub(super) matched: Option<MatchedRule>,
    /// Without the settings that do not apply.
    pub(super) set: Effects,
}

impl Ruled {
    /// The settings of the first matching rule, as far as the key allows.
    pub(super) fn of(ask: Ask<'_, '_>, basis: Basis<'_>, needs: &Needs) -> Self {
        let Basis { asked, forced, rules } = basis;
        let chooses = matches!(asked, RequestedModel::Auto(_) | RequestedModel::Role(_));
        let matching = |request| {
            rules.policy.rules.matching(request, ask.sender, needs.prompt, &rules.classifier)
        };
        let Some(rule) = Some(ask.request).filter(|_| chooses).and_then(matching) else {
            return Self::default();
        };
        let matched = MatchedRule { name: Arc::clone(&rule.name), unmet: Vec::new() };
        let mut ruled = Self { matched: Some(matched), set: rule.set.clone() };
        let barred = |task: &mut Option<Task>| {
            task.take_if(|task| forced.is_some() || !ask.rights.allow_role(*task)).is_some()
        };
        if barred(&mut ruled.set.task) {
            ruled.unmet("task");
        }
        if barred(&mut ruled.set.role) {
            ruled.unmet("role");
        }
        if forced.is_some() && ruled.set.model.take().is_some() {
            ruled.unmet("model");
        }
        ruled
    }

    /// Drops the rule's model if no deployment of it may serve the request; else the role that it brings is set with it.
    pub(super) fn check_model(&mut self, catalog: &Catalog, constraints: Constraints<'_>) {
        let Some(model) = &self.set.model else { return };
        let choice =
            ModelChoice { role: None, models: [model.clone()].into(), target: Target::Any };
        if eligible(catalog, &choice, constraints).0.is_empty() {
            self.set.model = None;
            self.unmet("model");
        } else {
            let own = self.set.role_of_model;
            self.set.role =
                self.set.role.or(own).filter(|role| constraints.rights.allow_role(*role));
        }
    }

    /// Notes a setting that does not apply.
    fn unmet(&mut self, what: &'static str) {
        if let Some(matched) = &mut self.matched {
            matched.unmet.push(what);
        }
    }

    /// The models: the rule's, else those of the role.
    pub(super) fn choice(&self, by_role: ModelChoice) -> ModelChoice {
        match self.set.model.clone() {
            Some(model) => ModelChoice { models: [model].into(), ..by_role },
            None => by_role,
        }
    }
}

/// The task of a request.
pub(super) struct Judged {
    /// Its score, if it was scored.
    pub(super) verdict: Option<Verdict>,
    /// The role that serves, if the verdict does not choose it: by the switch, the key, a rule, or because the caller named it.
    pub(super) fixed: Option<Task>,
    /// The reason why the score did not set the role.
    pub(super) set_by: Option<SetBy>,
}

/// Determines the task. Precedence: the switch or the key, a rule's role, the caller's hint, a rule's task, the score.
pub(super) fn judged(ask: Ask<'_, '_>, basis: Basis<'_>, set: &Effects) -> Judged {
    let Basis { asked, forced, rules } = basis;
    let fixed = forced.or(ask.rights.role);
    match asked {
        RequestedModel::Auto(_) => {
            let hint = ask.hints.task;
            // A rule replaces the score as the caller's hint does, so it also applies if scores are only observed.
            let of_rule = set.task.filter(|_| fixed.is_none());
            let verdict =
                rules.classifier.classify_for(ask.request, hint.or(of_rule), ask.sender.key);
            let ruled = set.role.is_some() || (hint.is_none() && of_rule.is_some());
            let set_by = match ask.rights.role {
                Some(_) => Some(SetBy::Key),
                None => (ruled && fixed.is_none()).then_some(SetBy::Rule),
            };
            Judged { verdict: Some(verdict), fixed: fixed.or(set.role), set_by }
        }
        RequestedModel::Role(task) => {
            let task = forced.or(set.role).unwrap_or(*task);
            Judged { verdict: None, fixed: Some(task), set_by: None }
        }
        RequestedModel::Model(_) | RequestedModel::Deployment(_) | RequestedModel::Pinned(_) => {
            Judged { verdict: None, fixed: None, set_by: None }
        }
    }
}

impl Judged {
    /// Weighs chat against reasoning; the verdict takes over the result unless a hint gave its task.
    pub(super) fn weigh(&mut self, scales: Scales<'_, '_, '_>) -> Option<Tradeoff> {
        let verdict = self.verdict.as_mut()?;
        let is_open = verdict.because != Because::Hint && self.fixed.is_none();
        let tradeoff = scales.weigh(*verdict, is_open);
        if is_open {
            verdict.task = tradeoff.task;
        }
        Some(tradeoff)
    }

    /// The task that serves; chat if the caller named a model.
    pub(super) fn task(&self, policy: &Policy) -> Task {
        let heeded = || self.verdict.map(|verdict| policy.heed(verdict));
        self.fixed.or_else(heeded).unwrap_or(Task::Chat)
    }

    /// The benefit of reasoning; a request that named its role is scored for it.
    pub(super) fn benefit(&self, ask: Ask<'_, '_>, rules: &Rules) -> f32 {
        let verdict = self
            .verdict
            .unwrap_or_else(|| rules.classifier.classify_for(ask.request, None, ask.sender.key));
        verdict.benefit.probability
    }
}
