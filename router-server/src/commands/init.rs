//! `init`: asks five questions and writes the configuration that `import azure` would write.
//!
//! It does not contact Azure, so it validates only the form of answers; `check --live` finds what
//! does not exist.

use std::io::{self, BufRead, IsTerminal};

use crate::args::Init;
use crate::azure::Account;
use crate::azure::Listed;
use crate::azure::Listing;
use crate::console;

use super::Failure as CommandFailure;
use super::import;

const RESOURCE: &str = "azure";

/// The reason why nothing is written.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// An answer is missing and has no default.
    #[error("--{0} is missing")]
    Missing(&'static str),
    /// An answer has another form.
    #[error("--{name}: expected {expected}")]
    Form {
        /// The option.
        name: &'static str,
        /// The form.
        expected: &'static str,
    },
    /// Nobody is there to be asked.
    #[error("standard input is not a terminal: use --non-interactive and options")]
    NoTerminal,
}

/// A question, its option and its default.
struct Question {
    name: &'static str,
    text: &'static str,
    default: Option<&'static str>,
}

const QUESTIONS: [Question; 5] = [
    Question {
        name: "endpoint",
        text: "Address of the Azure OpenAI resource, such as https://contoso.openai.azure.com",
        default: None,
    },
    Question { name: "region", text: "Its region, such as koreacentral", default: Some("") },
    Question {
        name: "reasoning",
        text: "Model for reasoning, as MODEL or MODEL=DEPLOYMENT",
        default: Some("gpt-5.6-terra"),
    },
    Question {
        name: "chat",
        text: "Model for chat, as MODEL or MODEL=DEPLOYMENT",
        default: Some("gpt-5.4-mini"),
    },
    Question {
        name: "ptu",
        text: "Provisioned deployment of the chat model, as DEPLOYMENT=PTU, or none",
        default: Some("none"),
    },
];

/// Asks what options do not say, and writes the file.
pub(super) fn run(init: &Init) -> Result<(), CommandFailure> {
    let mut input = io::stdin().lock();
    if !init.non_interactive && !input.is_terminal() {
        return Err(Failure::NoTerminal.into());
    }
    let mut given =
        [&init.endpoint, &init.region, &init.reasoning, &init.chat, &init.ptu].into_iter();
    let mut answers = Vec::with_capacity(QUESTIONS.len());
    for question in &QUESTIONS {
        let said = given.next().cloned().flatten();
        let answer = match said {
            Some(said) => said,
            None if init.non_interactive => {
                question.default.ok_or(Failure::Missing(question.name))?.to_owned()
            }
            None => ask(question, &mut input)?,
        };
        answers.push(answer);
    }
    import::deliver(&listing(&answers)?, Some(&init.out))
}

/// Asks until there is an answer.
fn ask(question: &Question, input: &mut impl BufRead) -> Result<String, CommandFailure> {
    loop {
        let default = question.default.filter(|default| !default.is_empty());
        let default = default.map(|default| format!(" [{default}]")).unwrap_or_default();
        console::complain(format_args!("{}{default}:", question.text));
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 {
            return Err(Failure::Missing(question.name).into());
        }
        let answer = line.trim();
        match question.default {
            _ if !answer.is_empty() => return Ok(answer.to_owned()),
            Some(default) => return Ok(default.to_owned()),
            None => {}
        }
    }
}

/// The answers as Azure would list them.
fn listing(answers: &[String]) -> Result<Listing, Failure> {
    let [endpoint, region, reasoning, chat, ptu] = answers else {
        return Err(Failure::Missing("endpoint"));
    };
    let address = endpoint.trim_end_matches('/');
    if !address.starts_with("https://") && !address.starts_with("http://127.0.0.1") {
        return Err(Failure::Form {
            name: "endpoint",
            expected: "an address such as https://contoso.openai.azure.com",
        });
    }
    let account = Account {
        name: RESOURCE.to_owned(),
        region: Some(region.clone()).filter(|region| !region.is_empty()),
        url: address.to_owned(),
        without_keys: false,
        assumed: false,
    };
    let mut deployments = Vec::new();
    for text in [reasoning, chat] {
        let (model, name) = text.split_once('=').unwrap_or((text, text));
        let known = deployments.iter().any(|one: &Listed| one.name == name);
        if !known {
            deployments.push(listed(model, name, "GlobalStandard", None));
        }
    }
    if ptu != "none" {
        let size = ptu.split_once('=').and_then(|(name, size)| Some((name, size.parse().ok()?)));
        let (name, size) =
            size.ok_or(Failure::Form { name: "ptu", expected: "NAME=PTU or none" })?;
        let model = chat.split_once('=').map_or(chat.as_str(), |(model, _)| model);
        let sku = if account.region.is_some() {
            "ProvisionedManaged"
        } else {
            "GlobalProvisionedManaged"
        };
        deployments.push(listed(model, name, sku, Some(size)));
    }
    Ok(Listing { accounts: vec![account], deployments })
}

fn listed(model: &str, name: &str, sku: &str, capacity: Option<i64>) -> Listed {
    Listed {
        account: RESOURCE.to_owned(),
        name: name.to_owned(),
        model: model.to_owned(),
        version: None,
        sku: sku.to_owned(),
        capacity,
        requests_per_minute: None,
        tokens_per_minute: None,
        ready: true,
        spills_to: None,
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use router_core::units::Day;

    use super::*;
    use crate::azure::written;

    fn config(answers: [&str; 5]) -> Result<Config, String> {
        let today = Day::try_from("2026-11-23").unwrap();
        let answers = answers.map(str::to_owned);
        let listing = listing(&answers).map_err(|fault| fault.to_string())?;
        Config::from_toml(&written(&listing, today).text, today)
            .map_err(|faults| faults.to_string())
    }

    #[test]
    fn five_answers_make_a_configuration() {
        let korea = [
            "https://k.openai.azure.com/",
            "koreacentral",
            "gpt-5.2",
            "gpt-4o=chat-prod",
            "gpt-4o-ptu=50",
        ];
        let config = config(korea).unwrap();
        let area = |name: &str| config.router.catalog.deployment(name).unwrap().area.to_string();
        assert_eq!(area("gpt_4o_ptu"), "region:koreacentral");
        assert_eq!(area("chat_prod"), "global");
        assert_eq!(config.router.catalog.deployments().len(), 3);
        assert_eq!(config.router.policy.chat.models.first().unwrap().as_str(), "gpt-4o");
    }

    #[test]
    fn one_deployment_may_serve_both_roles() {
        let one = config(["https://k.openai.azure.com", "", "gpt-5.4", "gpt-5.4", "none"]).unwrap();
        assert_eq!(one.router.catalog.deployments().len(), 1);
    }

    #[test]
    fn answers_of_another_form_are_refused() {
        let base = ["https://k.openai.azure.com", "", "gpt-5.4", "gpt-4o", "none"];
        let [_, region, reasoning, chat, ptu] = base;
        assert!(
            config(["contoso", region, reasoning, chat, ptu]).unwrap_err().contains("--endpoint")
        );
        assert!(config([base[0], region, reasoning, chat, "fifty"]).unwrap_err().contains("--ptu"));
    }
}
