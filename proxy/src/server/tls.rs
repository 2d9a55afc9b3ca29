//! TLS 1.2 and 1.3 with a certificate that is reloaded when its files change.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use super::shutdown::Shutdown;
use crate::metrics::Metrics;

/// How often the files are looked at.
const RELOAD_EVERY: Duration = Duration::from_secs(5);
/// Largest certificate or key file, bytes: far above any chain.
const FILE_SIZE: u64 = 1024 * 1024;

/// Why a certificate and key cannot be used. Never carries content of either file.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}: {error}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A file is larger than any certificate chain or key.
    #[error("{path} is larger than {FILE_SIZE} bytes")]
    Size {
        /// Which file.
        path: PathBuf,
    },
    /// No PEM certificate in the file.
    #[error("{path} holds no PEM certificate (expected: -----BEGIN CERTIFICATE-----)")]
    Certificate {
        /// Which file.
        path: PathBuf,
    },
    /// No PEM private key in the file.
    #[error("{path} holds no unencrypted PEM private key (expected: PKCS#8, PKCS#1 or SEC1)")]
    Key {
        /// Which file.
        path: PathBuf,
    },
    /// The CAs of clients cannot be used.
    #[error("{path} holds no usable PEM certificate authority (expected: -----BEGIN CERTIFICATE-----)")]
    ClientCa {
        /// Which file.
        path: PathBuf,
    },
    /// They are no pair, or of a kind that is not supported.
    #[error("{certificate} and {key} cannot be used together: {problem}")]
    Pair {
        /// Certificate file.
        certificate: PathBuf,
        /// Key file.
        key: PathBuf,
        /// What is wrong.
        problem: &'static str,
    },
}

/// What changes when a file is written, replaced, or reached by another link.
pub(crate) type Stamp = (u64, u64, i64, i64, i64, i64, u64);

/// Where everything is, all of it PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificate chain.
    pub certificate: PathBuf,
    /// Private key.
    pub key: PathBuf,
    /// CAs whose certificates name clients. None: no client is asked for a certificate.
    pub client_ca: Option<PathBuf>,
}

impl TlsFiles {
    fn stamps(&self) -> [Option<Stamp>; 3] {
        [stamp(&self.certificate), stamp(&self.key), self.client_ca.as_deref().and_then(stamp)]
    }
}

/// The certificate in use and where it came from.
pub struct Tls {
    files: TlsFiles,
    http2: bool,
    config: ArcSwap<ServerConfig>,
    /// Of the files, as they were when they were last read, usable or not.
    stamps: Mutex<[Option<Stamp>; 3]>,
    metrics: Arc<Metrics>,
}

impl Tls {
    /// Reads the files. `http2` offers `h2` before `http/1.1`.
    ///
    /// # Errors
    /// What is wrong with the files.
    pub fn load(files: TlsFiles, http2: bool, metrics: Arc<Metrics>) -> Result<Arc<Self>, TlsError> {
        // Stamps first: a change while the files are read shows at the next look.
        let stamps = files.stamps();
        let config = read(&files, http2)?;
        metrics.tls_last_reload_success.set(1);
        Ok(Arc::new(Self { files, http2, config: ArcSwap::new(config), stamps: Mutex::new(stamps), metrics }))
    }

    /// Reads the files again if they changed since they were last read; whether they did. Blocks on file I/O.
    ///
    /// # Errors
    /// What is wrong with the new files; the last good pair stays in use.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let stamps = self.files.stamps();
        let mut last = self.stamps.lock().unwrap_or_else(PoisonError::into_inner);
        if *last == stamps {
            return Ok(false);
        }
        *last = stamps;
        match read(&self.files, self.http2) {
            Ok(config) => {
                self.config.store(config);
                self.metrics.tls_last_reload_success.set(1);
                tracing::info!(certificate = %self.files.certificate.display(), "TLS certificate reloaded");
                Ok(true)
            }
            Err(error) => {
                self.metrics.tls_last_reload_success.set(0);
                tracing::error!(%error, "TLS certificate not reloaded; the last good one stays in use");
                Err(error)
            }
        }
    }

    /// Reloads whenever the files change, until the shutdown.
    pub(super) async fn watch(self: Arc<Self>, shutdown: Shutdown) {
        loop {
            tokio::select! {
                () = shutdown.requested() => return,
                () = tokio::time::sleep(RELOAD_EVERY) => {}
            }
            let tls = Arc::clone(&self);
            // The outcome is logged and measured where it is known.
            if tokio::task::spawn_blocking(move || tls.reload().is_ok()).await.is_err() {
                tracing::error!("the look at the TLS files was interrupted");
            }
        }
    }

    /// Accepts with the certificate in use now.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.load_full())
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("files", &self.files).field("http2", &self.http2).finish_non_exhaustive()
    }
}

/// None for a file that is not there.
pub(crate) fn stamp(path: &Path) -> Option<Stamp> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino(), found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec(), found.size()))
}

fn read(files: &TlsFiles, http2: bool) -> Result<Arc<ServerConfig>, TlsError> {
    let TlsFiles { certificate, key, client_ca } = files;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&read_file(certificate)?)
        .collect::<Result<_, _>>()
        .map_err(|_| TlsError::Certificate { path: certificate.to_owned() })?;
    if chain.is_empty() {
        return Err(TlsError::Certificate { path: certificate.to_owned() });
    }
    let text = zeroize::Zeroizing::new(read_file(key)?);
    // The parser's own error quotes lines of the file.
    let private = PrivateKeyDer::from_pem_slice(&text).map_err(|_| TlsError::Key { path: key.to_owned() })?;
    let pair = |problem| TlsError::Pair { certificate: certificate.to_owned(), key: key.to_owned(), problem };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let clients =
        client_ca.as_deref().map(|path| client_verifier(path, &provider)).transpose()?.unwrap_or_else(WebPkiClientVerifier::no_client_auth);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|_| pair("this build has no TLS 1.2 or 1.3"))?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, private)
        .map_err(|error| pair(problem(&error)))?;
    config.alpn_protocols = if http2 { vec![b"h2".to_vec(), b"http/1.1".to_vec()] } else { vec![b"http/1.1".to_vec()] };
    Ok(Arc::new(config))
}

/// Asks clients for a certificate and takes none for an answer: who shows none is anonymous. A certificate of another CA, or an expired
/// one, ends the handshake.
fn client_verifier(path: &Path, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let unusable = || TlsError::ClientCa { path: path.to_owned() };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&read_file(path)?) {
        roots.add(certificate.map_err(|_| unusable())?).map_err(|_| unusable())?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    builder.allow_unauthenticated().build().map_err(|_| unusable())
}

fn problem(error: &rustls::Error) -> &'static str {
    match error {
        rustls::Error::InconsistentKeys(_) => "the key does not belong to the certificate",
        rustls::Error::InvalidCertificate(_) => "the certificate is malformed",
        _ => "the key is malformed or of an unsupported kind",
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |error| TlsError::Read { path: path.to_owned(), error };
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(FILE_SIZE + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_SIZE {
        return Err(TlsError::Size { path: path.to_owned() });
    }
    Ok(bytes)
}
