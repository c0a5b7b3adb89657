//! A listing -> a configuration as text, with comments that state assumptions.
//!
//! It names secrets and contains none. What the router cannot use is left out, with a comment that
//! gives the reason.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use router_core::config::{Sku, shipped_records};
use router_core::deployment::Area;
use router_core::model::ModelRecord;
use router_core::units::{Day, ModelName};

use super::listing::{Account, Listed, Listing};
use super::proposal::{Candidate, propose};

/// Result of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    /// The configuration.
    pub(crate) text: String,
    /// Number of deployments.
    pub(crate) deployments: usize,
    /// Assumptions and warnings, one line each.
    pub(crate) remarks: Vec<String>,
}

/// A listed deployment that the router can use.
struct Usable<'l> {
    listed: &'l Listed,
    endpoint: String,
    key: String,
    sku: Sku,
    record: Arc<ModelRecord>,
}

/// Writes the configuration.
pub(crate) fn written(listing: &Listing, today: Day) -> Written {
    let mut writer = Writer::default();
    let endpoints = names(listing.accounts.iter().map(|account| &*account.name), &[]);
    let keys = names(listing.deployments.iter().map(|one| &*one.name), &["defaults"]);
    let mut usable = Vec::new();
    for (listed, key) in listing.deployments.iter().zip(keys) {
        let account = listing.accounts.iter().zip(&endpoints);
        let found = account.into_iter().find(|(account, _)| account.name == listed.account);
        let Some((account, endpoint)) = found else { continue };
        match checked(listed, account) {
            Ok((sku, record)) => {
                usable.push(Usable { listed, endpoint: endpoint.clone(), key, sku, record });
            }
            Err(why) => writer.left_out(listed, &why),
        }
    }
    writer.roles(&usable, today);
    for (account, name) in listing.accounts.iter().zip(&endpoints) {
        if usable.iter().any(|one| one.endpoint == *name) {
            writer.endpoint(account, name, endpoints.len() == 1);
        }
    }
    for one in &usable {
        writer.deployment(one);
    }
    Written { text: writer.finish(), deployments: usable.len(), remarks: writer.remarks }
}

/// The type and the record of a deployment, or why the router cannot use it.
fn checked(listed: &Listed, account: &Account) -> Result<(Sku, Arc<ModelRecord>), String> {
    let sku = listed.sku().ok_or_else(|| {
        format!("its type {} serves no requests online, or is not known", plain(&listed.sku))
    })?;
    let region = account.region.as_deref().map(|region| format!("region:{region}"));
    let region = region.and_then(|region| Area::try_from(region.as_str()).ok());
    sku.area(region).map_err(|fault| {
        format!("{sku} {fault}; pass the output of `az cognitiveservices account show` as well")
    })?;
    let records = shipped_records();
    let record = record(listed, &records).cloned().ok_or_else(|| {
        format!("no record of the model {}; [models.\"NAME\"] adds one", plain(&listed.model))
    })?;
    if sku.is_provisioned() && (record.ptu.is_none() || listed.capacity.is_none()) {
        return Err(format!(
            "how much of {} one PTU serves is not known; set input_tpm_per_ptu and output_ratio",
            record.name
        ));
    }
    Ok((sku, record))
}

/// The record of the version, if there is one, else of the model. Azure writes some names without their OpenAI suffix.
fn record<'r>(
    listed: &Listed,
    records: &'r BTreeMap<ModelName, Arc<ModelRecord>>,
) -> Option<&'r Arc<ModelRecord>> {
    let find = |name: &str| records.values().find(|record| record.name.as_str() == name);
    let version = listed.version.as_deref().unwrap_or_default();
    find(&format!("{}-{version}", listed.model))
        .or_else(|| find(&listed.model))
        .or_else(|| find(&format!("{}-1", listed.model)))
}

/// A key of the configuration for each name: `a-z`, `0-9` and `_`, none twice, none of `taken`.
fn names<'n>(names: impl Iterator<Item = &'n str>, taken: &[&str]) -> Vec<String> {
    let mut known: BTreeSet<String> = taken.iter().map(|name| (*name).to_owned()).collect();
    let key = |name: &str| {
        let letter = |letter: char| {
            let letter = letter.to_ascii_lowercase();
            if letter.is_ascii_alphanumeric() { letter } else { '_' }
        };
        name.chars().map(letter).take(100).collect::<String>()
    };
    let mut unique = |name: String| {
        let more = (2_u32..).map(|number| format!("{name}_{number}"));
        let mut all = std::iter::once(name.clone()).chain(more);
        let free = all.find(|name| !name.is_empty() && !known.contains(name)).unwrap_or(name);
        known.insert(free.clone());
        free
    };
    names.map(key).map(&mut unique).collect()
}

/// A text of Azure's for a comment: one line of it.
fn plain(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(80).collect()
}

/// A text in TOML's quotes; those of JSON mean the same.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[derive(Default)]
struct Writer {
    head: String,
    body: String,
    remarks: Vec<String>,
}

impl Writer {
    fn line(&mut self, text: impl AsRef<str>) {
        self.body.push_str(text.as_ref());
        self.body.push('\n');
    }

    fn remark(&mut self, text: String) {
        self.remarks.push(text);
    }

    fn left_out(&mut self, listed: &Listed, why: &str) {
        let text =
            format!("{} of {}: left out: {why}", plain(&listed.name), plain(&listed.account));
        self.head.extend(["# ", &text, "\n"]);
        self.remark(text);
    }

    fn roles(&mut self, usable: &[Usable<'_>], today: Day) {
        let mut candidates: Vec<Candidate> = Vec::new();
        for one in usable {
            let provisioned = one.sku.is_provisioned();
            match candidates.iter_mut().find(|known| known.record.name == one.record.name) {
                Some(known) => known.provisioned |= provisioned,
                None => candidates.push(Candidate { record: Arc::clone(&one.record), provisioned }),
            }
        }
        let Some(roles) = propose(&candidates, today) else {
            self.remark("no deployment answers chat completions: the roles are missing".to_owned());
            return;
        };
        let list = |models: &[String]| {
            models.iter().map(|model| quoted(model)).collect::<Vec<_>>().join(", ")
        };
        if roles.shared {
            let text = "no model reasons: both roles have the same models";
            self.line(format!("# Assumed: {text}."));
            self.remark(text.to_owned());
        } else {
            self.line("# Assumed: models that reason, the most expensive first.");
        }
        self.line(format!("[roles.reasoning]\nmodels = [{}]\n", list(&roles.reasoning)));
        self.line("# Assumed: models that answer without thinking; provisioned ones first, then the cheapest.");
        self.line(format!("[roles.chat]\nmodels = [{}]", list(&roles.chat)));
        if let Some(effort) = roles.chat_effort {
            self.line(format!(
                "effort = \"{effort}\" # its models would think first by themselves"
            ));
        }
        self.line("");
    }

    fn endpoint(&mut self, account: &Account, name: &str, alone: bool) {
        if account.assumed {
            let text = format!(
                "the address of {} follows from its name; `az cognitiveservices account show` has it",
                plain(&account.name)
            );
            self.line(format!("# Assumed: {text}."));
            self.remark(text);
        }
        self.line(format!("[endpoints.{name}]\nurl = {}", quoted(&account.url)));
        self.line("api = \"azure_v1\" # Azure's v1 API, which needs no api-version");
        if let Some(region) = &account.region {
            self.line(format!("region = {}", quoted(region)));
        }
        if account.without_keys {
            self.line("\n# The resource refuses keys. Assumed: the managed identity of the machine; see docs/identity.md.");
            self.line(format!("[endpoints.{name}.identity]\nkind = \"instance_metadata\"\n"));
            return;
        }
        let suffix = if alone { String::new() } else { format!("_{}", name.to_uppercase()) };
        self.line(format!("api_key = {{ env = \"AZURE_OPENAI_API_KEY{suffix}\" }}\n"));
    }

    fn deployment(&mut self, one: &Usable<'_>) {
        let (listed, record) = (one.listed, &one.record);
        self.line(format!("[deployments.{}]\nendpoint = {}", one.key, quoted(&one.endpoint)));
        let version = listed.version.as_deref().map(plain);
        let version = version.map(|version| format!(" # version {version}")).unwrap_or_default();
        self.line(format!("model = {}{version}", quoted(record.name.as_str())));
        if listed.name != record.name.as_str() {
            self.line(format!("azure_deployment = {}", quoted(&listed.name)));
        }
        self.line(format!("sku = \"{}\"", one.sku));
        self.size(one);
        if !listed.ready {
            self.line("enabled = false # Azure was not done with it when it was listed");
            self.remark(format!("{}: switched off: Azure was not done with it", one.key));
        }
        if let Some(to) = &listed.spills_to {
            self.line(format!("# Azure itself spills what it refuses over to {}.", plain(to)));
        }
        self.line("");
    }

    fn size(&mut self, one: &Usable<'_>) {
        let listed = one.listed;
        if one.sku.is_provisioned() {
            let ptu = listed.capacity.unwrap_or_default();
            return self.line(format!("ptu = {ptu}"));
        }
        if let Some(requests) = listed.requests_per_minute {
            self.line(format!("requests_per_minute = {requests}"));
        }
        match (listed.tokens_per_minute, listed.capacity) {
            (Some(tokens), _) => self.line(format!("tokens_per_minute = {tokens}")),
            (None, Some(capacity)) if capacity > 0 && listed.requests_per_minute.is_none() => {
                let tokens = capacity.saturating_mul(1_000);
                self.line(format!(
                    "tokens_per_minute = {tokens} # assumed: 1,000 for each of {capacity} units of capacity"
                ));
            }
            (None, Some(_) | None) => {}
        }
    }

    fn finish(&mut self) -> String {
        let head = std::mem::take(&mut self.head);
        let gap = if head.is_empty() { "" } else { "\n" };
        format!(
            "# Written by router-server. Lines with \"assumed\" are worth a look. Every key: configs/example.toml.\n\
             {head}{gap}\n{}",
            std::mem::take(&mut self.body).trim_start()
        )
        .trim_end()
        .to_owned()
    }
}
