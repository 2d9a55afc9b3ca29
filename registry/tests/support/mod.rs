//! A registry made of closures, in process: records what it was asked.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper::header::HeaderValue;
use hyper_util::rt::{TokioExecutor, TokioIo};
use sealgate_registry::{AddressGuard, Client, ClientConfig, Credentials};
use tokio::net::{TcpListener, TcpStream};

pub type Body = BoxBody<Bytes, std::io::Error>;
pub type Response = hyper::Response<Body>;

/// What a server was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    pub target: String,
    pub headers: hyper::HeaderMap,
    pub body: Bytes,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// `METHOD /target`.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }
}

pub struct Server {
    pub address: SocketAddr,
    pub scheme: &'static str,
    log: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// A plaintext server. The handler gets the request and how many came before it; `None` breaks the connection.
    pub async fn start(handler: impl Fn(&Asked, usize) -> Option<Response> + Send + Sync + 'static) -> Self {
        Self::listen(None, handler).await
    }

    /// A server with TLS.
    pub async fn start_tls(
        tls: Arc<rustls::ServerConfig>,
        handler: impl Fn(&Asked, usize) -> Option<Response> + Send + Sync + 'static,
    ) -> Self {
        Self::listen(Some(tls.into()), handler).await
    }

    async fn listen(
        tls: Option<tokio_rustls::TlsAcceptor>,
        handler: impl Fn(&Asked, usize) -> Option<Response> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let log = Arc::new(Mutex::new(Vec::new()));
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (handler, requests) = (Arc::new(handler), Arc::clone(&log));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, tls.clone(), Arc::clone(&handler), Arc::clone(&requests)));
            }
        });
        Self { address, scheme, log }
    }

    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.log.lock().expect("log").clone()
    }

    pub fn lines(&self) -> Vec<String> {
        self.asked().iter().map(Asked::line).collect()
    }

    /// A client of this server that may dial this machine.
    pub fn client(&self) -> Client {
        Client::new(self.config()).expect("a client")
    }

    pub fn client_with(&self, change: impl FnOnce(&mut ClientConfig)) -> Client {
        let mut config = self.config();
        change(&mut config);
        Client::new(config).expect("a client")
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::anonymous(&self.url(), "sealgate/test");
        config.addresses = AddressGuard { allowed: vec!["127.0.0.0/8".parse().expect("range")], unrestricted: false };
        config.idle_timeout = Duration::from_secs(5);
        config
    }
}

async fn serve<H: Fn(&Asked, usize) -> Option<Response> + Send + Sync + 'static>(
    stream: TcpStream,
    tls: Option<tokio_rustls::TlsAcceptor>,
    handler: Arc<H>,
    log: Arc<Mutex<Vec<Asked>>>,
) {
    let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let (handler, log) = (Arc::clone(&handler), Arc::clone(&log));
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            let asked = Asked { method: parts.method.to_string(), target: parts.uri.to_string(), headers: parts.headers, body };
            let before = {
                let mut log = log.lock().expect("log");
                log.push(asked.clone());
                log.len() - 1
            };
            handler(&asked, before).ok_or_else(|| std::io::Error::other("connection broken on purpose"))
        }
    });
    let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
    match tls {
        None => drop(builder.serve_connection(TokioIo::new(stream), service).await),
        Some(acceptor) => {
            if let Ok(stream) = acceptor.accept(stream).await {
                drop(builder.serve_connection(TokioIo::new(stream), service).await);
            }
        }
    }
}

/// A certificate for 127.0.0.1 and localhost, its server side and its PEM.
pub fn certificate() -> (Arc<rustls::ServerConfig>, String) {
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a server config");
    (Arc::new(config), made.cert.pem())
}

pub fn answer(status: u16, headers: &[(&'static str, &str)], body: impl Into<Bytes>) -> Option<Response> {
    let never = |never: Infallible| match never {};
    let mut response = hyper::Response::new(Full::new(body.into()).map_err(never).boxed());
    *response.status_mut() = status.try_into().expect("a status");
    for (name, value) in headers {
        response.headers_mut().append(*name, HeaderValue::from_str(value).expect("a header"));
    }
    Some(response)
}

/// An answer whose body comes in pieces, and then does not end.
pub fn stalling(headers: &[(&'static str, &str)], first: &'static [u8]) -> Option<Response> {
    let first = futures_util::stream::iter([Ok(Frame::data(Bytes::from_static(first)))]);
    streaming(headers, first.chain(futures_util::stream::pending()))
}

/// An answer whose body breaks off.
pub fn breaking(headers: &[(&'static str, &str)], first: &'static [u8]) -> Option<Response> {
    let pieces = [Ok(Frame::data(Bytes::from_static(first))), Err(std::io::Error::other("broken on purpose"))];
    // The pause lets the first piece reach the client.
    let pieces = futures_util::stream::iter(pieces).then(|piece| async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        piece
    });
    streaming(headers, pieces)
}

/// An answer whose body never ends.
pub fn endless(headers: &[(&'static str, &str)]) -> Option<Response> {
    let chunk = Bytes::from(vec![b' '; 64 * 1024]);
    streaming(headers, futures_util::stream::repeat_with(move || Ok(Frame::data(chunk.clone()))))
}

fn streaming(
    headers: &[(&'static str, &str)],
    pieces: impl futures_util::Stream<Item = Result<Frame<Bytes>, std::io::Error>> + Send + Sync + 'static,
) -> Option<Response> {
    let mut response = answer(200, headers, Bytes::new())?;
    *response.body_mut() = BodyExt::boxed(StreamBody::new(pieces));
    Some(response)
}

pub fn user(name: &str, password: &str) -> Credentials {
    Credentials { username: name.to_owned(), password: password.to_owned() }
}

pub fn everywhere(credentials: Credentials) -> sealgate_registry::CredentialSource {
    Arc::new(move |_| Some(credentials.clone()))
}
