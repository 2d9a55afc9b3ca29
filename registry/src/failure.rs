//! Reads what the HTTP client's errors and a registry's statuses mean. The client's own texts hold URLs, which may be signed: they go no further.

use std::error::Error;
use std::io;
use std::time::Duration;

use http::{HeaderMap, StatusCode, header};

use crate::error::FetchError;
use crate::resolver::AddressRefused;

/// Longest `Retry-After` that is believed: one day.
const RETRY_AFTER_MAX: u64 = 86_400;

/// A request without an answer.
#[derive(Debug)]
pub(crate) struct Lost {
    pub(crate) error: FetchError,
    /// The connection was there and broke: worth one retry.
    pub(crate) reset: bool,
}

/// What an error of the HTTP client means.
pub(crate) fn lost(error: &reqwest::Error) -> Lost {
    if error.is_timeout() {
        return Lost { error: FetchError::Timeout, reset: false };
    }
    if let Some(refused) = find::<AddressRefused>(error) {
        return Lost { error: FetchError::Forbidden { problem: refused.to_string() }, reset: false };
    }
    let reset = error.is_request() && !error.is_connect();
    Lost { error: FetchError::Unreachable { detail: detail(error) }, reset }
}

fn detail(error: &reqwest::Error) -> String {
    if let Some(tls) = find::<rustls::Error>(error) {
        return format!("TLS: {tls}");
    }
    let kind = find::<io::Error>(error).map(io::Error::kind);
    let text = match kind {
        Some(io::ErrorKind::ConnectionRefused) => "connection refused",
        Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof) => "connection reset",
        _ if error.is_dns() => "the name does not resolve",
        _ if error.is_builder() => "the HTTP client could not be set up (are CA certificates installed?)",
        _ if error.is_connect() => "no connection",
        _ => "connection lost",
    };
    text.to_owned()
}

/// The first error of type `T` in the chain, also inside an I/O error, whose `source` skips its own payload.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

/// What a status that is no success means.
pub(crate) fn refusal(status: StatusCode, headers: &HeaderMap) -> FetchError {
    let code = status.as_u16();
    match code {
        404 => FetchError::NotFound,
        401 | 403 => FetchError::Denied { status: code },
        429 => FetchError::RateLimited { retry_after: retry_after(headers) },
        _ => FetchError::Unavailable { status: code },
    }
}

/// `Retry-After` in seconds (RFC 9110 §10.2.3). The date form is not read: it would need the wall clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(RETRY_AFTER_MAX)))
}
