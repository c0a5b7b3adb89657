//! The rights of a caller's key: what it may use at all.
//!
//! Rights are hard constraints. Selection removes what they exclude before any preference applies,
//! so no header, fallback or hedge can bypass them. A header that would widen them is refused
//! rather than ignored, so that the caller notices.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use crate::chat::ChatRequest;
use crate::deployment::Area;
use crate::deployment::Catalog;
use crate::deployment::Deployment;
use crate::task::Task;
use crate::units::DeploymentName;
use crate::units::ModelName;

use super::hints::{Hints, Preference, Priority};
use super::names::{RequestedModel, UnknownModel};

/// The rights of a caller; the default is everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights {
    /// The one role that it may use; `None`: both.
    pub role: Option<Task>,
    /// The models that it may use; `None`: all.
    pub models: Option<BTreeSet<ModelName>>,
    /// The deployments that it may use; `None`: all.
    pub deployments: Option<BTreeSet<DeploymentName>>,
    /// The area in which all its requests are processed.
    pub residency: Option<Area>,
    /// The best priority that it may have.
    pub priority: Option<Priority>,
    /// The one preference that it may have.
    pub prefer: Option<Preference>,
    /// The longest hold of its requests for a provisioned deployment.
    pub max_wait: Option<Duration>,
    /// The fields that its requests may not have, at any depth: names, or several joined by dots.
    pub deny_fields: BTreeSet<Box<str>>,
}

/// A request has a field that its caller's key may not send.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this key may not send the field `{field}`")]
pub struct DeniedField {
    /// The field, as config names it.
    pub field: Box<str>,
}

/// A header asks for more than the key allows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("header {header}: {problem}")]
pub struct Overreach {
    /// The header's name.
    pub header: &'static str,
    /// The value that the key allows.
    pub problem: String,
}

impl Overreach {
    /// True if the caller asks to be processed outside of what its key is bound to.
    pub(crate) fn is_residency(&self) -> bool {
        self.header == RESIDENCY
    }
}

const RESIDENCY: &str = "x-router-residency";

impl Rights {
    /// True if a deployment may be used: it and its model are allowed.
    pub fn allow(&self, deployment: &Deployment) -> bool {
        self.models.as_ref().is_none_or(|models| models.contains(&deployment.model.name))
            && self.deployments.as_ref().is_none_or(|names| names.contains(&deployment.name))
    }

    /// True if a role may be used.
    pub(crate) fn allow_role(&self, task: Task) -> bool {
        self.role.is_none_or(|only| only == task)
    }

    /// Refuses a request with a field that may not be sent.
    ///
    /// # Errors
    /// Names the field.
    pub fn check_fields(&self, request: &ChatRequest<'_>) -> Result<(), DeniedField> {
        if self.deny_fields.is_empty() {
            return Ok(());
        }
        let denied = request.denied_field(self.deny_fields.iter().map(AsRef::as_ref));
        denied.map_or(Ok(()), |field| Err(DeniedField { field: field.into() }))
    }

    /// Refuses a request with a tool for which it names a model that may not be used: a picture's, for instance.
    ///
    /// # Errors
    /// Names the model; those that may be used are listed.
    pub fn check_tools(&self, request: &ChatRequest<'_>) -> Result<(), UnknownModel> {
        let Some(models) = &self.models else { return Ok(()) };
        let allowed = |asked: &str| {
            models.iter().any(|model| model.as_str().eq_ignore_ascii_case(asked.trim()))
        };
        let asked = request.tool_models().into_iter().find(|asked| !allowed(asked));
        asked.map_or(Ok(()), |asked| {
            let allowed = models.iter().map(ToString::to_string).collect();
            Err(UnknownModel { asked: asked.into(), allowed })
        })
    }

    /// The hints as far as they narrow the rights, completed by the key's own settings.
    ///
    /// ```
    /// use router_core::deployment::Area;
    /// use router_core::policy::{Hints, Rights};
    /// let korea = Area::try_from("geo:kr")?;
    /// let rights = Rights { residency: Some(korea), ..Rights::default() };
    /// let asks = |area| {
    ///     let mut hints = Hints::default();
    ///     hints.residency = Some(area);
    ///     hints
    /// };
    /// assert!(rights.narrow(asks(Area::try_from("region:koreacentral")?)).is_ok());
    /// assert!(rights.narrow(asks(Area::Global)).is_err());
    /// # Ok::<(), router_core::deployment::AreaFault>(())
    /// ```
    ///
    /// # Errors
    /// Names the first header that asks for more than is allowed.
    pub fn narrow(&self, mut hints: Hints) -> Result<Hints, Overreach> {
        let overreach = |header, problem| Err(Overreach { header, problem });
        if let (Some(only), Some(asked)) = (self.role, hints.task)
            && only != asked
        {
            return overreach("x-router-task", format!("this key may use the role {only} alone"));
        }
        if let (Some(bound), Some(asked)) = (self.residency, hints.residency)
            && !asked.lies_inside(bound)
        {
            let problem =
                format!("this key is bound to {bound}, and {asked} does not lie inside it");
            return overreach(RESIDENCY, problem);
        }
        if self.priority == Some(Priority::Batch) && hints.priority == Some(Priority::Interactive) {
            let problem = "this key's requests are batch".to_owned();
            return overreach("x-router-priority", problem);
        }
        if let (Some(only), Some(asked)) = (self.prefer, hints.prefer)
            && only != asked
        {
            let problem = format!("this key's preference is {}", only.as_str());
            return overreach("x-router-prefer", problem);
        }
        hints.priority = hints.priority.or(self.priority);
        hints.prefer = hints.prefer.or(self.prefer);
        Ok(hints)
    }

    /// Looks a name up as [`RequestedModel::look_up`] does; what may not be used does not exist.
    ///
    /// # Errors
    /// The name is unknown or may not be used; all that may are listed.
    pub fn look_up(
        &self,
        name: Option<&str>,
        aliases: &BTreeMap<Box<str>, Box<str>>,
        catalog: &Catalog,
    ) -> Result<RequestedModel, UnknownModel> {
        let asked = RequestedModel::look_up(name, aliases, catalog).ok();
        asked.filter(|asked| self.permit(asked, catalog)).ok_or_else(|| UnknownModel {
            asked: name.unwrap_or("auto").trim().to_owned(),
            allowed: self.names(aliases, catalog),
        })
    }

    /// All names that may be asked for, in the order in which they are looked up; what is outside the residency is
    /// not listed.
    pub fn names(&self, aliases: &BTreeMap<Box<str>, Box<str>>, catalog: &Catalog) -> Vec<String> {
        let inside = |deployment: &Deployment| {
            self.residency.is_none_or(|bound| deployment.area.lies_inside(bound))
        };
        let mut names = RequestedModel::allowed(aliases, catalog);
        names.retain(|name| {
            let Ok(asked) = RequestedModel::look_up(Some(name), aliases, catalog) else {
                return false;
            };
            let some = |wanted: &dyn Fn(&Deployment) -> bool| {
                let mut deployments = catalog.deployments().iter();
                deployments.any(|found| wanted(found) && self.allow(found) && inside(found))
            };
            match &asked {
                RequestedModel::Auto(_) | RequestedModel::Role(_) => self.permit(&asked, catalog),
                RequestedModel::Model(model) => some(&|found| found.model.name == *model),
                RequestedModel::Deployment(name) | RequestedModel::Pinned(name) => {
                    some(&|found| found.name == *name)
                }
            }
        });
        names
    }

    fn permit(&self, asked: &RequestedModel, catalog: &Catalog) -> bool {
        match asked {
            RequestedModel::Auto(None) => true,
            RequestedModel::Auto(Some(prefer)) => self.prefer.is_none_or(|only| only == *prefer),
            RequestedModel::Role(task) => self.allow_role(*task),
            RequestedModel::Model(model) => {
                let mut deployments = catalog.deployments().iter();
                deployments.any(|found| found.model.name == *model && self.allow(found))
            }
            RequestedModel::Deployment(name) | RequestedModel::Pinned(name) => {
                catalog.deployment(name.as_str()).is_some_and(|found| self.allow(found))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::deployment::sample;

    use super::*;

    fn catalog() -> Catalog {
        let mut seoul = sample::provisioned("seoul", "gpt-4o", 50.0);
        seoul.area = Area::Region("koreacentral");
        let anywhere = sample::pay_as_you_go("anywhere", "gpt-4o");
        let reasons = sample::pay_as_you_go("reasons", "o1");
        Catalog::new([seoul, anywhere, reasons])
    }

    fn names(rights: &Rights) -> Vec<String> {
        rights.names(&BTreeMap::from([("gpt-4".into(), "reasons".into())]), &catalog())
    }

    #[test]
    fn names_are_those_that_may_be_used() {
        let all = names(&Rights::default());
        for name in ["auto", "auto:fast", "reasoning", "chat", "gpt-4", "o1", "seoul", "reasons"] {
            assert!(all.iter().any(|known| known == name), "{name}: {all:?}");
        }
        let mut rights = Rights {
            role: Some(Task::Chat),
            models: Some([ModelName::try_from("gpt-4o").unwrap()].into()),
            prefer: Some(Preference::Cost),
            ..Rights::default()
        };
        assert_eq!(
            names(&rights),
            ["auto", "auto:cost", "chat", "gpt-4o", "anywhere", "seoul"],
            "the alias stands for what may not be used"
        );
        rights.residency = Some(Area::Geography("kr"));
        assert_eq!(names(&rights), ["auto", "auto:cost", "chat", "gpt-4o", "seoul"]);
        rights.deployments = Some([DeploymentName::try_from("anywhere").unwrap()].into());
        assert_eq!(names(&rights), ["auto", "auto:cost", "chat"]);
        let (aliases, catalog) = (BTreeMap::new(), catalog());
        let asked = |name| rights.look_up(Some(name), &aliases, &catalog);
        for name in ["o1", "reasoning", "auto:fast", "seoul", "deployment:reasons", "poetry"] {
            let unknown = asked(name).unwrap_err();
            assert_eq!((unknown.asked.as_str(), unknown.allowed.len()), (name, 3), "{name}");
        }
        assert!(asked("deployment:anywhere").is_ok() && asked("gpt-4o").is_ok());
    }

    #[track_caller]
    fn check(rights: &Rights, hints: &Hints, expected: Result<(), &'static str>) {
        let narrowed = rights.narrow(hints.clone());
        assert_eq!(
            narrowed.map(drop).map_err(|over| over.header),
            expected,
            "{rights:?} {hints:?}"
        );
    }

    #[test]
    fn a_header_narrows_and_never_widens() {
        let (all, none) = (Rights::default, Hints::default);
        let korea = Area::Geography("kr");
        for (area, fits) in [
            (korea, true),
            (Area::Region("koreasouth"), true),
            (Area::Global, false),
            (Area::Zone("eu"), false),
        ] {
            let hints = Hints { residency: Some(area), ..none() };
            let expected = if fits { Ok(()) } else { Err("x-router-residency") };
            check(&Rights { residency: Some(korea), ..all() }, &hints, expected);
            check(&all(), &hints, Ok(()));
        }
        let chat = || Rights { role: Some(Task::Chat), ..all() };
        check(&chat(), &Hints { task: Some(Task::Chat), ..none() }, Ok(()));
        check(&chat(), &Hints { task: Some(Task::Reasoning), ..none() }, Err("x-router-task"));
        for (own, asked, expected) in [
            (Priority::Batch, Priority::Interactive, Err("x-router-priority")),
            (Priority::Batch, Priority::Batch, Ok(())),
            (Priority::Interactive, Priority::Batch, Ok(())),
        ] {
            let hints = Hints { priority: Some(asked), ..none() };
            check(&Rights { priority: Some(own), ..all() }, &hints, expected);
        }
        let cheap = || Rights { prefer: Some(Preference::Cost), ..all() };
        let fast = Hints { prefer: Some(Preference::Fast), ..none() };
        check(&cheap(), &fast, Err("x-router-prefer"));
        let silent = cheap().narrow(none()).unwrap();
        assert_eq!(silent.prefer, Some(Preference::Cost));
    }
}
