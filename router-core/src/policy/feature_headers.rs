//! The headers of Azure features that are forwarded from a caller to an upstream. This is the only
//! list of them.
//!
//! Azure answers 431 above ten headers that it does not know, and some headers choose who processes
//! a request. Headers are therefore not forwarded by default. Those listed here pass unchanged,
//! except those that name a deployment: they are resolved like a model, under the caller's rights
//! and residency, and sent with that deployment's name at the upstream.
//!
//! Not done here: which deployments remain (`selection`).

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::deployment::Catalog;
use crate::deployment::Deployment;
use crate::deployment::Residency;

use super::names::{RequestedModel, UnknownModel};
use super::rights::Rights;

/// Headers that switch a feature on.
///
/// **Source:** Microsoft, "Azure OpenAI v1 API" (`aoai-evals: preview`, features in preview have a header of their own) and
/// the samples of agents' tools in preview (`x-ms-enable-preview: true`); `OpenAI`, `OpenAI-Beta: assistants=v2`.
const SWITCHES: [HeaderName; 3] = [
    HeaderName::from_static("aoai-evals"),
    HeaderName::from_static("x-ms-enable-preview"),
    HeaderName::from_static("openai-beta"),
];

/// Headers that name a second deployment of the same resource.
///
/// **Source:** Microsoft, "Use the Azure OpenAI Responses API": the deployment that the image generation tool draws with;
/// "Manage traffic with spillover for provisioned deployments".
pub(super) const NAMING: [&str; 2] =
    ["x-ms-oai-image-generation-deployment", "x-ms-spillover-deployment"];

/// The longest value that passes.
const LONGEST: usize = 256;

/// The names of all headers that are listed here.
pub fn names() -> Vec<String> {
    let switches = SWITCHES.into_iter().map(|name| name.to_string());
    switches.chain(NAMING.into_iter().map(String::from)).collect()
}

/// The switches of a request, as they came.
pub fn switches(headers: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
    let given = SWITCHES.into_iter().filter_map(|name| {
        let value = headers.get(&name).filter(|value| value.len() <= LONGEST)?.clone();
        Some((name, value))
    });
    given.collect()
}

/// The name of a second deployment, as a caller gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompanionHint {
    /// The header.
    pub header: &'static str,
    /// Its name.
    pub name: Box<str>,
}

/// A second deployment that takes part in a request: at each resource the one of that name.
#[derive(Debug, Clone, PartialEq)]
pub struct Companion {
    header: &'static str,
    /// Those that the caller may use, inside the residency.
    deployments: Vec<Arc<Deployment>>,
}

impl Companion {
    /// Looks a companion up as a model is, under the caller's rights.
    ///
    /// # Errors
    /// The name is unknown, may not be used, or means no deployment.
    pub fn look_up(
        hint: &CompanionHint,
        rights: &Rights,
        residency: &Residency,
        place: Names<'_>,
    ) -> Result<Self, UnknownModel> {
        let Names { aliases, catalog } = place;
        let asked = rights.look_up(Some(&hint.name), aliases, catalog)?;
        let is_meant = |deployment: &Deployment| match &asked {
            RequestedModel::Model(model) => deployment.model.name == *model,
            RequestedModel::Deployment(name) | RequestedModel::Pinned(name) => {
                deployment.name == *name
            }
            RequestedModel::Auto(_) | RequestedModel::Role(_) => false,
        };
        let meant = catalog.deployments().iter().filter(|deployment| {
            is_meant(deployment) && rights.allow(deployment) && deployment.enabled
        });
        let meant: Vec<_> = meant.cloned().collect();
        if meant.is_empty() {
            let allowed = rights.names(aliases, catalog);
            return Err(UnknownModel { asked: hint.name.to_string(), allowed });
        }
        let inside = meant.into_iter().filter(|deployment| residency.allows(deployment.area));
        Ok(Self { header: hint.header, deployments: inside.collect() })
    }

    /// True if none of those that are meant is inside the residency.
    pub(crate) fn is_outside(&self) -> bool {
        self.deployments.is_empty()
    }

    /// The one at the same endpoint as `deployment`.
    fn beside(&self, deployment: &Deployment) -> Option<&Deployment> {
        let mut all = self.deployments.iter();
        all.find(|found| found.endpoint == deployment.endpoint).map(Arc::as_ref)
    }

    /// True if `deployment` has it at hand.
    pub fn serves(&self, deployment: &Deployment) -> bool {
        self.beside(deployment).is_some()
    }

    /// The header for an attempt at `deployment`, with the name that the companion has there.
    pub(crate) fn header_at(&self, deployment: &Deployment) -> Option<(HeaderName, HeaderValue)> {
        let value = HeaderValue::from_str(&self.beside(deployment)?.azure_deployment).ok()?;
        Some((HeaderName::from_static(self.header), value))
    }
}

/// The source of names.
#[derive(Debug, Clone, Copy)]
pub struct Names<'n> {
    /// Names of our own for names that exist.
    pub aliases: &'n BTreeMap<Box<str>, Box<str>>,
    /// The deployments.
    pub catalog: &'n Catalog,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::Area;
    use crate::deployment::sample;
    use crate::policy::Hints;

    fn deployment(name: &str, model: &str, area: Area) -> Deployment {
        let mut deployment = sample::pay_as_you_go(name, model);
        deployment.area = area;
        deployment.azure_deployment = format!("Azure-{name}").into();
        deployment
    }

    #[test]
    fn a_companion_is_looked_up_under_the_callers_rights_and_residency() {
        let korea = Area::Region("koreacentral");
        let catalog = Catalog::new([
            deployment("chat", "gpt-4o", korea),
            deployment("near", "gpt-4o-mini", korea),
            deployment("far", "o1", Area::Global),
        ]);
        let aliases = BTreeMap::new();
        let place = Names { aliases: &aliases, catalog: &catalog };
        let hint = |name: &str| CompanionHint { header: NAMING[0], name: name.into() };
        let mut residency = Residency::anywhere();
        let rights = Rights {
            deployments: Some(["chat", "near"].map(|name| name.try_into().unwrap()).into()),
            ..Rights::default()
        };
        let chat = catalog.deployment("chat").unwrap();
        for name in ["near", "Azure-near", "azure-NEAR", "gpt-4o-mini", "deployment:near"] {
            let found = Companion::look_up(&hint(name), &rights, &residency, place).unwrap();
            assert_eq!(found.header_at(chat).unwrap().1, "Azure-near", "{name}");
        }
        for name in ["far", "o1", "nothing", "auto", "chat-of-nobody"] {
            assert!(Companion::look_up(&hint(name), &rights, &residency, place).is_err(), "{name}");
        }
        residency.narrow(Area::Geography("kr"));
        let all = Rights::default();
        let far = Companion::look_up(&hint("far"), &all, &residency, place).unwrap();
        assert!(far.is_outside() && !far.serves(chat));
    }

    #[test]
    fn only_what_is_listed_passes() {
        let mut headers = HeaderMap::new();
        for name in ["aoai-evals", "openai-beta", "x-ms-anything", "authorization", "cookie"] {
            headers.insert(name, HeaderValue::from_static("x"));
        }
        headers.insert("x-ms-enable-preview", HeaderValue::try_from("x".repeat(300)).unwrap());
        let passed: Vec<String> =
            switches(&headers).iter().map(|(name, _)| name.to_string()).collect();
        assert_eq!(passed, ["aoai-evals", "openai-beta"]);
        headers.insert("x-ms-oai-image-generation-deployment", HeaderValue::from_static("draw"));
        let hints = Hints::from_headers(&headers).unwrap();
        assert_eq!(&*hints.companions[0].name, "draw");
        headers.append("x-ms-oai-image-generation-deployment", HeaderValue::from_static("far"));
        let twice = Hints::from_headers(&headers).unwrap_err();
        assert_eq!(twice.header, "x-ms-oai-image-generation-deployment");
    }
}
