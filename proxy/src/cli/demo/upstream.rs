//! The smallest registry: documents by path, on loopback. It signs nothing, checks nothing and serves what it was given.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use sealgate_verifier::Digest;
use tokio::net::{TcpListener, TcpStream};

use crate::body::Body;

/// What one path answers.
#[derive(Debug, Clone)]
pub struct Document {
    /// `Content-Type`.
    pub media_type: &'static str,
    /// The bytes.
    pub bytes: Bytes,
}

/// Documents by path.
pub type Content = HashMap<String, Document>;

/// A running registry. Ends when dropped.
pub struct Upstream {
    address: SocketAddr,
    accepting: tokio::task::JoinHandle<()>,
}

impl Upstream {
    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Starts it on a free port of 127.0.0.1.
///
/// # Errors
/// When nothing can listen there.
pub async fn start(content: Content) -> std::io::Result<Upstream> {
    let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let content = Arc::new(content);
    let accepting = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, Arc::clone(&content)));
        }
    });
    Ok(Upstream { address, accepting })
}

async fn serve(stream: TcpStream, content: Arc<Content>) {
    let service = service_fn(|request: Request<Incoming>| {
        let response = answer(&request, &content);
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = hyper::server::conn::http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection to the demo's upstream ended");
    }
}

fn answer(request: &Request<Incoming>, content: &Content) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    if request.uri().path() == "/v2/" {
        return response;
    }
    let Some(document) = content.get(request.uri().path()) else {
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(document.media_type));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(document.bytes.len()));
    if let Ok(digest) = HeaderValue::try_from(Digest::sha256(&document.bytes).to_string()) {
        headers.insert(HeaderName::from_static("docker-content-digest"), digest);
    }
    if request.method() != Method::HEAD {
        *response.body_mut() = Body::full(document.bytes.clone());
    }
    response
}
