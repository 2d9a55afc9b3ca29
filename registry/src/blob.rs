//! Blobs from a registry.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use sealgate_verifier::Digest;

use crate::auth::Access;
use crate::body::{BodyStream, content_length, document, streamed};
use crate::client::{Client, Operation, discard, successful};
use crate::error::FetchError;
use crate::transport::Request;

/// A blob on its way. The receiver hashes it.
pub struct BlobStream {
    /// Bytes of the whole blob, where the registry announces them.
    pub size: Option<u64>,
    /// Offset of the first byte of `body` (0 unless a range was asked for and granted).
    pub offset: u64,
    /// The bytes. Ends with an error when the body stalls or ends early.
    pub body: BodyStream,
}

impl std::fmt::Debug for BlobStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlobStream").field("size", &self.size).field("offset", &self.offset).finish_non_exhaustive()
    }
}

impl Client {
    /// HEAD of a blob: its size. Follows a redirect as GET does.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub async fn head_blob(&self, path: &str, digest: &Digest) -> Result<Option<u64>, FetchError> {
        self.stat_blob(path, digest, Access::Pull).await
    }

    pub(crate) async fn stat_blob(&self, path: &str, digest: &Digest, access: Access) -> Result<Option<u64>, FetchError> {
        let request = Request::new(Method::HEAD, self.url(path, &format!("blobs/{digest}"))?);
        let response = successful(self.perform(Operation { path, access, request }).await?).await?;
        Ok(content_length(response.headers()))
    }

    /// GET of a blob from `offset` on. A registry that ignores the range answers from 0; `BlobStream::offset` says so. Each call asks the
    /// registry itself: a storage URL that an earlier answer redirected to may have expired (F13).
    ///
    /// # Errors
    /// See [`FetchError`]. A range beyond the end is `Malformed`.
    pub async fn get_blob(&self, path: &str, digest: &Digest, offset: u64) -> Result<BlobStream, FetchError> {
        let mut operation = self.pull(Method::GET, path, &format!("blobs/{digest}"))?;
        if offset > 0 {
            let range = HeaderValue::from_str(&format!("bytes={offset}-")).unwrap_or(HeaderValue::from_static("bytes=0-"));
            operation.request.headers.insert(header::RANGE, range);
        }
        let response = self.perform(operation).await?;
        let length = content_length(response.headers());
        match response.status() {
            StatusCode::OK => Ok(BlobStream { size: length, offset: 0, body: streamed(response, length, self.idle_timeout()) }),
            StatusCode::PARTIAL_CONTENT if offset > 0 => {
                let range = ContentRange::read(response.headers(), offset, length)?;
                let body = streamed(response, Some(range.bytes), self.idle_timeout());
                Ok(BlobStream { size: range.size, offset, body })
            }
            StatusCode::RANGE_NOT_SATISFIABLE => {
                discard(response).await;
                Err(FetchError::Malformed { problem: format!("expected the blob's bytes from {offset} on, found none there") })
            }
            other => match successful(response).await {
                Ok(_) => Err(FetchError::Malformed { problem: format!("expected a blob, found HTTP {}", other.as_u16()) }),
                Err(error) => Err(error),
            },
        }
    }

    /// A small blob in memory, at most `limit` bytes, checked against its digest.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub async fn get_small_blob(&self, path: &str, digest: &Digest, limit: usize) -> Result<Bytes, FetchError> {
        let operation = self.pull(Method::GET, path, &format!("blobs/{digest}"))?;
        let response = successful(self.perform(operation).await?).await?;
        let bytes = document(response, limit, self.idle_timeout()).await?;
        if digest.matches(&bytes) {
            return Ok(bytes);
        }
        Err(FetchError::Malformed {
            problem: format!("expected the blob {digest}, found {} bytes that hash to another digest", bytes.len()),
        })
    }
}

/// `Content-Range: bytes first-last/size` (RFC 9110 §14.4).
struct ContentRange {
    bytes: u64,
    size: Option<u64>,
}

impl ContentRange {
    /// Reads the range of an answer to `bytes=offset-`: it must begin there and, where the size is known, reach the end.
    fn read(headers: &HeaderMap, offset: u64, length: Option<u64>) -> Result<Self, FetchError> {
        let text = headers.get(header::CONTENT_RANGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let range = Self::parse(text, offset).filter(|range| length.is_none_or(|length| length == range.bytes));
        let found = || text.chars().take(80).collect::<String>();
        range.ok_or_else(|| FetchError::Malformed { problem: format!("expected Content-Range bytes {offset}-, found {:?}", found()) })
    }

    fn parse(text: &str, offset: u64) -> Option<Self> {
        let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        let size: Option<u64> = if size == "*" { None } else { Some(size.parse().ok()?) };
        let end = last.checked_add(1)?;
        let reaches_the_end = size.is_none_or(|size| size == end);
        (first == offset && end > first && reaches_the_end).then(|| Self { bytes: end - first, size })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_must_be_the_one_asked_for() {
        let parse = |text| ContentRange::parse(text, 5).map(|range| (range.bytes, range.size));
        assert_eq!(parse("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(parse("bytes 5-9/*"), Some((5, None)));
        for bad in [
            "",
            "bytes 0-9/10",
            "bytes 5-8/10",
            "bytes 5-4/5",
            "bytes */10",
            "bytes 5-18446744073709551615/*",
            "items 5-9/10",
            "bytes -5-9/10",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
