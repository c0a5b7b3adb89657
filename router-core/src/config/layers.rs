//! The layers of a configuration: the shipped model records, files, environment.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::model::ModelRecord;
use crate::units::Day;
use crate::units::ModelName;
use crate::upstream::Credential;
use crate::upstream::SecretSource;

use super::checked::Config;
use super::fault::{ConfigFaults, Fault, Key, Origin};
use super::load::Read;
use super::program_tables::{ProgramTables, Unchecked};
use super::raw::Raw;
use super::records;
use super::table::{Findings, plain};

/// The records of the known models, dated and sourced in the file itself.
const SHIPPED: &str = include_str!("../../models.toml");

/// Sources of a configuration, weakest first: the shipped model records, files, environment.
///
/// ```
/// use router_core::config::Layers;
/// use router_core::units::Day;
/// let layers = Layers {
///     files: vec!["missing.toml".into()],
///     environment: vec![("ROUTER__LIMITS__DEADLINE_MS".into(), "soon".into())],
///     today: Day::try_from("2026-11-23")?,
/// };
/// let faults = layers.check().unwrap_err().to_string();
/// assert!(faults.contains("missing.toml: cannot be read: "));
/// assert!(faults.contains("ROUTER__LIMITS__DEADLINE_MS: must be a whole number, found `soon`"));
/// # Ok::<(), router_core::units::NameFault>(())
/// ```
#[derive(Clone)]
pub struct Layers {
    /// Files in TOML; of a key that several set, the last one's value holds.
    pub files: Vec<PathBuf>,
    /// The environment. `ROUTER__SERVER__LISTEN` sets `server.listen` over all files; an empty value counts as unset.
    /// The other variables are asked for the names that credentials refer to, and for nothing else.
    pub environment: Vec<(String, String)>,
    /// The day with which retirement dates are compared.
    pub today: Day,
}

/// Names alone: values of the environment may be secrets.
impl fmt::Debug for Layers {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.environment.iter().map(|(name, _)| name.as_str()).collect();
        out.debug_struct("Layers")
            .field("files", &self.files)
            .field("environment", &names)
            .field("today", &self.today)
            .finish()
    }
}

impl Layers {
    /// These files under the environment of this process.
    pub fn of_process(files: &[PathBuf], today: Day) -> Self {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self { files: files.to_vec(), environment, today }
    }

    /// Reads and checks all layers. The tables of a server are accepted and not checked.
    ///
    /// # Errors
    /// Every fault of every layer, in the order of the layers and then of the tables.
    pub fn check(&self) -> Result<Config, ConfigFaults> {
        self.check_with::<Unchecked>().map(|(config, ())| config)
    }

    /// Reads and checks all layers, with the program's own tables.
    ///
    /// # Errors
    /// Every fault of every layer.
    pub fn check_with<P: ProgramTables>(&self) -> Result<(Config, P::Settings), ConfigFaults> {
        let mut read = Read::default();
        read.text(SHIPPED, &Origin::Shipped);
        let read = self.own_layers(read).finish::<P>();
        let (mut config, settings) = read.check(self.today)?;
        let secrets = secrets(&config, read.raw()).into_iter().chain(P::secrets(&settings));
        for (key, source) in secrets {
            if let Some(problem) = self.absent(&source) {
                config
                    .warnings
                    .push(Fault { origin: read.origin(&key), ..Fault::new(key, problem) });
            }
        }
        Ok((config, settings))
    }

    /// All layers as written, without the shipped model records: what an operator set, and nothing else.
    ///
    /// # Errors
    /// Every fault of reading; values are not checked.
    pub fn raw<P: ProgramTables>(&self) -> Result<(Raw, P), ConfigFaults> {
        self.own_layers(Read::default()).finish().into_raw()
    }

    fn own_layers(&self, mut read: Read) -> Read {
        for path in &self.files {
            read.file(path);
        }
        read.environment(&self.environment);
        read
    }

    /// The reason why a credential cannot be read now; it may be there when it is needed.
    fn absent(&self, source: &SecretSource) -> Option<String> {
        match source {
            SecretSource::Environment(name) => {
                let set = self
                    .environment
                    .iter()
                    .any(|(set, value)| set.as_str() == &**name && !value.trim().is_empty());
                (!set).then(|| format!("environment variable {name} is not set"))
            }
            SecretSource::File(path) => std::fs::metadata(path)
                .err()
                .map(|error| format!("file {}: {}", path.display(), plain(&error))),
        }
    }
}

/// Every secret of a configuration, with the key that names its source.
fn secrets(config: &Config, raw: &Raw) -> Vec<(Key, SecretSource)> {
    let key = |path: &[&str]| Key::from(path.iter().map(ToString::to_string).collect::<Vec<_>>());
    let mut secrets = Vec::new();
    for (name, endpoint) in &config.endpoints {
        let written = raw.endpoints.get(name.as_str());
        let is_key = written.is_some_and(|endpoint| endpoint.api_key.is_some());
        let (word, sources) = match &endpoint.credential {
            Credential::Anonymous => continue,
            Credential::ApiKey(source) | Credential::Bearer(source) => {
                (if is_key { "api_key" } else { "bearer" }, vec![source.clone()])
            }
            Credential::Identity(identity) => ("identity", identity.sources()),
        };
        let at = |source| (key(&["endpoints", name.as_str(), word]), source);
        secrets.extend(sources.into_iter().map(at));
    }
    let password = config.replicas.iter().filter_map(|replicas| replicas.password.clone());
    secrets.extend(password.map(|source| (key(&["replicas", "password"]), source)));
    secrets
}

/// The records that come with this library, by the model's name: for simulations and for embedders without config.
///
/// ```
/// let records = router_core::config::shipped_records();
/// assert!(records["o1"].reasons() && !records["gpt-4o"].reasons());
/// ```
pub fn shipped_records() -> BTreeMap<ModelName, Arc<ModelRecord>> {
    let mut read = Read::default();
    read.text(SHIPPED, &Origin::Shipped);
    let findings = Findings::default();
    let records =
        records::check(&read.finish::<Unchecked>().raw().models, &findings.top().sub("models"));
    records.into_values().flatten().map(|record| (record.name.clone(), record)).collect()
}

impl Config {
    /// Reads and checks these files under the environment of this process. They may be those of a server: its own tables
    /// (`[server]`, `[request_log]`, `[identity_providers]`, `[notify]`, `[traces]`) are accepted and not checked.
    ///
    /// # Errors
    /// Every fault there is, each with its file and key.
    pub fn load(files: &[PathBuf], today: Day) -> Result<Self, ConfigFaults> {
        Layers::of_process(files, today).check()
    }

    /// Reads and checks a text in TOML over the shipped model records, without files or environment.
    ///
    /// ```
    /// use router_core::config::Config;
    /// use router_core::units::Day;
    /// let text = r#"
    ///     [endpoints.seoul]
    ///     url = "https://seoul.openai.azure.com"
    ///     api = "azure_v1"
    ///     api_key = { env = "SEOUL_KEY" }
    ///     [deployments.kr_ptu]
    ///     endpoint = "seoul"
    ///     model = "gpt-5.2"
    ///     billing = "provisioned"
    ///     area = "region:koreacentral"
    ///     ptu = 50
    ///     [roles]
    ///     reasoning.models = ["gpt-5.2"]
    ///     chat.models = ["gpt-5.2"]
    /// "#;
    /// let config = Config::from_toml(text, Day::try_from("2026-11-23")?)?;
    /// assert_eq!(config.catalog.deployments().len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Every fault there is, each with its key.
    pub fn from_toml(text: &str, today: Day) -> Result<Self, ConfigFaults> {
        Self::from_toml_with::<Unchecked>(text, today).map(|(config, ())| config)
    }

    /// The same with the program's own tables.
    ///
    /// # Errors
    /// Every fault there is, each with its key.
    pub fn from_toml_with<P: ProgramTables>(
        text: &str,
        today: Day,
    ) -> Result<(Self, P::Settings), ConfigFaults> {
        let mut read = Read::default();
        read.text(SHIPPED, &Origin::Shipped);
        read.text(text, &Origin::Unnamed);
        read.finish::<P>().check(today)
    }
}
