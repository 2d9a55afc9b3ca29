//! Pulls as a client does: the manifest by its tag, then each blob, every byte hashed.

use std::net::SocketAddr;

use bytes::Bytes;
use http::header::{ACCEPT, HOST};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use sealgate_verifier::{Manifest, media_type};
use tokio::net::TcpStream;

/// How a pull ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything arrived and matches its digest.
    Pulled {
        /// Blobs.
        blobs: usize,
        /// Bytes in all.
        bytes: usize,
    },
    /// The manifest was refused.
    Refused {
        /// HTTP status.
        status: StatusCode,
        /// What the gate said.
        reason: String,
    },
    /// A blob did not arrive whole.
    Cut {
        /// What happened.
        reason: String,
    },
    /// No conversation took place.
    Failed {
        /// What went wrong.
        reason: String,
    },
}

/// Pulls one image through the gate at `gate`.
pub async fn pull(gate: SocketAddr, repository: &str, tag: &str) -> Outcome {
    let (status, manifest) = match get(gate, &format!("/v2/{repository}/manifests/{tag}")).await {
        Ok(answer) => answer,
        Err(reason) => return Outcome::Failed { reason },
    };
    if status != StatusCode::OK {
        return Outcome::Refused { status, reason: message(&manifest) };
    }
    let parsed = match Manifest::parse(&manifest, Some(media_type::OCI_MANIFEST)) {
        Ok(parsed) => parsed,
        Err(error) => return Outcome::Failed { reason: error.to_string() },
    };
    let (mut blobs, mut bytes) = (0, manifest.len());
    for descriptor in parsed.blobs() {
        match get(gate, &format!("/v2/{repository}/blobs/{}", descriptor.digest)).await {
            Ok((StatusCode::OK, content)) if descriptor.digest.matches(&content) => {
                blobs += 1;
                bytes += content.len();
            }
            Ok((StatusCode::OK, _)) => return Outcome::Failed { reason: "a blob arrived whole that does not match its digest".to_owned() },
            Ok((status, content)) => {
                return Outcome::Cut { reason: format!("the layer was refused ({}): {}", status.as_u16(), message(&content)) };
            }
            Err(_) => {
                let reason = "the layer does not match its digest: the gate cut the transfer before the last byte and kept nothing";
                return Outcome::Cut { reason: reason.to_owned() };
            }
        }
    }
    Outcome::Pulled { blobs, bytes }
}

/// Status and body of one GET on a connection of its own.
async fn get(gate: SocketAddr, path: &str) -> Result<(StatusCode, Bytes), String> {
    let text = |error: hyper::Error| error.to_string();
    let stream = TcpStream::connect(gate).await.map_err(|error| error.to_string())?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(text)?;
    let connection = tokio::spawn(connection);
    let request = Request::get(path)
        .header(HOST, gate.to_string())
        .header(ACCEPT, media_type::OCI_MANIFEST)
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let response = sender.send_request(request).await.map_err(text)?;
    let status = response.status();
    let body = response.into_body().collect().await.map_err(text);
    connection.abort();
    Ok((status, body?.to_bytes()))
}

/// The sentence in an error's body.
fn message(body: &[u8]) -> String {
    let parsed: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    parsed.pointer("/errors/0/message").and_then(serde_json::Value::as_str).unwrap_or("no reason given").to_owned()
}
