//! `/v2/` (distribution-spec 1.1, "Determining Support").

use bytes::Bytes;
use http::Response;

use crate::body::Body;

/// 200: the gate speaks the API, to this client.
pub fn respond(head: bool) -> Response<Body> {
    super::document("application/json", Bytes::from_static(b"{}"), head)
}
