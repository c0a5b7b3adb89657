//! The running configuration, and its replacement while requests are served.
//!
//! Each configuration has its own app: router, handlers, limits. A reload builds the next one while
//! the current one serves, and new requests use it once it is complete. Running requests finish
//! where they began. A configuration that cannot be built changes nothing: the last good one
//! continues, and the log, a metric and `/readyz?verbose` report it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use prometheus::Registry;
use router_core::clock;
use router_core::config::ConfigFaults;
use router_core::decision::Moment;
use router_core::router::{BuildFault, ModelRouter};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{error, info, warn};

use crate::app::App;
use crate::app_state::AppState;
use crate::budgets::Budgets;
use crate::config::Config;
use crate::dashboard::Dashboard;
use crate::dashboard::Facts;
use crate::notify::Noticed;
use crate::record_file;
use crate::record_file::LogFault;
use crate::record_writer::RecordWriter;
use crate::record_writer::WriterFault;
use crate::server_state::ServerState;
use crate::state_dir::StateDir;
use crate::state_dir::StateFault;
use crate::tls::Handshakes;
use crate::tls::TlsFault;
use crate::traces::TraceFault;
use crate::traces::Tracer;

/// The reason why a configuration does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunFault {
    /// It would be reached from other machines, whose callers show no key.
    #[error(
        "{listen} is reached from other machines, whose callers show no key: give them keys ([keys.NAME]), listen at a \
         loopback address or set server.allow_anonymous = true"
    )]
    Anonymous {
        /// The address that config names.
        listen: SocketAddr,
    },
    /// The router cannot be built.
    #[error(transparent)]
    Router(#[from] BuildFault),
    /// The listener cannot speak TLS with these files.
    #[error(transparent)]
    Tls(#[from] TlsFault),
    /// The configuration has faults.
    #[error(transparent)]
    Config(#[from] ConfigFaults),
    /// The request log cannot be written where config says.
    #[error(transparent)]
    Log(#[from] LogFault),
    /// The folder for keys' spending is unusable.
    #[error(transparent)]
    State(#[from] StateFault),
    /// Nobody could write the request log.
    #[error(transparent)]
    Writer(#[from] WriterFault),
    /// No spans can be made as config says.
    #[error(transparent)]
    Traces(#[from] TraceFault),
}

impl RunFault {
    /// One line a fault.
    fn lines(&self) -> Vec<String> {
        match self {
            Self::Config(faults) => faults.0.iter().map(ToString::to_string).collect(),
            Self::Anonymous { .. }
            | Self::Router(_)
            | Self::Log(_)
            | Self::Writer(_)
            | Self::State(_)
            | Self::Traces(_)
            | Self::Tls(_) => {
                vec![self.to_string()]
            }
        }
    }
}

/// The configuration that runs.
#[derive(Debug)]
pub(crate) struct Live {
    current: watch::Sender<Arc<Current>>,
    pub(crate) process: Arc<ServerState>,
    /// Writes the request log of whichever configuration runs.
    pub(crate) writer: Arc<RecordWriter>,
    /// Held while a configuration takes another's place: each goes on from the one before it.
    change: Mutex<()>,
    /// Folder in which spending survives a restart; `None` if none is configured, or if replicas keep it.
    state_dir: Option<Arc<StateDir>>,
}

/// One configuration with the parts that were built from it.
#[derive(Debug)]
pub(crate) struct Current {
    pub(crate) config: Config,
    pub(crate) router: ModelRouter,
    /// TLS settings; `None` for plain connections.
    pub(crate) handshakes: Option<Handshakes>,
    budgets: Budgets,
    /// The names of the keys.
    keys: Arc<[Box<str>]>,
    app: App,
}

impl Current {
    fn new(
        config: Config,
        router: ModelRouter,
        handshakes: Option<Handshakes>,
        process: &Arc<ServerState>,
    ) -> Arc<Self> {
        process.certificate(handshakes.as_ref().and_then(Handshakes::expires));
        let shared = AppState::new(router.clone(), &config, process);
        let budgets = shared.budgets.clone();
        let keys = config.router.keys.iter().map(|key| key.name.as_str().into()).collect();
        let app = App::new(Arc::new(shared));
        Arc::new(Self { config, router, handshakes, budgets, keys, app })
    }

    /// Service that answers requests under this configuration.
    pub(crate) fn app(&self) -> &App {
        &self.app
    }
}

impl Live {
    /// Begins with a configuration.
    pub(crate) fn new(config: &Config) -> Result<Self, RunFault> {
        may_run(config)?;
        let handshakes = config.server.tls.as_ref().map(Handshakes::new).transpose()?;
        let registry = Registry::new();
        let router = ModelRouter::new(&config.router, &registry)?;
        let state_dir =
            config.server.state_dir.as_deref().filter(|_| config.router.replicas.is_none());
        let state_dir = state_dir.map(|folder| StateDir::open(folder, router.ledger()));
        let state_dir = state_dir.transpose()?.map(Arc::new);
        config.request_log.as_ref().map(record_file::probe).transpose()?;
        let writer = RecordWriter::start(&registry)?;
        writer.follow(config.request_log.as_ref(), &router);
        let tracer = Tracer::start(config, &registry)?;
        if let Some(tracer) = &tracer {
            tracer.follow(config, &router);
        }
        let process =
            ServerState::new(registry, &config.router.version, tracer).map_err(BuildFault::from)?;
        let process = Arc::new(process);
        if let Some(folder) = &config.server.state_dir {
            process.dashboard.restore(folder);
        }
        router.observe(Arc::<Dashboard>::clone(&process.dashboard));
        let current = Current::new(config.clone(), router, handshakes, &process);
        let (current, _) = watch::channel(current);
        Ok(Self { current, process, writer, change: Mutex::default(), state_dir })
    }

    /// The configuration that runs now.
    pub(crate) fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current.borrow())
    }

    /// Writes what keys have spent, if that is kept. Blocks while the disk does.
    pub(crate) fn keep_spending(&self) {
        if let Some(dir) = &self.state_dir {
            dir.keep(self.current().router.ledger());
        }
    }

    /// The notices that are due, each ready to be sent; none if config names no address.
    pub(crate) fn notices(
        &self,
        noticed: &mut Noticed,
        room: usize,
    ) -> Vec<impl Future<Output = ()> + Send + 'static + use<>> {
        let current = self.current();
        let Some(settings) = current.config.notify.clone() else { return Vec::new() };
        let moment = Moment::new(Instant::now(), clock::day(clock::wall()));
        let budgets = current.budgets.spent(current.router.ledger(), moment);
        let limits = current.config.router.limits.connections();
        let due = noticed.due(&budgets, room).into_iter();
        let send = |notice| {
            let (notifier, settings) = (self.process.notifier.clone(), settings.clone());
            async move { notifier.deliver(notice, settings, limits).await }
        };
        due.map(send).collect()
    }

    /// Ends a second of the dashboard.
    pub(crate) fn sample(&self) {
        let (current, reloads) = (self.current(), self.process.reloads());
        let (now, wall) = (Instant::now(), clock::wall());
        let today = clock::day(wall);
        let last = reloads.last;
        let at = last.as_ref().and_then(|last| last.at.duration_since(UNIX_EPOCH).ok());
        let facts = Facts {
            config: reloads.version,
            reload_faults: last.map(|last| last.faults).unwrap_or_default(),
            reloaded_ms: at.map_or(0, |at| u64::try_from(at.as_millis()).unwrap_or(u64::MAX)),
            draining: self.process.draining(),
            today,
            budgets: current.budgets.spent(current.router.ledger(), Moment::new(now, today)),
            keys: Arc::clone(&current.keys),
        };
        self.process.dashboard.sample(&current.router, &facts, now, wall);
    }

    /// Writes the dashboard's history, if config names a folder. Blocks while the disk does.
    pub(crate) fn keep_history(&self) {
        if let Some(folder) = &self.current().config.server.state_dir {
            self.process.dashboard.keep(folder);
        }
    }

    /// Runs the configuration that was read. Blocks while secrets are read; log and metrics report the result.
    pub(crate) fn take(&self, read: Result<Config, ConfigFaults>) {
        let changed = read.map_err(RunFault::from).and_then(|config| self.change(config));
        if let Err(fault) = changed {
            self.keep(&fault);
        }
    }

    /// Runs another configuration from the next request on.
    pub(crate) fn change(&self, mut config: Config) -> Result<(), RunFault> {
        let turn = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.current();
        let fixed = keep_fixed(&before.config, &mut config);
        may_run(&config)?;
        config.request_log.as_ref().map(record_file::probe).transpose()?;
        let handshakes = config.server.tls.as_ref().map(Handshakes::new).transpose()?;
        let router = before.router.renewed(&config.router)?;
        for key in &fixed {
            warn!(key, "this key cannot change while the server runs: restart it");
        }
        for warning in &config.router.warnings {
            warn!(%warning, "configuration");
        }
        let (version, deployments) =
            (config.router.version.clone(), config.router.catalog.deployments().len());
        self.writer.follow(config.request_log.as_ref(), &router);
        if let Some(tracer) = &self.process.tracer {
            tracer.follow(&config, &router);
        }
        self.current.send_replace(Current::new(config, router, handshakes, &self.process));
        self.process.reloaded(&version, fixed);
        drop(turn);
        info!(
            version = &*version,
            before = &*before.config.router.version,
            deployments,
            "configuration reloaded"
        );
        Ok(())
    }

    /// Reports why the configuration that was read does not run.
    pub(crate) fn keep(&self, fault: &RunFault) {
        let lines = fault.lines();
        // Before the log: who reads it there and asks finds it told everywhere.
        self.process.kept(lines.clone());
        for fault in &lines {
            error!(fault, "configuration not reloaded");
        }
        let version = self.current().config.router.version.clone();
        error!(
            faults = lines.len(),
            version = &*version,
            "the last good configuration stays in use"
        );
    }
}

/// Callers without a key come from this machine alone, unless config says otherwise.
fn may_run(config: &Config) -> Result<(), RunFault> {
    let listen = config.server.listen;
    if config.may_listen() { Ok(()) } else { Err(RunFault::Anonymous { listen }) }
}

/// Gives keys that cannot change while the server runs their old values; names those that differ.
fn keep_fixed(before: &Config, after: &mut Config) -> Vec<&'static str> {
    let mut differ = Vec::new();
    if before.router.replicas != after.router.replicas {
        after.router.replicas.clone_from(&before.router.replicas);
        differ.push("replicas");
    }
    if before.traces != after.traces {
        after.traces.clone_from(&before.traces);
        differ.push("traces");
    }
    let (before, after) = (&before.server, &mut after.server);
    if before.listen != after.listen {
        after.listen = before.listen;
        differ.push("server.listen");
    }
    if before.state_dir != after.state_dir {
        after.state_dir.clone_from(&before.state_dir);
        differ.push("server.state_dir");
    }
    if before.workers != after.workers {
        after.workers = before.workers;
        differ.push("server.workers");
    }
    if before.log != after.log {
        after.log = before.log;
        differ.push("server.log");
    }
    differ
}
