//! Reading answers: size limits while bytes arrive, a time limit for each, and the announced length.

use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};
use http::{HeaderMap, header};
use reqwest::Response;

use crate::error::FetchError;
use crate::failure::lost;

/// A document must be complete within this many idle timeouts, however steadily it drips.
const DOCUMENT_PATIENCE: u32 = 3;
/// Bytes of an unwanted body that are read so that its connection can be used again.
const DRAIN_BYTES: usize = 64 * 1024;
/// Longest wait for those.
const DRAIN_TIME: Duration = Duration::from_millis(500);

/// Reads a body of at most `limit` bytes into memory.
pub(crate) async fn document(mut response: Response, limit: usize, idle: Duration) -> Result<Bytes, FetchError> {
    let too_large = || FetchError::TooLarge { limit: limit as u64 };
    if let Some(encoding) = response.headers().get(header::CONTENT_ENCODING).filter(|value| *value != "identity") {
        // Asked for `identity`; other bytes than the document's would never match its digest.
        return Err(FetchError::Malformed { problem: format!("expected an answer without Content-Encoding, found {encoding:?}") });
    }
    let expected = content_length(response.headers());
    if expected.is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    let read = async {
        let mut bytes = BytesMut::new();
        loop {
            match tokio::time::timeout(idle, response.chunk()).await.map_err(|_| FetchError::Timeout)? {
                Ok(Some(chunk)) if bytes.len() + chunk.len() > limit => return Err(too_large()),
                Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                Ok(None) => return complete(bytes.len() as u64, expected).map(|()| bytes.freeze()),
                Err(error) => return Err(interrupted(&error, bytes.len() as u64, expected)),
            }
        }
    };
    tokio::time::timeout(idle * DOCUMENT_PATIENCE, read).await.map_err(|_| FetchError::Timeout)?
}

/// Reads away a small body that nobody wants.
pub(crate) async fn drain(mut response: Response) {
    let read = async {
        let mut left = DRAIN_BYTES;
        while let Ok(Some(chunk)) = response.chunk().await {
            match left.checked_sub(chunk.len()) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    };
    let _ = tokio::time::timeout(DRAIN_TIME, read).await;
}

/// A body on its way.
pub(crate) type BodyStream = Pin<Box<dyn Stream<Item = Result<Bytes, FetchError>> + Send>>;

/// Passes a body on; ends with an error when it stalls for `idle` or ends before `expected` bytes.
pub(crate) fn streamed(response: Response, expected: Option<u64>, idle: Duration) -> BodyStream {
    let body = response.bytes_stream().boxed();
    let start = Some((body, 0_u64));
    Box::pin(stream::unfold(start, move |state| async move {
        let (mut body, found) = state?;
        match tokio::time::timeout(idle, body.next()).await {
            Err(_) => Some((Err(FetchError::Timeout), None)),
            Ok(Some(Ok(chunk))) => {
                let found = found + chunk.len() as u64;
                match expected.filter(|expected| found > *expected) {
                    Some(expected) => Some((Err(overlong(expected, found)), None)),
                    None => Some((Ok(chunk), Some((body, found)))),
                }
            }
            Ok(Some(Err(error))) => Some((Err(interrupted(&error, found, expected)), None)),
            Ok(None) => complete(found, expected).err().map(|error| (Err(error), None)),
        }
    }))
}

/// `Content-Length`.
pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn complete(found: u64, expected: Option<u64>) -> Result<(), FetchError> {
    match expected {
        Some(expected) if found < expected => Err(FetchError::Truncated { expected, found }),
        Some(expected) if found > expected => Err(overlong(expected, found)),
        Some(_) | None => Ok(()),
    }
}

fn overlong(expected: u64, found: u64) -> FetchError {
    FetchError::Malformed { problem: format!("expected a body of {expected} bytes, found at least {found}") }
}

fn interrupted(error: &reqwest::Error, found: u64, expected: Option<u64>) -> FetchError {
    if error.is_timeout() {
        return FetchError::Timeout;
    }
    match expected.filter(|expected| found < *expected) {
        Some(expected) => FetchError::Truncated { expected, found },
        None => lost(error).error,
    }
}
