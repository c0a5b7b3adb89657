//! What does the `model` of a request mean? `auto`, a role, an alias, a model or a deployment, in that order.

use std::collections::BTreeMap;

use crate::deployment::Catalog;
use crate::task::Task;
use crate::units::Day;
use crate::units::DeploymentName;
use crate::units::ModelName;

use super::hints::Preference;

/// What the caller asked for by the `model` field or by the deployment in the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// Score the request; the suffix of `auto:fast` is the preference.
    Auto(Option<Preference>),
    /// The models of a role, whatever the score.
    Role(Task),
    /// One model, on any deployment of it.
    Model(ModelName),
    /// One deployment first, then others of its model.
    Deployment(DeploymentName),
    /// One deployment and no other.
    Pinned(DeploymentName),
}

/// A name that means nothing here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}; allowed are: {}", told(asked), allowed.join(", "))]
pub struct UnknownModel {
    /// What was asked for, as the caller wrote it.
    pub asked: String,
    /// All names that would have been understood.
    pub allowed: Vec<String>,
}

/// The caller gets its own word back, but not a page of it.
fn told(asked: &str) -> String {
    let shown: String = asked.chars().filter(|letter| !letter.is_control()).take(80).collect();
    format!("the model `{shown}` does not exist here")
}

impl Asked {
    /// Looks a name up; an absent one means `auto`. Names in the form `provider/model` are looked up whole, then
    /// without the provider. A dated version that has no record of its own means its model.
    ///
    /// # Errors
    /// The name is unknown; all that are known are listed.
    pub fn look_up(
        name: Option<&str>,
        aliases: &BTreeMap<Box<str>, Box<str>>,
        catalog: &Catalog,
    ) -> Result<Self, UnknownModel> {
        let Some(name) = name.map(str::trim).filter(|name| !name.is_empty()) else {
            return Ok(Self::Auto(None));
        };
        let aliased = |name: &str| aliases.get(name).and_then(|target| direct(target, catalog));
        let found = |name: &str| {
            // `auto` and the roles come before aliases, and those before models and deployments.
            reserved(name).or_else(|| aliased(name)).or_else(|| direct(name, catalog))
        };
        found(name)
            .or_else(|| name.rsplit_once('/').and_then(|(_, model)| found(model)))
            .ok_or_else(|| UnknownModel {
                asked: name.to_owned(),
                allowed: Self::allowed(aliases, catalog),
            })
    }

    /// All names that can be asked for, in the order in which they are looked up.
    pub fn allowed(aliases: &BTreeMap<Box<str>, Box<str>>, catalog: &Catalog) -> Vec<String> {
        let mut names = vec!["auto".to_owned()];
        names.extend(Preference::ALL.iter().map(|prefer| format!("auto:{}", prefer.as_str())));
        names.extend(Task::ALL.iter().map(ToString::to_string));
        names.extend(aliases.keys().map(ToString::to_string));
        names.extend(catalog.models().map(|model| model.name.to_string()));
        names.extend(catalog.deployments().iter().map(|deployment| deployment.name.to_string()));
        let mut seen = std::collections::HashSet::new();
        names.retain(|name| seen.insert(name.clone()));
        names
    }
}

fn reserved(name: &str) -> Option<Asked> {
    match name.split_once(':') {
        None if name == "auto" => Some(Asked::Auto(None)),
        Some(("auto", prefer)) => {
            Preference::from_word(prefer).map(|prefer| Asked::Auto(Some(prefer)))
        }
        _ => Task::from_word(name).map(Asked::Role),
    }
}

fn direct(name: &str, catalog: &Catalog) -> Option<Asked> {
    let deployment = |key: &str| catalog.deployment(key).map(|found| found.name.clone());
    if let Some(key) = name.strip_prefix("deployment:") {
        return deployment(key).map(Asked::Pinned);
    }
    reserved(name)
        .or_else(|| catalog.model(name).map(|model| Asked::Model(model.name.clone())))
        .or_else(|| deployment(name).map(Asked::Deployment))
        .or_else(|| {
            let model = catalog.model(undated(name)?)?;
            Some(Asked::Model(model.name.clone()))
        })
}

/// The name of a model without the day of its version: `gpt-4o` of `gpt-4o-2024-11-20`.
fn undated(name: &str) -> Option<&str> {
    const DAY: usize = "-2024-11-20".len();
    let (model, day) = name.split_at_checked(name.len().checked_sub(DAY)?)?;
    Day::try_from(day.strip_prefix('-')?).ok().map(|_| model)
}
