//! The handle of a running emulator: start it, script it, read what it saw, stop it.

use crate::identity::Identity;
use crate::journal::Entry;
use crate::script::step::Step;
use crate::server::app;
use crate::server::connection;
use crate::server::deployed::Counters;
use crate::server::deployed::Deployed;
use crate::server::deployed::Gauge;
use crate::server::shared::Shared;
use crate::settings::Settings;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// A running emulator. Dropping it closes its sockets at once; [`Emulator::stop`] lets open
/// requests end first, for up to a second.
#[derive(Debug)]
pub struct Emulator {
    shared: Arc<Shared>,
    addr: SocketAddr,
    url: String,
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
}

impl Emulator {
    /// Starts listening and serving.
    ///
    /// # Errors
    /// The address cannot be listened on, or a bucket's settings make no sense (`InvalidInput`).
    pub async fn start(mut settings: Settings) -> io::Result<Self> {
        let listener = TcpListener::bind(settings.listen).await?;
        let addr = listener.local_addr()?;
        settings.resource.get_or_insert_with(|| addr.to_string());
        let shared = Shared::new(settings, Instant::now())
            .map_err(|fault| io::Error::new(io::ErrorKind::InvalidInput, fault))?;
        let shared = Arc::new(shared);
        let (stop, stopped) = watch::channel(false);
        let task = connection::start(listener, app::app(Arc::clone(&shared)), stopped);
        let url = format!("http://{addr}");
        Ok(Self { shared, addr, url, stop, task: Some(task) })
    }

    /// Stops accepting, lets open requests end for up to a second, and closes everything.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        if let Some(task) = self.task.take() {
            // It ends by itself and cannot fail; a panic in it would have nothing to tell us.
            drop(task.await);
        }
    }

    /// `http://127.0.0.1:PORT`: the endpoint of an Azure resource. With `/v1` it is the base URL
    /// of an OpenAI client, with `/openai/v1` that of Azure's undated API.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Address that it listens at.
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Adds a step to the script of a deployment; false when there is no such deployment.
    pub fn script(&self, deployment: &str, step: Step) -> bool {
        self.deployed(deployment).is_some_and(|deployed| {
            deployed.add_step(step);
            true
        })
    }

    /// Adds several steps in order; false when there is no such deployment.
    pub fn script_all(&self, deployment: &str, steps: impl IntoIterator<Item = Step>) -> bool {
        self.deployed(deployment).is_some_and(|deployed| {
            steps.into_iter().for_each(|step| deployed.add_step(step));
            true
        })
    }

    /// Throws the rest of a deployment's script away.
    pub fn clear_script(&self, deployment: &str) {
        if let Some(deployed) = self.deployed(deployment) {
            deployed.clear_script();
        }
    }

    /// Every request so far, oldest first, as far as the journal holds them.
    pub fn journal(&self) -> Vec<Entry> {
        self.shared.journal.entries()
    }

    /// The requests that reached a deployment.
    pub fn requests_to(&self, deployment: &str) -> Vec<Entry> {
        let mut entries = self.journal();
        entries.retain(|entry| entry.deployment.as_deref() == Some(deployment));
        entries
    }

    /// Empties the journal. Requests in flight are forgotten as well.
    pub fn clear_journal(&self) {
        self.shared.journal.clear();
    }

    /// Waits until `condition` accepts the journal; returns false if `within` passes first.
    ///
    /// A finished entry is already counted in its deployment's bucket and counters. `condition` runs while the
    /// journal is locked, so it must not call methods that read the journal, such as [`Emulator::journal`].
    pub async fn wait_for(
        &self,
        condition: impl FnMut(&[Entry]) -> bool,
        within: Duration,
    ) -> bool {
        self.shared.journal.wait_for(condition, within).await
    }

    /// Counts of a deployment; `None` for an unknown deployment.
    pub fn counters(&self, deployment: &str) -> Option<Counters> {
        self.deployed(deployment).map(|deployed| deployed.counters())
    }

    /// The utilization of a provisioned deployment, 1.0 being 100 %; `None` for any other.
    pub fn utilization(&self, deployment: &str) -> Option<f64> {
        match self.deployed(deployment)?.gauge(Instant::now()) {
            Gauge::Utilization(share) => Some(share),
            Gauge::Quota(_) => None,
        }
    }

    /// Brings a provisioned deployment to a utilization at once, as other callers would; false
    /// for any other.
    pub fn fill(&self, deployment: &str, utilization: f64) -> bool {
        self.deployed(deployment).is_some_and(|deployed| deployed.fill(Instant::now(), utilization))
    }

    /// Lowers the token limit in force of a pay-as-you-go deployment, as pressure on the shared
    /// pool would; false for any other.
    pub fn limit_tokens(&self, deployment: &str, tpm: u64) -> bool {
        self.deployed(deployment).is_some_and(|deployed| deployed.limit_tokens(tpm))
    }

    /// The issuer of tokens.
    pub fn identity(&self) -> &Identity {
        &self.shared.identity
    }

    fn deployed(&self, name: &str) -> Option<&Arc<Deployed>> {
        self.shared.deployment(name)
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
