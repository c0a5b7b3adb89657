//! Waits for the signal to stop: SIGTERM from an orchestrator, or Ctrl-C from a person.

use std::io;

/// Signal that ended the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// An orchestrator: others may still send requests here for a moment.
    Terminate,
    /// A person, who waits for the end.
    Interrupt,
}

/// Waits until somebody asks for the end.
///
/// # Errors
/// The process may not listen to signals.
pub(crate) async fn asked() -> io::Result<Asked> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = terminate.recv() => Ok(Asked::Terminate),
            pressed = tokio::signal::ctrl_c() => pressed.map(|()| Asked::Interrupt),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await.map(|()| Asked::Interrupt)
}
