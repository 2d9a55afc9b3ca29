//! The control socket of a running gate, `control.sock` in its data folder (mode 0600): HTTP/1.1, JSON in and out.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::Full;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::exchange::exchange;
use super::exit::{Exit, Failure};

/// Name of the socket in the data folder.
pub const SOCKET: &str = "control.sock";
/// Longest wait for an answer: the gate may have to ask upstream first, whose own limit is 60 s for a whole document.
const ANSWER: Duration = Duration::from_secs(90);

/// Asks the gate that owns the data folder. None when no gate runs there.
///
/// # Errors
/// When a gate runs and does not answer as it should; its own message, where it gives one.
pub async fn post<T: DeserializeOwned>(data: &Path, path: &str, body: &impl Serialize) -> Result<Option<T>, Failure> {
    post_within(data, path, body, ANSWER).await
}

/// As [`post`], for what takes longer.
///
/// # Errors
/// As [`post`].
pub async fn post_within<T: DeserializeOwned>(
    data: &Path,
    path: &str,
    body: &impl Serialize,
    limit: Duration,
) -> Result<Option<T>, Failure> {
    let socket = data.join(SOCKET);
    let at = socket.display();
    let stream = match UnixStream::connect(&socket).await {
        Ok(stream) => stream,
        // No socket, or one that a killed gate left behind.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => return Ok(None),
        Err(error) => return Err(Failure::error(format!("cannot reach the gate at {at}: {error}"))),
    };
    let body = serde_json::to_vec(body).map_err(|error| Failure::error(error.to_string()))?;
    let request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| Failure::error(error.to_string()))?;
    let answer = exchange(stream, request, limit)
        .await
        .map_err(|error| Failure::new(Exit::TryAgain, format!("the gate at {at} does not answer: {error}")))?;
    if !answer.status.is_success() {
        return Err(refusal(answer.status, &answer.body));
    }
    let parsed = serde_json::from_slice(&answer.body);
    parsed.map(Some).map_err(|error| {
        Failure::error(format!(
            "the gate at {at} answers in a form that this version does not know ({error}): do both have the same version?"
        ))
    })
}

/// The message of an error answer in the registry's form, `{"errors":[{"code":…,"message":…}]}`.
fn refusal(status: http::StatusCode, body: &[u8]) -> Failure {
    let value: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let message = value.pointer("/errors/0/message").and_then(serde_json::Value::as_str);
    let message = message.map_or_else(|| format!("the gate answered HTTP {}", status.as_u16()), str::to_owned);
    let exit = match status.as_u16() {
        404 => Exit::TagNotFound,
        429 | 502..=504 => Exit::TryAgain,
        _ => Exit::Error,
    };
    Failure::new(exit, message)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixListener;

    use super::*;

    async fn gate_that_answers(folder: &Path, answer: &'static str) -> tokio::task::JoinHandle<String> {
        let listener = UnixListener::bind(folder.join(SOCKET)).expect("a socket");
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).await.expect("a request");
            stream.write_all(answer.as_bytes()).await.expect("answered");
            String::from_utf8_lossy(&request[..read]).into_owned()
        })
    }

    #[tokio::test]
    async fn a_folder_without_a_gate_is_no_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let answer = post::<serde_json::Value>(folder.path(), "/explain", &()).await.expect("no error");
        assert_eq!(answer, None);
        drop(UnixListener::bind(folder.path().join(SOCKET)).expect("a socket"));
        let answer = post::<serde_json::Value>(folder.path(), "/explain", &()).await.expect("a stale socket is none");
        assert_eq!(answer, None);
    }

    #[tokio::test]
    async fn the_gates_own_message_reaches_the_user() {
        let folder = tempfile::tempdir().expect("a folder");
        let body = r#"{"errors":[{"code":"NAME_UNKNOWN","message":"no such registry"}]}"#;
        let answer = format!("HTTP/1.1 404 Not Found\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let gate = gate_that_answers(folder.path(), answer.leak()).await;
        let failure = post::<serde_json::Value>(folder.path(), "/explain", &serde_json::json!({ "reference": "nginx" })).await;
        let failure = failure.expect_err("a refusal");
        assert_eq!((failure.exit, failure.message.as_str()), (Exit::TagNotFound, "no such registry"));
        let request = gate.await.expect("a request");
        assert!(request.starts_with("POST /explain HTTP/1.1\r\n") && request.contains(r#"{"reference":"nginx"}"#), "{request}");
    }
}
