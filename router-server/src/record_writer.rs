//! Writes the request log without delaying requests: lines go through a bounded queue to one thread
//! that owns the file.
//!
//! If the disk is slower than the requests, the queue fills, and lines are dropped and counted. If
//! the file cannot be written, lines are lost and counted, and the log reports it once. The writer
//! outlives configurations: a new path takes effect with its configuration.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};
use router_core::record::{Observer, RequestRecord, Settlement};
use router_core::router::ModelRouter;
use tokio::sync::oneshot;
use tracing::{error, info};

use crate::config::RequestLog;
use crate::record_file::Lost;
use crate::record_file::RecordFile;
use router_core::log_line::LoggedRequest;

/// The most lines that wait; a line has about a kilobyte.
const QUEUE: usize = 8_192;

/// The bytes that are written at once.
const BATCH: usize = 32_768;

/// The time that the end of the process waits for the last lines.
const LAST_LINES: Duration = Duration::from_secs(5);

/// The reason why the writer does not start.
#[derive(Debug, thiserror::Error)]
pub enum WriterFault {
    /// The registry holds its metric already.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The system gives no thread.
    #[error("no thread for the request log: {0}")]
    Thread(#[from] std::io::Error),
}

/// Takes lines from requests that have ended.
#[derive(Debug)]
pub(crate) struct RecordWriter {
    queue: SyncSender<Message>,
    wish: Arc<Wish>,
    dropped: IntCounter,
}

/// The file's settings since the thread last looked; apart from the queue, which may be full of lines for a disk
/// that hangs.
type Wish = Mutex<Said>;

#[derive(Debug, Default)]
enum Said {
    #[default]
    Nothing,
    To(RequestLog),
    Nowhere,
}

#[derive(Debug)]
enum Message {
    Line(Vec<u8>),
    /// Everything before has been written.
    Flush(oneshot::Sender<()>),
}

impl RecordWriter {
    /// Starts the thread. It ends when the last handle is gone and all lines are written.
    ///
    /// # Errors
    /// The registry has another writer, or no thread can be started.
    pub(crate) fn start(registry: &Registry) -> Result<Arc<Self>, WriterFault> {
        let options = Opts::new(
            "request_log_lines_total",
            "Lines of the request log: written, dropped because the disk is too slow, or failed to write.",
        );
        let lines = IntCounterVec::new(options.namespace("model_router"), &["outcome"])?;
        registry.register(Box::new(lines.clone()))?;
        let count = |outcome| lines.with_label_values(&[outcome]);
        let (queue, messages) = sync_channel(QUEUE);
        let wish = Arc::new(Wish::default());
        let thread = Thread {
            messages,
            wish: Arc::clone(&wish),
            file: None,
            failing: false,
            written: count("written"),
            failed: count("failed"),
        };
        std::thread::Builder::new().name("request-log".to_owned()).spawn(|| thread.run())?;
        Ok(Arc::new(Self { queue, wish, dropped: count("dropped") }))
    }

    /// Follows another configuration from now on, and observes its router.
    pub(crate) fn follow(self: &Arc<Self>, log: Option<&RequestLog>, router: &ModelRouter) {
        *locked(&self.wish) = log.cloned().map_or(Said::Nowhere, Said::To);
        if log.is_some() {
            router.observe(Arc::<Self>::clone(self));
        }
    }

    /// Waits until everything told so far is written, but not for a disk that hangs.
    pub(crate) async fn flush(&self) {
        let (done, written) = oneshot::channel();
        let mut message = Message::Flush(done);
        let waiting = async {
            while let Err(TrySendError::Full(again)) = self.queue.try_send(message) {
                message = again;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            drop(written.await);
        };
        if tokio::time::timeout(LAST_LINES, waiting).await.is_err() {
            error!("the request log's last lines are not written: the disk does not answer");
        }
    }
}

impl Observer for RecordWriter {
    fn closed(&self, record: &RequestRecord) {
        self.line(&LoggedRequest::of(record));
    }

    fn settled(&self, settlement: &Settlement) {
        self.line(&LoggedRequest::of_settlement(settlement));
    }
}

impl RecordWriter {
    fn line(&self, request: &LoggedRequest) {
        // Names and numbers alone: there is nothing in it that could not be written as JSON.
        let Ok(mut line) = serde_json::to_vec(request) else { return };
        line.push(b'\n');
        if self.queue.try_send(Message::Line(line)).is_err() {
            self.dropped.inc();
        }
    }
}

/// A lock that a panic left behind still holds a whole value.
fn locked(wish: &Wish) -> MutexGuard<'_, Said> {
    wish.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lines that are written at once.
#[derive(Debug, Default)]
struct Batch {
    bytes: Vec<u8>,
    lines: u64,
}

struct Thread {
    messages: Receiver<Message>,
    wish: Arc<Wish>,
    file: Option<RecordFile>,
    failing: bool,
    written: IntCounter,
    failed: IntCounter,
}

impl Thread {
    fn run(mut self) {
        let mut batch = Batch::default();
        while let Ok(message) = self.messages.recv() {
            let mut next = Some(message);
            while let Some(message) = next.take() {
                match message {
                    Message::Line(line) => {
                        if batch.bytes.len() + line.len() > BATCH {
                            self.write(&mut batch);
                        }
                        batch.bytes.extend_from_slice(&line);
                        batch.lines += 1;
                    }
                    Message::Flush(done) => {
                        self.write(&mut batch);
                        // Nobody may be waiting any more.
                        match done.send(()) {
                            Ok(()) | Err(()) => {}
                        }
                    }
                }
                next = self.messages.try_recv().ok();
            }
            self.write(&mut batch);
        }
    }

    fn write(&mut self, batch: &mut Batch) {
        let said = std::mem::take(&mut *locked(&self.wish));
        match said {
            Said::Nothing => {}
            Said::To(log) => (self.file, self.failing) = (Some(RecordFile::new(log)), false),
            Said::Nowhere => self.file = None,
        }
        let Batch { bytes, lines } = batch;
        if let (Some(file), 1..) = (&mut self.file, *lines) {
            let path = file.path().display().to_string();
            match file.append(bytes) {
                Ok(()) => {
                    self.written.inc_by(*lines);
                    if std::mem::take(&mut self.failing) {
                        info!(%path, "the request log is written again");
                    }
                }
                Err(Lost { written, cause }) => {
                    self.written.inc_by(written);
                    self.failed.inc_by(lines.saturating_sub(written));
                    if !std::mem::replace(&mut self.failing, true) {
                        error!(%path, error = %cause, "the request log cannot be written; requests are still served");
                    }
                }
            }
        }
        bytes.clear();
        *lines = 0;
    }
}
