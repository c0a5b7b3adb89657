//! `probe`: checks the health of the server on this machine, for images without a shell and `curl`.
//!
//! It sends one plain request over one connection, without an HTTP library, and reads only the
//! status line. It reads no configuration, because a server stays alive if its file is broken.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::args::Probe;
use crate::tls;

/// Timeout of the probe. Orchestrators probe every few seconds.
const PATIENCE: Duration = Duration::from_secs(3);
/// The status line is at most so long; what follows is not read.
const STATUS_LINE_BYTES: u64 = 64;

/// The reason why the server does not count as alive.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Nobody listens, or the connection broke.
    #[error("{at}: {fault}")]
    Unreachable {
        /// The probed address.
        at: SocketAddr,
        /// The system's error.
        fault: io::Error,
    },
    /// No answer came in time.
    #[error("{at}: no answer within {} s", PATIENCE.as_secs())]
    Late {
        /// The probed address.
        at: SocketAddr,
    },
    /// It answers, but not with 200.
    #[error("{at}{path}: {answer}")]
    Unwell {
        /// The probed address.
        at: SocketAddr,
        /// The requested path.
        path: &'static str,
        /// The status line.
        answer: String,
    },
}

/// Asks once.
pub(super) async fn run(probe: &Probe) -> Result<(), Failure> {
    let at = reachable(probe.address);
    let path = if probe.ready { "/readyz" } else { "/healthz" };
    let asked = tokio::time::timeout(PATIENCE, ask(at, path, probe.tls)).await;
    let answer = asked
        .map_err(|_| Failure::Late { at })?
        .map_err(|fault| Failure::Unreachable { at, fault })?;
    match answer.split(' ').nth(1) {
        Some("200") => Ok(()),
        Some(_) | None => Err(Failure::Unwell { at, path, answer }),
    }
}

/// A server that listens at every address listens at loopback too, and only that can be connected to everywhere.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other @ (IpAddr::V4(_) | IpAddr::V6(_)) => other,
    };
    SocketAddr::new(ip, listen.port())
}

/// The first line of the answer.
async fn ask(at: SocketAddr, path: &str, over_tls: bool) -> io::Result<String> {
    let stream = TcpStream::connect(at).await?;
    if over_tls {
        return ask_on(tls::unverified(stream).await?, at, path).await;
    }
    ask_on(stream, at, path).await
}

async fn ask_on(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    at: SocketAddr,
    path: &str,
) -> io::Result<String> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    stream.take(STATUS_LINE_BYTES).read_to_end(&mut head).await?;
    let text = String::from_utf8_lossy(&head);
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// Result of a probe of a server that answers `answer` to everything.
    async fn probed(answer: &'static str, ready: bool) -> (String, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = SocketAddr::new(
            IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            listener.local_addr().unwrap().port(),
        );
        let serving = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = vec![0; 1_024];
            let length = stream.read(&mut asked).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(asked.get(..length).unwrap()).into_owned()
        };
        let probe = Probe { address, ready, tls: false };
        let (told, asked) = tokio::join!(run(&probe), serving);
        (told.map_or_else(|fault| fault.to_string(), |()| "alive".to_owned()), asked)
    }

    #[tokio::test]
    async fn only_200_is_alive() {
        let (told, asked) = probed("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", false).await;
        assert_eq!(told, "alive");
        assert!(asked.starts_with("GET /healthz HTTP/1.1\r\n"), "{asked}");
        let (told, asked) = probed("HTTP/1.1 503 Service Unavailable\r\n\r\n", true).await;
        assert!(told.ends_with("/readyz: HTTP/1.1 503 Service Unavailable"), "{told}");
        assert!(asked.starts_with("GET /readyz HTTP/1.1\r\n"), "{asked}");
        let (told, _) = probed("", false).await;
        assert!(told.ends_with("/healthz: "), "{told}");
    }

    #[tokio::test]
    async fn nobody_there_is_a_failure() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let told = run(&Probe { address, ready: false, tls: false }).await.unwrap_err();
        assert!(told.to_string().starts_with(&address.to_string()), "{told}");
    }

    #[test]
    fn every_address_means_this_machine() {
        for (listen, asked) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:8080", "[::1]:8080"),
            ("10.0.0.7:80", "10.0.0.7:80"),
        ] {
            assert_eq!(reachable(listen.parse().unwrap()).to_string(), asked);
        }
    }
}
