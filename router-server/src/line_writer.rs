//! Writes log lines of requests to standard output in batches, from a thread of its own: one system call serves many lines.
//!
//! If standard output is slower than the requests, the queue fills, and requests wait for it as they would without the thread.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// So many lines wait at most; a line has about half a kilobyte.
const QUEUE: usize = 4_096;

/// So many bytes are written at once.
const BATCH: usize = 64 << 10;

/// Time for which lines are collected. The thread is not woken meanwhile.
const GAP: Duration = Duration::from_millis(5);

/// Takes lines. The thread ends when the last handle is gone and all lines are written.
#[derive(Debug, Clone)]
pub(crate) struct LineWriter(SyncSender<Message>);

#[derive(Debug)]
enum Message {
    Line(Vec<u8>),
    /// Everything before has been written.
    Flush(SyncSender<()>),
}

impl LineWriter {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn start(to: impl Write + Send + 'static) -> io::Result<Self> {
        let (queue, messages) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new().name("request-lines".to_owned());
        thread.spawn(move || write(&messages, to))?;
        Ok(Self(queue))
    }

    /// Returns when everything so far is written.
    pub(crate) fn flush(&self) {
        let (done, written) = sync_channel(1);
        // A thread that is gone has nothing left to write.
        if self.0.send(Message::Flush(done)).is_ok() {
            written.recv().ok();
        }
    }

    /// Takes a line, its end included.
    ///
    /// # Errors
    /// The thread is gone.
    pub(crate) fn line(&self, line: Vec<u8>) -> io::Result<()> {
        let sent = self.0.send(Message::Line(line));
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// A whole line in each call.
impl Write for LineWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.line(line.to_vec()).map(|()| line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write(messages: &Receiver<Message>, mut to: impl Write) {
    let mut batch: Vec<u8> = Vec::new();
    let mut out = |batch: &mut Vec<u8>| {
        // Nobody can be told that standard output is closed.
        drop(to.write_all(batch).and_then(|()| to.flush()));
        batch.clear();
    };
    while let Ok(message) = messages.recv() {
        let mut waits = true;
        let mut next = Some(message);
        while let Some(message) = next.take() {
            match message {
                Message::Line(line) => batch.extend_from_slice(&line),
                Message::Flush(done) => {
                    out(&mut batch);
                    // The receiver may have been dropped.
                    done.send(()).ok();
                    waits = false;
                }
            }
            if batch.len() >= BATCH {
                out(&mut batch);
            }
            next = messages.try_recv().ok();
            if next.is_none() && std::mem::take(&mut waits) {
                std::thread::sleep(GAP);
                next = messages.try_recv().ok();
            }
        }
        out(&mut batch);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Each call of `write`.
    #[derive(Clone, Default)]
    struct Calls(Arc<Mutex<Vec<Vec<u8>>>>);

    impl Write for Calls {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().push(bytes.to_vec());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_written_in_order_and_many_at_once() {
        let calls = Calls::default();
        let mut writer = LineWriter::start(calls.clone()).unwrap();
        let lines: Vec<String> = (0..2_000).map(|number| format!("line {number}\n")).collect();
        for line in &lines {
            writer.write_all(line.as_bytes()).unwrap();
        }
        LineWriter::flush(&writer);
        let calls = calls.0.lock().unwrap();
        assert_eq!(calls.concat(), lines.concat().into_bytes());
        assert!(calls.len() < lines.len() / 4, "{} writes", calls.len());
    }
}
