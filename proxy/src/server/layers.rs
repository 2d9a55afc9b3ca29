//! Load and time limits around a service.

use std::convert::Infallible;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
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

impl Limits {
    /// For pushes, whose heads wait for whole bodies: 1024 requests, 6 h. A body that stalls is given up long before.
    #[must_use]
    pub const fn pushes() -> Self {
        Self { requests: 1024, head: Duration::from_hours(6) }
    }
}

/// Whether a request's body is for the service to bound: the registry API's pushes.
pub(super) fn is_push<B>(request: &Request<B>) -> bool {
    matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH) && request.uri().path().starts_with("/v2/")
}

/// Sends pushes to one service and everything else to another, so that neither's limits are the other's.
pub fn apart<P, S, B>(
    pushes: P,
    others: S,
) -> impl Service<Request<B>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static
where
    P: Service<Request<B>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
    B: Send + 'static,
{
    tower::service_fn(move |request: Request<B>| {
        let (pushes, others) = (pushes.clone(), others.clone());
        async move { if is_push(&request) { pushes.oneshot(request).await } else { others.oneshot(request).await } }
    })
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
