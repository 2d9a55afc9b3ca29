//! One HTTP/1.1 request and its answer, over a connection that the caller opened.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

/// Bytes of an answer: an explanation with every signature that a policy may look at stays far below.
const ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// A status and a body.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: http::StatusCode,
    /// The body.
    pub body: Bytes,
}

/// Why there is no answer, in one line.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// Not within the time allowed.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The connection or the protocol failed.
    #[error("{0}")]
    Failed(String),
}

/// Sends `request` and reads the answer within `limit`.
///
/// # Errors
/// See [`ExchangeError`].
pub async fn exchange<S>(stream: S, request: http::Request<Full<Bytes>>, limit: Duration) -> Result<Answer, ExchangeError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let answer = async {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
        let connection = tokio::spawn(connection);
        let response = sender.send_request(request).await.map_err(failed)?;
        let status = response.status();
        let body =
            Limited::new(response.into_body(), ANSWER_BYTES).collect().await.map_err(|error| ExchangeError::Failed(error.to_string()))?;
        connection.abort();
        Ok(Answer { status, body: body.to_bytes() })
    };
    tokio::time::timeout(limit, answer).await.map_err(|_| ExchangeError::Timeout(limit))?
}

fn failed(error: hyper::Error) -> ExchangeError {
    ExchangeError::Failed(error.to_string())
}
