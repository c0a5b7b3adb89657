//! Which name is looked up for a request: the path's, the body's, or that of the deployment which stored what it needs.

use std::borrow::Cow;

use crate::chat::ChatRequest;
use crate::chat::Operation;
use crate::chat::RequestFault;
use crate::decision::Rules;
use crate::error::RouteError;
use crate::model::Abilities;
use crate::policy::Asked;
use crate::policy::Rights;
use crate::policy::UnknownModel;
use crate::stored::Caller;
use crate::stored::Holder;
use crate::stored::Stored;
use crate::stored::StoredResponses;
use crate::stored::UnknownResponse;
use crate::task::Task;
use crate::units::DeploymentName;
use crate::units::ModelName;

/// The name to look up; `None` where the body's own counts.
///
/// # Errors
/// The request needs what is not stored here for this caller, or names no model although its operation says
/// nothing of a task.
pub(super) fn name_of<'n>(
    request: &'n ChatRequest<'_>,
    path_model: Option<&'n str>,
    rules: &Rules,
    stored: (&StoredResponses, &Caller),
    rights: &Rights,
) -> Result<Option<Cow<'n, str>>, RouteError> {
    if let Some(owner) = owner_of_needed(request, stored)? {
        return Ok(Some(format!("deployment:{owner}").into()));
    }
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
        Asked::Model(_) | Asked::Deployment(_) | Asked::Pinned(_) => Ok(Some(Cow::Borrowed(name))),
        // Two models' embeddings, voices or judgements are not each other's replacement.
        Asked::Auto(_) | Asked::Role(_) => Err(UnknownModel {
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
    if let ([only], Operation::Passed) = (able.as_slice(), operation) {
        return Ok(only.clone().into());
    }
    let problem = if able.is_empty() {
        "expected the name of a model; no deployment here serves this operation".to_owned()
    } else {
        format!("expected the name of a model; allowed are: {}", able.join(", "))
    };
    Err(RequestFault { field: "model".to_owned(), problem }.into())
}

/// The deployment that stored what the request needs: the response that it follows, its conversation, items that it names in
/// place of what they say. None of them may be another caller's; the first that is this caller's leads the way.
///
/// Of what is not known here, hidden reasoning passes: it may not have been stored at all. A conversation passes only where all
/// callers are one: among several it could be anybody's.
fn owner_of_needed(
    request: &ChatRequest<'_>,
    (responses, caller): (&StoredResponses, &Caller),
) -> Result<Option<DeploymentName>, UnknownResponse> {
    let previous = request.previous_response().map(|id| (id, Stored::Previous, true));
    let several = caller.name().is_some();
    let conversation = request.conversation().map(|id| (id, Stored::Conversation, several));
    let items = request.references().iter();
    let items = items.map(|item| (&*item.id, Stored::Item, item.bare));
    let mut first = None;
    for (id, what, must) in previous.into_iter().chain(conversation).chain(items) {
        let unknown = || Err(UnknownResponse { id: id.to_owned(), what });
        match responses.holder(id, caller) {
            Holder::Caller(deployment) => first = first.or(Some(deployment)),
            Holder::Another => return unknown(),
            Holder::Unknown if must => return unknown(),
            Holder::Unknown => {}
        }
    }
    Ok(first)
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
    match Asked::look_up(request.model(), &policy.aliases, catalog).ok()? {
        Asked::Role(task) => Some(task),
        Asked::Auto(_) => [Task::Reasoning, Task::Chat]
            .into_iter()
            .find(|task| policy.role(*task).models.contains(model)),
        Asked::Model(_) | Asked::Deployment(_) | Asked::Pinned(_) => None,
    }
}

fn serves(rules: &Rules, name: &str, operation: Operation) -> bool {
    let Rules { policy, catalog, .. } = rules;
    let record = match Asked::look_up(Some(name), &policy.aliases, catalog) {
        Ok(Asked::Model(name)) => catalog.model(name.as_str()),
        Ok(Asked::Deployment(name) | Asked::Pinned(name)) => {
            catalog.deployment(name.as_str()).map(|deployment| &deployment.model)
        }
        Ok(Asked::Auto(_) | Asked::Role(_)) | Err(_) => None,
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
        Operation::Responses => abilities.responses,
        Operation::Completions => abilities.completions,
        Operation::Embeddings => abilities.embeddings,
        Operation::Passed => abilities.media,
    }
}
