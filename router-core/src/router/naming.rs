//! Determines the name to resolve for a request: from the path, from the body, or of the deployment
//! that stores what it needs.

use std::borrow::Cow;
use std::sync::Arc;

use crate::chat::ChatRequest;
use crate::chat::Operation;
use crate::chat::RequestFault;
use crate::decision::Rules;
use crate::deployment::Deployment;
use crate::deployment::EndpointName;
use crate::error::RouteError;
use crate::model::Abilities;
use crate::policy::RequestedModel;
use crate::policy::Rights;
use crate::policy::UnknownModel;
use crate::stored::Holder;
use crate::stored::Stored;
use crate::stored::StoredResponses;
use crate::stored::Unknown;
use crate::stored::UnknownResponse;
use crate::task::Task;
use crate::units::DeploymentName;
use crate::units::ModelName;

use super::incoming::Incoming;
use super::unknown::places;

/// The input of a request's decision.
pub(super) struct Named<'n> {
    /// The name to look up; `None` if the body's own counts.
    pub(super) name: Option<Cow<'n, str>>,
    /// The only endpoint that has what the request refers to; `None` for any.
    pub(super) only: Option<EndpointName>,
}

/// The name to look up, and the endpoint that the request is tied to.
///
/// # Errors
/// The request needs what is not stored here for this caller, or names no model although its operation says
/// nothing of a task.
pub(super) fn name_of<'n>(
    incoming: &'n Incoming<'_>,
    rules: &Rules,
    stored: &StoredResponses,
    unknown: Unknown,
) -> Result<Named<'n>, RouteError> {
    let path_model = incoming.call.path_model.as_deref();
    match owner_of_needed(incoming, rules, stored, unknown)? {
        Some(Owner::Deployment(owner)) => followed(incoming, &owner, rules),
        Some(Owner::Endpoint(only)) => {
            Ok(Named { name: path_model.map(Cow::Borrowed), only: Some(only) })
        }
        None => Ok(Named { name: free_name(incoming, path_model, rules)?, only: None }),
    }
}

/// A request that follows what a deployment has stored: it goes there, unless it names another model or deployment. Then
/// that one is used at the same endpoint, or the request is refused: nothing is replaced silently.
fn followed<'n>(
    incoming: &'n Incoming<'_>,
    owner: &DeploymentName,
    rules: &Rules,
) -> Result<Named<'n>, RouteError> {
    let Rules { policy, catalog, .. } = rules;
    let back = Named { name: Some(format!("deployment:{owner}").into()), only: None };
    let named = incoming.call.path_model.as_deref().or_else(|| incoming.request.model());
    let (Some(named), Some(made_by)) = (named, catalog.deployment(owner.as_str())) else {
        return Ok(back);
    };
    let same = match incoming.call.rights.look_up(Some(named), &policy.aliases, catalog)? {
        RequestedModel::Auto(_) | RequestedModel::Role(_) => true,
        RequestedModel::Model(model) => model == made_by.model.name,
        RequestedModel::Pinned(name) => name == *owner,
        RequestedModel::Deployment(name) => {
            let other = catalog.deployment(name.as_str());
            let elsewhere = |other: &Arc<Deployment>| {
                other.endpoint != made_by.endpoint && other.model.name == made_by.model.name
            };
            name == *owner || (!policy.strict_deployment && other.is_some_and(elsewhere))
        }
    };
    if same {
        return Ok(back);
    }
    Ok(Named { name: Some(Cow::Borrowed(named)), only: Some(made_by.endpoint.clone()) })
}

/// The name that counts for a request that follows nothing.
fn free_name<'n>(
    incoming: &'n Incoming<'_>,
    path_model: Option<&'n str>,
    rules: &Rules,
) -> Result<Option<Cow<'n, str>>, RouteError> {
    let (request, rights) = (&incoming.request, &*incoming.call.rights);
    if request.operation().is_scored() {
        return Ok(path_model.map(Cow::Borrowed));
    }
    // Some clients put the name of their chat deployment into every path.
    let able = |name: &str| serves(rules, name, request.operation());
    let name = path_model
        .filter(|name| able(name) || !request.model().is_some_and(able))
        .or_else(|| request.model())
        .filter(|name| !name.trim().is_empty());
    let Some(name) = name else { return unnamed(request, rules, rights).map(Some) };
    let asked = rights.look_up(Some(name), &rules.policy.aliases, &rules.catalog)?;
    match asked {
        RequestedModel::Model(_) | RequestedModel::Deployment(_) | RequestedModel::Pinned(_) => {
            Ok(Some(Cow::Borrowed(name)))
        }
        // Two models' embeddings, voices or judgements are not each other's replacement.
        RequestedModel::Auto(_) | RequestedModel::Role(_) => Err(UnknownModel {
            asked: name.to_owned(),
            allowed: able_models(rules, rights, request.operation()),
        }
        .into()),
    }
}

/// The model of a request that must name one and does not. Of what is passed through, some need none at `OpenAI`
/// (moderations): where a single model can take it, that one is meant.
fn unnamed(
    request: &ChatRequest<'_>,
    rules: &Rules,
    rights: &Rights,
) -> Result<Cow<'static, str>, RouteError> {
    let operation = request.operation();
    let able = able_models(rules, rights, operation);
    if let ([only], Operation::Passed(_)) = (able.as_slice(), operation) {
        return Ok(only.clone().into());
    }
    let problem = if able.is_empty() {
        "expected the name of a model; no deployment here serves this operation".to_owned()
    } else {
        format!("expected the name of a model; allowed are: {}", able.join(", "))
    };
    Err(RequestFault { field: "model".to_owned(), problem }.into())
}

/// The owner of the objects that a request needs.
enum Owner {
    /// The deployment that made it.
    Deployment(DeploymentName),
    /// The endpoint that can have it; nothing is known of it.
    Endpoint(EndpointName),
}

/// Finds the deployment that stored the objects which the request needs: the response that it follows, its conversation,
/// items that it names by id. None of them may belong to another caller; the first known one decides. An unknown object may
/// be requested if config allows it and only one endpoint can have it.
///
/// Of unknown objects that are not requested, hidden reasoning is accepted, because it may not have been stored at all. A
/// conversation is accepted only if there is a single caller: among several, it could belong to any of them.
fn owner_of_needed(
    incoming: &Incoming<'_>,
    rules: &Rules,
    responses: &StoredResponses,
    unknown: Unknown,
) -> Result<Option<Owner>, UnknownResponse> {
    let Incoming { call, request, hints, .. } = incoming;
    let previous = request.previous_response().map(|id| (id, Stored::Previous, true));
    let several = call.caller.name().is_some();
    let conversation = request.conversation().map(|id| (id, Stored::Conversation, several));
    let items = request.references().iter();
    let items = items.map(|item| (&*item.id, Stored::Item, item.bare));
    let (mut first, mut asked) = (None, None);
    for (id, what, must) in previous.into_iter().chain(conversation).chain(items) {
        let must = match responses.holder(id, &call.caller) {
            Holder::Caller(deployment) => {
                first = first.or(Some(deployment));
                continue;
            }
            Holder::Another => true,
            Holder::Unknown => {
                let askable = unknown == Unknown::Ask && (must || what == Stored::Conversation);
                if askable && asked.is_none() {
                    let places = places(rules, &call.rights, hints);
                    asked = <[_; 1]>::try_from(places).ok().map(|[place]| place.endpoint.clone());
                }
                must && asked.is_none()
            }
        };
        if must {
            return Err(UnknownResponse { id: id.to_owned(), what });
        }
    }
    Ok(first.map(Owner::Deployment).or(asked.map(Owner::Endpoint)))
}

/// The role in which a follow-up of a stored response goes on: it is led to a deployment by name, but its caller asked for the
/// router's judgement, and the model in hand tells what that was. `None` where the caller named a model, or follows nothing.
pub(super) fn role_of_follow_up(
    request: &ChatRequest<'_>,
    model: &ModelName,
    rules: &Rules,
) -> Option<Task> {
    let follows = request.previous_response().is_some()
        || request.conversation().is_some()
        || !request.references().is_empty();
    if !follows {
        return None;
    }
    let Rules { policy, catalog, .. } = rules;
    match RequestedModel::look_up(request.model(), &policy.aliases, catalog).ok()? {
        RequestedModel::Role(task) => Some(task),
        RequestedModel::Auto(_) => [Task::Reasoning, Task::Chat]
            .into_iter()
            .find(|task| policy.role(*task).models.contains(model)),
        RequestedModel::Model(_) | RequestedModel::Deployment(_) | RequestedModel::Pinned(_) => {
            None
        }
    }
}

fn serves(rules: &Rules, name: &str, operation: Operation) -> bool {
    let Rules { policy, catalog, .. } = rules;
    let record = match RequestedModel::look_up(Some(name), &policy.aliases, catalog) {
        Ok(RequestedModel::Model(name)) => catalog.model(name.as_str()),
        Ok(RequestedModel::Deployment(name) | RequestedModel::Pinned(name)) => {
            catalog.deployment(name.as_str()).map(|deployment| &deployment.model)
        }
        Ok(RequestedModel::Auto(_) | RequestedModel::Role(_)) | Err(_) => None,
    };
    record.is_some_and(|record| able(&record.abilities, operation))
}

fn able_models(rules: &Rules, rights: &Rights, operation: Operation) -> Vec<String> {
    let Rules { policy, catalog, .. } = rules;
    let mut names = rights.names(&policy.aliases, catalog);
    names.retain(|name| catalog.model(name).is_some_and(|model| able(&model.abilities, operation)));
    names
}

fn able(abilities: &Abilities, operation: Operation) -> bool {
    match operation {
        Operation::Chat => abilities.chat_completions,
        Operation::Responses | Operation::InputTokens | Operation::Compact => abilities.responses,
        Operation::Completions => abilities.completions,
        Operation::Embeddings => abilities.embeddings,
        Operation::Passed(medium) => abilities.media.serves(medium),
    }
}
