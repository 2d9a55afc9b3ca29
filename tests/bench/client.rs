//! A client that keeps its connection and throws bodies away: on plaintext the kernel drops them (tcp(7), `MSG_TRUNC`), so that the
//! client's own work weighs little.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ring::digest::{Context, SHA256};
use rustix::net::{RecvFlags, recv};
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use sealgate_tests::wire::ACCEPT_MANIFESTS;

/// How long a read may wait: as long as the slowest peer holds back a first byte of sixteen cold clients.
const LIMIT: Duration = Duration::from_secs(120);
/// Bytes that are thrown away at once.
const PIECE: usize = 1024 * 1024;

/// Bytes that the kernel holds for a client that reads nothing.
const NARROW: usize = 64 * 1024;

/// A connection.
pub struct Client {
    stream: Stream,
    address: SocketAddr,
    piece: Vec<u8>,
    /// Hashes bodies, as every real client does.
    verify: bool,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// The head of an answer of 200.
#[derive(Debug)]
pub struct Head {
    /// `Docker-Content-Digest`.
    pub digest: Option<String>,
    length: u64,
    /// What came of the body with it.
    begun: Vec<u8>,
}

/// How TLS clients believe servers.
pub fn tls(authority: &str) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(rustls::pki_types::CertificateDer::from_pem_slice(authority.as_bytes()).expect("PEM")).expect("an authority");
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let builder = builder.with_protocol_versions(&[&rustls::version::TLS13]).expect("TLS 1.3");
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

impl Client {
    /// Over plaintext.
    pub fn connect(address: SocketAddr) -> Self {
        Self { stream: Stream::Plain(open(address)), address, piece: vec![0; PIECE], verify: false }
    }

    /// Over plaintext, with a receive buffer that stays small.
    pub fn connect_narrow(address: SocketAddr) -> Self {
        let stream = open(address);
        rustix::net::sockopt::set_socket_recv_buffer_size(&stream, NARROW).expect("a receive buffer");
        Self { stream: Stream::Plain(stream), address, piece: Vec::new(), verify: false }
    }

    /// Over TLS.
    pub fn connect_tls(address: SocketAddr, config: &Arc<ClientConfig>) -> Self {
        let connection = ClientConnection::new(Arc::clone(config), ServerName::from(address.ip())).expect("a TLS client");
        let stream = Stream::Tls(Box::new(StreamOwned::new(connection, open(address))));
        Self { stream, address, piece: vec![0; PIECE], verify: false }
    }

    /// Reads and hashes blobs instead of dropping them.
    pub const fn verifying(mut self, verify: bool) -> Self {
        self.verify = verify;
        self
    }

    /// HEAD.
    pub fn head(&mut self, path: &str) -> Head {
        self.ask("HEAD", path)
    }

    /// GET, with the whole body.
    pub fn get(&mut self, path: &str) -> Vec<u8> {
        let head = self.ask("GET", path);
        let mut body = head.begun;
        let begun = body.len();
        body.resize(usize::try_from(head.length).expect("a body that fits"), 0);
        self.read_exact(&mut body[begun..]);
        body
    }

    /// GET, without the body's bytes; how many those were.
    pub fn drain(&mut self, path: &str) -> u64 {
        self.drain_timed(path).0
    }

    /// As [`Client::drain`], and how long the first byte of the body took.
    pub fn drain_timed(&mut self, path: &str) -> (u64, Duration) {
        let started = Instant::now();
        let head = self.ask("GET", path);
        let mut received = head.begun.len() as u64;
        let mut first = (received > 0).then(|| started.elapsed());
        let mut hash = self.verify.then(|| Context::new(&SHA256));
        if let Some(hash) = &mut hash {
            hash.update(&head.begun);
        }
        while received < head.length {
            let most = usize::try_from(head.length - received).unwrap_or(PIECE).min(PIECE);
            let count = self.drop_bytes(most);
            assert!(count > 0, "{path} at {} ended after {received} of {} bytes", self.address, head.length);
            if let Some(hash) = &mut hash {
                hash.update(&self.piece[..count]);
            }
            received += count as u64;
            first.get_or_insert_with(|| started.elapsed());
        }
        if let Some(hash) = hash {
            let found = hash.finish().as_ref().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
            assert!(path.ends_with(&found), "{path} at {}: the bytes are sha256:{found}", self.address);
        }
        (received, first.unwrap_or_else(|| started.elapsed()))
    }

    /// Sends a request and reads nothing.
    pub fn send(&mut self, method: &str, path: &str) {
        let text = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nAccept: {ACCEPT_MANIFESTS}\r\n\r\n", self.address);
        match &mut self.stream {
            Stream::Plain(stream) => stream.write_all(text.as_bytes()),
            Stream::Tls(stream) => stream.write_all(text.as_bytes()),
        }
        .expect("a request");
    }

    fn ask(&mut self, method: &str, path: &str) -> Head {
        self.send(method, path);
        let mut bytes = Vec::new();
        let end = loop {
            let mut some = [0; 4096];
            let count = self.read(&mut some);
            assert!(count > 0, "{method} {path} at {}: no answer", self.address);
            bytes.extend_from_slice(&some[..count]);
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break end;
            }
        };
        let begun = bytes.split_off(end + 4);
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.starts_with("HTTP/1.1 200 "), "{method} {path} at {}:\n{text}{}", self.address, String::from_utf8_lossy(&begun));
        let field = |name: &str| {
            let found = text.lines().filter_map(|line| line.split_once(':')).find(|(field, _)| field.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.trim().to_owned())
        };
        let length = field("content-length").and_then(|length| length.parse().ok());
        let length = length.unwrap_or_else(|| panic!("{method} {path} at {}: no length\n{text}", self.address));
        Head { digest: field("docker-content-digest"), length, begun }
    }

    fn read(&mut self, buffer: &mut [u8]) -> usize {
        match &mut self.stream {
            Stream::Plain(stream) => stream.read(buffer),
            Stream::Tls(stream) => stream.read(buffer),
        }
        .unwrap_or_else(|e| panic!("{}: {e}", self.address))
    }

    fn read_exact(&mut self, buffer: &mut [u8]) {
        match &mut self.stream {
            Stream::Plain(stream) => stream.read_exact(buffer),
            Stream::Tls(stream) => stream.read_exact(buffer),
        }
        .unwrap_or_else(|e| panic!("{}: {e}", self.address));
    }

    fn drop_bytes(&mut self, most: usize) -> usize {
        let piece = &mut self.piece[..most];
        match &mut self.stream {
            Stream::Plain(stream) if self.verify => stream.read(piece).unwrap_or_else(|e| panic!("{}: {e}", self.address)),
            Stream::Plain(stream) => {
                let (_, count) = recv(&*stream, piece, RecvFlags::TRUNC).unwrap_or_else(|e| panic!("{}: {e}", self.address));
                count
            }
            Stream::Tls(stream) => stream.read(piece).unwrap_or_else(|e| panic!("{}: {e}", self.address)),
        }
    }
}

fn open(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap_or_else(|e| panic!("{address}: {e}"));
    stream.set_nodelay(true).expect("no delay");
    stream.set_read_timeout(Some(LIMIT)).expect("a limit");
    stream
}
