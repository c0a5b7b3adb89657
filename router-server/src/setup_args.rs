//! The command lines of `import`, `init` and `check`. It executes nothing.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

/// The file that commands read when they are given none.
pub const USUAL: &str = "router.toml";

/// The files of a configuration.
#[derive(Debug, Clone, Args)]
pub struct Files {
    /// A configuration file; repeatable, later ones override earlier ones. Default: ./router.toml
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub config: Vec<PathBuf>,
}

/// No configuration was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no --config FILE, and no {USUAL} in this folder; `router-server init` writes one")]
pub struct NoFile;

impl Files {
    /// The files as given, or else ./router.toml.
    ///
    /// # Errors
    /// None is given and there is none.
    pub fn found(&self) -> Result<Vec<PathBuf>, NoFile> {
        if !self.config.is_empty() {
            return Ok(self.config.clone());
        }
        usual().map(|usual| vec![usual]).ok_or(NoFile)
    }
}

/// ./router.toml, if it is there.
pub fn usual() -> Option<PathBuf> {
    let path = Path::new(USUAL);
    path.is_file().then(|| path.to_owned())
}

/// `check`.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit status: 0 if there is no fault (there may be warnings), 1 if there is one. With --live also 1 if a deployment does not \
answer as configured; one that answers 429 is there, and counts as fine.")]
pub struct Check {
    /// The configuration.
    #[command(flatten)]
    pub files: Files,
    /// Send one short request to each deployment and report the upstream's answer; costs a few tokens each
    #[arg(long)]
    pub live: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `import`.
#[derive(Debug, Subcommand)]
pub enum Import {
    /// Write a configuration from the output of the Azure CLI
    #[command(after_help = "\
Examples:
  az cognitiveservices account show -n NAME -g GROUP -o json > account.json
  az cognitiveservices account deployment list -n NAME -g GROUP -o json > deployments.json
  router-server import azure account.json deployments.json --out router.toml
  az cognitiveservices account deployment list -n NAME -g GROUP -o json | router-server import azure -")]
    Azure(ImportAzure),
}

/// `import azure`.
#[derive(Debug, Args)]
pub struct ImportAzure {
    /// Files with the output of `account show` and `account deployment list`, for one or more resources; - reads standard input
    #[arg(value_name = "FILE", default_value = "-", num_args = 1..)]
    pub files: Vec<PathBuf>,
    /// Write the configuration to this new file; default: standard output
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// `init`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  router-server init --non-interactive --endpoint https://contoso.openai.azure.com --region koreacentral \\
      --reasoning gpt-5.2 --chat gpt-4o=chat-prod --ptu gpt-4o-ptu=50")]
pub struct Init {
    /// The address of the Azure OpenAI resource
    #[arg(long, value_name = "URL")]
    pub endpoint: Option<String>,
    /// The resource's region
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// The model for reasoning, as MODEL or as MODEL=NAME if its deployment has another name at Azure
    #[arg(long, value_name = "MODEL[=NAME]")]
    pub reasoning: Option<String>,
    /// The model for chat, as MODEL or as MODEL=NAME
    #[arg(long, value_name = "MODEL[=NAME]")]
    pub chat: Option<String>,
    /// A provisioned deployment of the chat model, its name at Azure and its size; `none` without one
    #[arg(long, value_name = "NAME=PTU")]
    pub ptu: Option<String>,
    /// Ask nothing: a missing option has its default, or is an error if it has none
    #[arg(long)]
    pub non_interactive: bool,
    /// Write the configuration to this new file
    #[arg(long, value_name = "FILE", default_value = USUAL)]
    pub out: PathBuf,
}
