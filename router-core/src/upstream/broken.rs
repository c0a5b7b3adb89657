//! Recognizes, in the HTTP client's error, a kept-alive connection that died under a request.
//!
//! A server closes an idle connection at any moment, so a request may be written just when the
//! connection ends. This says nothing about the deployment, and the request is sent once more. A
//! response that began and is not HTTP, or that the server reset, is a different case.
//!
//! Not done here: whether the connection had been used before (`dial.rs`), and the second send
//! (`client.rs`).

use std::error::Error;
use std::io;

/// True if the connection ended before the head of a response.
pub(super) fn connection_died(fault: &(dyn Error + 'static)) -> bool {
    let mut next = Some(fault);
    while let Some(fault) = next {
        if let Some(verdict) = of_link(fault) {
            return verdict;
        }
        next = fault.source();
    }
    false
}

/// Verdict on one link of the chain of causes; `None` if the next one decides.
fn of_link(fault: &(dyn Error + 'static)) -> Option<bool> {
    if let Some(fault) = fault.downcast_ref::<hyper::Error>() {
        let died = fault.is_incomplete_message() || fault.is_canceled() || fault.is_timeout();
        let ours = fault.is_parse() || fault.is_user();
        return (died || ours).then_some(died);
    }
    if let Some(fault) = fault.downcast_ref::<h2::Error>() {
        return Some(fault.is_io());
    }
    let fault = fault.downcast_ref::<io::Error>()?;
    Some(matches!(
        fault.kind(),
        io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof
            | io::ErrorKind::NotConnected
            | io::ErrorKind::TimedOut
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A wrapper such as clients put around causes.
    #[derive(Debug, thiserror::Error)]
    #[error("wrapped")]
    struct Wrapped(#[source] io::Error);

    #[test]
    fn ends_of_a_connection_are_told_from_other_faults() {
        for (kind, expected) in [
            (io::ErrorKind::ConnectionReset, true),
            (io::ErrorKind::BrokenPipe, true),
            (io::ErrorKind::TimedOut, true),
            (io::ErrorKind::InvalidData, false),
            (io::ErrorKind::PermissionDenied, false),
        ] {
            assert_eq!(connection_died(&Wrapped(kind.into())), expected, "{kind}");
        }
        assert!(!connection_died(&std::fmt::Error));
    }
}
