//! An answer before and after its faults.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;

use super::fault::{Fault, Latch};
use crate::image::Content;

pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// How much of a body is sent at once where it is paced or endless.
const PIECE: usize = 64 * 1024;

/// A step of a body.
#[derive(Debug)]
enum Step {
    Send(Bytes),
    Sleep(Duration),
    Wait(Latch),
    Stall,
    Cut,
    Repeat(Bytes),
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(HeaderName, String)>,
    pub(super) body: Bytes,
    /// Whether the body is withheld, as HEAD's is.
    pub(super) head_only: bool,
}

impl Answer {
    pub(super) fn new(status: u16, media_type: &str, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let headers = vec![(CONTENT_TYPE, media_type.to_owned()), (CONTENT_LENGTH, body.len().to_string())];
        Self { status, headers, body, head_only: false }
    }

    /// A registry's error body.
    pub(super) fn error(status: u16, code: &str) -> Self {
        let body = serde_json::json!({ "errors": [{ "code": code, "message": "said by the upstream of a test" }] });
        Self::new(status, "application/json", body.to_string())
    }

    pub(super) fn content(content: &Content) -> Self {
        Self::new(200, &content.media_type, content.bytes.clone()).with("docker-content-digest", content.digest.clone())
    }

    pub(super) fn with(mut self, name: &'static str, value: String) -> Self {
        self.set(name, value);
        self
    }

    fn set(&mut self, name: &'static str, value: String) {
        self.headers.retain(|(field, _)| field != name);
        self.headers.push((HeaderName::from_static(name), value));
    }

    fn replace(&mut self, status: u16, text: &'static str) {
        let head_only = self.head_only;
        *self = Self { head_only, ..Self::new(status, "text/plain", text) };
    }

    /// Applies what can be applied before the first byte, waits where a fault says so, and sends.
    pub(super) async fn send(mut self, faults: &[Fault]) -> Result<Response<Body>, Infallible> {
        let mut steps = VecDeque::new();
        let mut position = 0;
        for fault in faults {
            match fault {
                Fault::Status(status) => self.replace(*status, "said by the upstream of a test"),
                Fault::Header(name, value) => self.set(name, value.clone()),
                Fault::WithoutHeader(name) => self.headers.retain(|(field, _)| field != name),
                Fault::Body(body) => self.body = body.clone(),
                Fault::FlipByte(place) => {
                    let mut bytes = self.body.to_vec();
                    bytes[*place] ^= 1;
                    self.body = bytes.into();
                }
                Fault::Delay(time) => tokio::time::sleep(*time).await,
                Fault::Hold(latch) => latch.wait().await,
                Fault::Redirect(status, address) => {
                    self.replace(*status, "");
                    self.set("location", address.clone());
                }
                Fault::HoldAfter(..) | Fault::StallAfter(_) | Fault::CutAfter(_) | Fault::Pace(_) | Fault::Endless(_) => {
                    self.plan(fault, &mut steps, &mut position);
                }
            }
        }
        Ok(self.respond(steps, position))
    }

    /// Turns a fault of the body into steps; `position` is how much of the body the steps have sent.
    fn plan(&mut self, fault: &Fault, steps: &mut VecDeque<Step>, position: &mut usize) {
        let mut up_to = |place: usize| {
            let end = place.clamp(*position, self.body.len());
            steps.push_back(Step::Send(self.body.slice(*position..end)));
            *position = end;
        };
        match fault {
            Fault::HoldAfter(place, latch) => {
                up_to(*place);
                steps.push_back(Step::Wait(latch.clone()));
            }
            Fault::StallAfter(place) => {
                up_to(*place);
                steps.push_back(Step::Stall);
            }
            Fault::CutAfter(place) => {
                up_to(*place);
                steps.push_back(Step::Cut);
            }
            Fault::Pace(rate) => {
                for place in (0..self.body.len()).step_by(PIECE) {
                    let end = (place + PIECE).min(self.body.len());
                    steps.push_back(Step::Sleep(Duration::from_secs_f64((end - place) as f64 / *rate as f64)));
                    steps.push_back(Step::Send(self.body.slice(place..end)));
                }
                *position = self.body.len();
            }
            Fault::Endless(piece) => {
                let repeated = piece.repeat(PIECE.div_ceil(piece.len().max(1)));
                steps.push_back(Step::Repeat(repeated.into()));
                self.headers.retain(|(field, _)| field != CONTENT_LENGTH);
            }
            Fault::Status(_)
            | Fault::Header(..)
            | Fault::WithoutHeader(_)
            | Fault::Body(_)
            | Fault::FlipByte(_)
            | Fault::Delay(_)
            | Fault::Hold(_)
            | Fault::Redirect(..) => {}
        }
    }

    /// The length that the header promises, true or not.
    fn promised(&self) -> usize {
        let length = self.headers.iter().find(|(field, _)| field == CONTENT_LENGTH);
        length.and_then(|(_, value)| value.parse().ok()).unwrap_or_default()
    }

    fn respond(self, mut steps: VecDeque<Step>, position: usize) -> Response<Body> {
        let body = if self.head_only {
            Full::default().map_err(io::Error::other).boxed_unsync()
        } else {
            // A stream has no length of its own, so that hyper keeps a Content-Length that lies.
            steps.push_back(Step::Send(self.body.slice(position..)));
            if self.promised() > self.body.len() {
                steps.push_back(Step::Cut);
            }
            StreamBody::new(stream::unfold(steps, |mut steps| async { next(&mut steps).await.map(|frame| (frame, steps)) })).boxed_unsync()
        };
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(self.status).expect("a status");
        for (name, value) in self.headers {
            response.headers_mut().append(name, HeaderValue::try_from(value).expect("a header value"));
        }
        response
    }
}

async fn next(steps: &mut VecDeque<Step>) -> Option<io::Result<Frame<Bytes>>> {
    loop {
        match steps.pop_front()? {
            Step::Send(bytes) if bytes.is_empty() => {}
            Step::Send(bytes) => return Some(Ok(Frame::data(bytes))),
            Step::Sleep(time) => tokio::time::sleep(time).await,
            Step::Wait(latch) => latch.wait().await,
            Step::Stall => std::future::pending().await,
            Step::Cut => {
                // What was sent before must reach the wire first.
                tokio::time::sleep(Duration::from_millis(50)).await;
                return Some(Err(io::Error::other("cut by the test")));
            }
            Step::Repeat(bytes) => {
                steps.push_front(Step::Repeat(bytes.clone()));
                return Some(Ok(Frame::data(bytes)));
            }
        }
    }
}
