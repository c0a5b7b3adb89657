//! Resolves the `model` of a request: `auto`, a role, an alias, a model or a deployment, in that
//! order; then Azure's own name of a deployment; then any of these in other letter case.

use std::collections::BTreeMap;

use crate::deployment::Catalog;
use crate::task::Task;
use crate::units::Day;
use crate::units::DeploymentName;
use crate::units::ModelName;

use super::hints::Preference;

/// The model that the caller requested by the `model` field or by the deployment in the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestedModel {
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
    /// The requested name, as the caller wrote it.
    pub asked: String,
    /// All names that would have been understood.
    pub allowed: Vec<String>,
}

/// The caller gets its own word back, but not a page of it.
fn told(asked: &str) -> String {
    let shown: String = asked.chars().filter(|letter| !letter.is_control()).take(80).collect();
    format!("the model `{shown}` does not exist here")
}

impl RequestedModel {
    /// The preference in the name: that of `auto:cost`.
    pub(crate) fn preference(&self) -> Option<Preference> {
        match self {
            Self::Auto(prefer) => *prefer,
            Self::Role(_) | Self::Model(_) | Self::Deployment(_) | Self::Pinned(_) => None,
        }
    }

    /// Looks a name up; an absent one means `auto`. Names in the form `provider/model` are looked up whole, then
    /// without the provider. A dated version that has no record of its own means its model. A name that is none of ours may be
    /// Azure's own name of a deployment, or one of all these in other letter case.
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
            reserved(name)
                .or_else(|| aliased(name))
                .or_else(|| direct(name, catalog))
                .or_else(|| at_azure(catalog, |known| known == name))
                .or_else(|| in_other_case(name, aliases, catalog))
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

fn reserved(name: &str) -> Option<RequestedModel> {
    match name.split_once(':') {
        None if name == "auto" => Some(RequestedModel::Auto(None)),
        Some(("auto", prefer)) => {
            Preference::from_word(prefer).map(|prefer| RequestedModel::Auto(Some(prefer)))
        }
        _ => Task::from_word(name).map(RequestedModel::Role),
    }
}

fn direct(name: &str, catalog: &Catalog) -> Option<RequestedModel> {
    let deployment = |key: &str| catalog.deployment(key).map(|found| found.name.clone());
    if let Some(key) = name.strip_prefix("deployment:") {
        return deployment(key)
            .map(RequestedModel::Pinned)
            .or_else(|| pinned_at_azure(key, catalog));
    }
    reserved(name)
        .or_else(|| catalog.model(name).map(|model| RequestedModel::Model(model.name.clone())))
        .or_else(|| deployment(name).map(RequestedModel::Deployment))
        .or_else(|| {
            let model = catalog.model(undated(name)?)?;
            Some(RequestedModel::Model(model.name.clone()))
        })
}

/// The model of Azure's own name of a deployment; several resources may use the same name for the same model.
fn at_azure(catalog: &Catalog, is_named: impl Fn(&str) -> bool) -> Option<RequestedModel> {
    let mut named = catalog.deployments().iter().filter(|found| is_named(&found.azure_deployment));
    let first = named.next()?;
    let mut others = named.peekable();
    if others.peek().is_none() {
        return Some(RequestedModel::Deployment(first.name.clone()));
    }
    let same = others.all(|found| found.model.name == first.model.name);
    same.then(|| RequestedModel::Model(first.model.name.clone()))
}

fn pinned_at_azure(name: &str, catalog: &Catalog) -> Option<RequestedModel> {
    match at_azure(catalog, |known| known.eq_ignore_ascii_case(name))? {
        RequestedModel::Deployment(name) => Some(RequestedModel::Pinned(name)),
        RequestedModel::Auto(_)
        | RequestedModel::Role(_)
        | RequestedModel::Model(_)
        | RequestedModel::Pinned(_) => None,
    }
}

/// The model of a name in other letter case, if exactly one known name matches.
fn in_other_case(
    name: &str,
    aliases: &BTreeMap<Box<str>, Box<str>>,
    catalog: &Catalog,
) -> Option<RequestedModel> {
    let alike = |known: &str| known.eq_ignore_ascii_case(name);
    let deployments = catalog.deployments().iter().map(|found| found.name.as_str());
    let model = |name: &str| {
        only(catalog.models().map(|model| model.name.as_str()), |known| {
            known.eq_ignore_ascii_case(name)
        })
    };
    reserved(&name.to_ascii_lowercase())
        .or_else(|| direct(aliases.get(only(aliases.keys().map(AsRef::as_ref), alike)?)?, catalog))
        .or_else(|| direct(model(name)?, catalog))
        .or_else(|| direct(only(deployments, alike)?, catalog))
        .or_else(|| direct(model(undated(name)?)?, catalog))
        .or_else(|| at_azure(catalog, alike))
}

/// The one name that fits; `None` if several do.
fn only<'n>(names: impl Iterator<Item = &'n str>, fits: impl Fn(&str) -> bool) -> Option<&'n str> {
    let mut fitting = names.filter(|name| fits(name));
    let first = fitting.next()?;
    fitting.next().is_none().then_some(first)
}

/// The name of a model without the day of its version: `gpt-4o` of `gpt-4o-2024-11-20`.
fn undated(name: &str) -> Option<&str> {
    const DAY: usize = "-2024-11-20".len();
    let (model, day) = name.split_at_checked(name.len().checked_sub(DAY)?)?;
    Day::try_from(day.strip_prefix('-')?).ok().map(|_| model)
}

#[cfg(test)]
mod tests {
    use crate::deployment::sample;

    use super::*;

    #[track_caller]
    fn check(name: &str, expected: Option<&str>) {
        let named = |name: &str, model: &str, azure: &str| {
            let mut deployment = sample::pay_as_you_go(name, model);
            deployment.azure_deployment = azure.into();
            deployment
        };
        let catalog = Catalog::new([
            named("east", "gpt-4o", "GPT4o-Prod"),
            named("west", "gpt-4o", "shared"),
            named("north", "gpt-4o", "shared"),
            named("mixed_one", "gpt-4o", "mixed"),
            named("mixed_two", "o1", "mixed"),
            named("think", "o1", "gpt-4o"),
            named("upper", "o1", "Twin"),
            named("lower", "o1", "twin"),
        ]);
        let aliases = BTreeMap::from([("Fast-One".into(), "gpt-4o".into())]);
        let asked = RequestedModel::look_up(Some(name), &aliases, &catalog).ok();
        let found = asked.map(|asked| match asked {
            RequestedModel::Auto(_) => "auto".to_owned(),
            RequestedModel::Role(task) => format!("role {task}"),
            RequestedModel::Model(model) => format!("model {model}"),
            RequestedModel::Deployment(name) => format!("deployment {name}"),
            RequestedModel::Pinned(name) => format!("pinned {name}"),
        });
        assert_eq!(found.as_deref(), expected, "{name}");
    }

    #[test]
    fn azures_own_names_and_other_letter_case_are_names() {
        check("GPT4o-Prod", Some("deployment east"));
        check("gpt4o-prod", Some("deployment east"));
        check("azure/GPT4O-PROD", Some("deployment east"));
        check("deployment:gpt4o-prod", Some("pinned east"));
        check("deployment:shared", None);
        check("shared", Some("model gpt-4o"));
        check("mixed", None);
        check("GPT-4o", Some("model gpt-4o"));
        check("GPT-4O-2024-11-20", Some("model gpt-4o"));
        check("gpt-4o", Some("model gpt-4o"));
        check("EAST", Some("deployment east"));
        check("AUTO", Some("auto"));
        check("Reasoning", Some("role reasoning"));
        check("fast-one", Some("model gpt-4o"));
        check("Twin", Some("deployment upper"));
        check("twin", Some("deployment lower"));
        check("TWIN", Some("model o1"));
        check("nothing", None);
    }
}
