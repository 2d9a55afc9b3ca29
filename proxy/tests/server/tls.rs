//! TLS: versions, ALPN, reload and hostile handshakes (D15).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use sealgate::metrics::{Listener, Metrics, Phase};
use sealgate::server::{Tls, TlsError, TlsFiles};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::gate::{Gate, hello, options, rest};

/// A certificate and key for `gate`, as files.
pub struct Pair {
    _folder: tempfile::TempDir,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Pair {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("gate.crt"), folder.path().join("gate.key"));
        let pair = Self { _folder: folder, certificate, key };
        pair.renew();
        pair
    }

    /// Writes a new certificate and key.
    pub fn renew(&self) {
        let made = rcgen::generate_simple_self_signed(["gate".to_owned()]).unwrap();
        std::fs::write(&self.certificate, made.cert.pem()).unwrap();
        std::fs::write(&self.key, made.signing_key.serialize_pem()).unwrap();
    }

    pub fn load(&self, http2: bool, metrics: &Arc<Metrics>) -> Arc<Tls> {
        Tls::load(self.files(), http2, Arc::clone(metrics)).unwrap()
    }

    fn files(&self) -> TlsFiles {
        TlsFiles { certificate: self.certificate.clone(), key: self.key.clone(), client_ca: None }
    }

    fn client(&self, versions: &[&'static rustls::SupportedProtocolVersion], protocols: &[&str]) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(first_certificate(&self.certificate)).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        TlsConnector::from(Arc::new(config))
    }

    pub async fn connect(&self, gate: &Gate, protocols: &[&str]) -> std::io::Result<TlsStream<TcpStream>> {
        let versions = [&rustls::version::TLS13, &rustls::version::TLS12];
        let name = ServerName::try_from("gate").unwrap();
        self.client(&versions, protocols).connect(name, gate.connect().await).await
    }
}

fn first_certificate(path: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(path).unwrap()
}

async fn start(pair: &Pair, http2: bool) -> (Gate, Arc<Tls>) {
    let mut options = options();
    let tls = pair.load(http2, &options.metrics);
    options.tls = Some(Arc::clone(&tls));
    options.handshake_timeout = Duration::from_millis(500);
    (Gate::start(options, tower::service_fn(hello)).await, tls)
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn both_versions_of_tls_are_spoken() {
    let pair = Pair::new();
    let (gate, _tls) = start(&pair, false).await;
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let client = pair.client(&[version], &[]);
        let mut stream = client.connect(ServerName::try_from("gate").unwrap(), gate.connect().await).await.unwrap();
        assert_eq!(stream.get_ref().1.protocol_version(), Some(version.version));
        stream.write_all(GET).await.unwrap();
        assert!(rest(&mut stream).await.ends_with(b"hello"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_is_offered_only_where_it_is_configured() {
    for (http2, offered, chosen) in [
        (false, &["h2", "http/1.1"] as &[&str], Some("http/1.1")),
        (false, &["h2"], None),
        (true, &["h2", "http/1.1"], Some("h2")),
        (true, &["http/1.1"], Some("http/1.1")),
    ] {
        let pair = Pair::new();
        let (gate, _tls) = start(&pair, http2).await;
        let protocol = match pair.connect(&gate, offered).await {
            Ok(stream) => stream.get_ref().1.alpn_protocol().map(|name| String::from_utf8(name.to_vec()).unwrap()),
            Err(_refused) => None,
        };
        assert_eq!(protocol.as_deref(), chosen, "{http2} {offered:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_pair_is_served_and_a_broken_one_is_not() {
    let pair = Pair::new();
    let (gate, tls) = start(&pair, false).await;
    assert!(!tls.reload().unwrap(), "nothing changed");
    let old = Pair { _folder: tempfile::tempdir().unwrap(), certificate: pair.certificate.with_extension("old"), key: pair.key.clone() };
    std::fs::copy(&pair.certificate, &old.certificate).unwrap();

    // The certificate alone is replaced: no pair.
    let whole = std::fs::read(&pair.certificate).unwrap();
    std::fs::write(&pair.certificate, rcgen::generate_simple_self_signed(["gate".to_owned()]).unwrap().cert.pem()).unwrap();
    assert!(matches!(tls.reload().unwrap_err(), TlsError::Pair { .. }));
    assert_eq!(gate.metrics.tls_last_reload_success.get(), 0);
    assert!(!tls.reload().unwrap(), "a broken pair is read once");
    assert!(old.connect(&gate, &[]).await.is_ok());
    std::fs::write(&pair.certificate, whole.get(..whole.len() / 2).unwrap()).unwrap();
    assert!(matches!(tls.reload().unwrap_err(), TlsError::Certificate { .. }));

    // Gone for a moment.
    std::fs::remove_file(&pair.certificate).unwrap();
    assert!(matches!(tls.reload().unwrap_err(), TlsError::Read { .. }));
    assert!(old.connect(&gate, &[]).await.is_ok());

    pair.renew();
    assert!(tls.reload().unwrap());
    assert_eq!(gate.metrics.tls_last_reload_success.get(), 1);
    assert!(pair.connect(&gate, &[]).await.is_ok());
    assert!(old.connect(&gate, &[]).await.is_err());
}

#[tokio::test]
async fn an_error_of_the_key_shows_nothing_of_it() {
    let pair = Pair::new();
    let metrics = Metrics::new([]);
    let good = std::fs::read_to_string(&pair.key).unwrap();
    let secret = good.lines().nth(1).unwrap();
    for content in [
        format!("-----BEGIN {secret}\n{secret}\n"),
        format!("-----BEGIN PRIVATE KEY-----\n{secret}!\n-----END PRIVATE KEY-----\n"),
        format!("-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----\n"),
        format!("-----BEGIN PRIVATE KEY-----\n{secret}\n"),
        format!("-----BEGIN ENCRYPTED PRIVATE KEY-----\n{secret}\n-----END ENCRYPTED PRIVATE KEY-----\n"),
        secret.to_owned(),
        String::new(),
    ] {
        std::fs::write(&pair.key, &content).unwrap();
        let error = Tls::load(pair.files(), false, Arc::clone(&metrics)).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(secret), "{shown}");
        let numbers = format!("{:?}", secret.as_bytes());
        assert!(!shown.contains(numbers.trim_matches(['[', ']'])), "{shown}");
        assert!(shown.contains("gate.key"), "{shown}");
    }
}

// D15
#[tokio::test(flavor = "multi_thread")]
async fn garbage_for_a_handshake_ends_the_connection_only() {
    let pair = Pair::new();
    let (gate, _tls) = start(&pair, true).await;
    let mut noise = vec![0x16, 3, 1, 0xff, 0xff];
    noise.extend((0..70_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8));
    let empty_records = [0x16, 3, 3, 0, 0].repeat(20_000);
    let alerts = [0x15, 3, 3, 0, 2, 1, 0].repeat(10_000);
    let hello_of_nothing = [0x16, 3, 1, 0, 4, 1, 0, 0, 0].to_vec();
    let change_cipher_specs = [0x14, 3, 3, 0, 1, 1].repeat(10_000);
    for garbage in [noise, empty_records, alerts, hello_of_nothing, change_cipher_specs, GET.to_vec(), vec![0; 100_000], vec![0xff; 10]] {
        let answer = gate.send(&garbage).await;
        assert!(!answer.contains("hello"), "{answer}");
    }
    gate.until(|metrics| metrics.connections(Listener::Gate).open.get() == 0).await;
    let mut stream = pair.connect(&gate, &["http/1.1"]).await.unwrap();
    stream.write_all(GET).await.unwrap();
    assert!(rest(&mut stream).await.ends_with(b"hello"));
}

// D15, D17
#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_does_not_end_is_cut_off() {
    let pair = Pair::new();
    let (gate, _tls) = start(&pair, false).await;
    assert_eq!(gate.send(b"").await, "");
    assert_eq!(gate.send(&[0x16, 3, 1, 2, 0, 1, 0]).await, "");
    assert_eq!(gate.metrics.connections(Listener::Gate).reaped(Phase::Handshake).get(), 2);
}
