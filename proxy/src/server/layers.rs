//! Load and time limits around a service.

use std::convert::Infallible;
use std::time::Duration;

use http::{Response, StatusCode};
use tower::{BoxError, Service, ServiceBuilder, ServiceExt};

use super::refusal::refusal;
use crate::body::Body;

/// Limits of [`layers`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most requests at once whose response head is not ready yet; one more is answered 503 at once. Bodies under way do not count.
    pub requests: usize,
    /// Most time until the response head is ready; then 504. It includes whatever the service waits for: an upstream, a scan.
    pub head: Duration,
}

impl Default for Limits {
    /// 4096 requests, 120 s.
    fn default() -> Self {
        Self { requests: 4096, head: Duration::from_secs(120) }
    }
}

/// Sheds load beyond `limits.requests` and gives up on slow response heads. The service's future is dropped when its time is over.
pub fn layers<S, R>(
    service: S,
    limits: Limits,
) -> impl Service<R, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static
where
    S: Service<R, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
    R: Send + 'static,
{
    let limited = ServiceBuilder::new().load_shed().concurrency_limit(limits.requests).timeout(limits.head).service(service);
    tower::service_fn(move |request: R| {
        let limited = limited.clone();
        async move { Ok(limited.oneshot(request).await.unwrap_or_else(|error| answer(&error))) }
    })
}

/// Turns what the layers report into an answer.
fn answer(error: &BoxError) -> Response<Body> {
    if error.is::<tower::timeout::error::Elapsed>() {
        return refusal(StatusCode::GATEWAY_TIMEOUT, "UNAVAILABLE", "the answer took too long; try again");
    }
    refusal(StatusCode::SERVICE_UNAVAILABLE, "TOOMANYREQUESTS", "too many requests at once; try again")
}
