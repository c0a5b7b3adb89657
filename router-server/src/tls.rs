//! TLS of the listener: the configured certificate and key, and the authority of callers'
//! certificates.
//!
//! The files are read when a configuration is about to run, so that a faulty pair changes nothing:
//! the previous configuration continues with its certificate. A handshake uses the configuration of
//! its moment; open connections stay as they are. HTTP/2 is preferred to HTTP/1.1.

use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tracing::debug;

use crate::config::Tls;
use crate::validity::not_after;

/// The time of a handshake, so that a client that only opens connections does not keep them.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The reason why the listener cannot speak TLS as config says.
#[derive(Debug, thiserror::Error)]
pub enum TlsFault {
    /// A file cannot be read.
    #[error("server.tls.{key}: {} cannot be read: {cause}", path.display())]
    NotRead {
        /// The key in config.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        cause: io::Error,
    },
    /// A file does not hold what it should.
    #[error("server.tls.{key}: {} must hold {expected} in PEM form, found {found}", path.display())]
    NotPem {
        /// The key in config.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Expected contents.
        expected: &'static str,
        /// Actual contents.
        found: &'static str,
    },
    /// Certificate and key do not belong together, or the TLS library does not take one of them.
    #[error("server.tls.key: {} does not fit {}: {cause}", key.display(), certificate.display())]
    NotAPair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// The TLS library's error.
        cause: rustls::Error,
    },
}

/// Makes handshakes.
#[derive(Clone)]
pub(crate) struct Handshakes {
    acceptor: TlsAcceptor,
    expires: Option<u64>,
}

impl std::fmt::Debug for Handshakes {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Handshakes")
    }
}

impl Handshakes {
    /// Reads the files.
    pub(crate) fn new(files: &Tls) -> Result<Self, TlsFault> {
        let chain = certificates("certificate", &files.certificate, "a certificate")?;
        let expires = chain.iter().filter_map(|one| not_after(one)).min();
        let key = key(&files.key)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let not_a_pair = |cause| TlsFault::NotAPair {
            certificate: files.certificate.clone(),
            key: files.key.clone(),
            cause,
        };
        let callers = match &files.client_ca {
            Some(path) => callers(path, &provider)?,
            None => WebPkiClientVerifier::no_client_auth(),
        };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(not_a_pair)?
            .with_client_cert_verifier(callers)
            .with_single_cert(chain, key)
            .map_err(not_a_pair)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), expires })
    }

    /// Expiry of the chain's first certificate, since 1970.
    pub(crate) fn expires(&self) -> Option<Duration> {
        self.expires.map(Duration::from_secs)
    }

    /// All that is wrong with the files.
    pub(crate) fn faults(files: &Tls) -> Vec<TlsFault> {
        let chain = certificates("certificate", &files.certificate, "a certificate").err();
        let key = key(&files.key).err();
        let unfit = if chain.is_none() && key.is_none() {
            Self::new(&Tls { client_ca: None, ..files.clone() }).err()
        } else {
            None
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let callers = files.client_ca.as_ref().and_then(|path| callers(path, &provider).err());
        [chain, key, unfit, callers].into_iter().flatten().collect()
    }

    /// Makes one; `None` if the caller does not speak TLS, does not believe us, or shows no certificate that we believe.
    pub(crate) async fn make(&self, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        match timeout(HANDSHAKE, self.acceptor.accept(stream)).await {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(error)) => {
                debug!(%error, "a TLS handshake failed");
                None
            }
            Err(_) => {
                debug!("a TLS handshake took too long");
                None
            }
        }
    }
}

/// The other side: a connection to a server of this machine, whose certificate names the public host and is not verified.
pub(crate) async fn unverified(
    stream: TcpStream,
) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    let name = ServerName::IpAddress(Ipv4Addr::LOCALHOST.into());
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// Believes every certificate whose holder has its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

fn callers(
    path: &Path,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsFault> {
    let expected = "authorities' certificates";
    let fault =
        |found| TlsFault::NotPem { key: "client_ca", path: path.to_owned(), expected, found };
    let mut roots = RootCertStore::empty();
    for authority in certificates("client_ca", path, expected)? {
        roots.add(authority).map_err(|_| fault("one that is none"))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|_| fault("none that is of use"))
}

/// All certificates of a file; at least one.
fn certificates(
    key: &'static str,
    path: &Path,
    expected: &'static str,
) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let text = read(key, path)?;
    let fault = |found| TlsFault::NotPem { key, path: path.to_owned(), expected, found };
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match all {
        Ok(all) if all.is_empty() => Err(fault("none")),
        Ok(all) => Ok(all),
        Err(_) => Err(fault("one that cannot be decoded")),
    }
}

/// The first private key of a file. A fault does not repeat the content of the file: it may be the key anyway.
fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsFault> {
    let text = read("key", path)?;
    let fault = |found| TlsFault::NotPem {
        key: "key",
        path: path.to_owned(),
        expected: "a private key without a password",
        found,
    };
    PrivateKeyDer::from_pem_slice(&text).map_err(|cause| {
        let none = matches!(cause, pem::Error::NoItemsFound);
        fault(if none { "none" } else { "one that cannot be decoded" })
    })
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, TlsFault> {
    std::fs::read(path).map_err(|cause| TlsFault::NotRead { key, path: path.to_owned(), cause })
}
