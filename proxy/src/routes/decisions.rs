//! `/decisions/ID`: what a denial links to, as text for people and as JSON for programs.

use std::fmt::Write;

use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, HeaderMap};
use http::{HeaderValue, Response};

use crate::body::Body;
use crate::gate::Gate;
use crate::routes::error::Refusal;
use crate::store::DecisionRecord;

/// Characters of a ULID.
const ID: usize = 26;

/// The decision `id`. Knowing its identifier is what it takes: 80 of a ULID's bits are random.
pub fn respond(gate: &Gate, id: &str, headers: &HeaderMap, head: bool) -> Result<Response<Body>, Refusal> {
    let well_formed = id.len() == ID && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let record = well_formed.then(|| gate.decision(id)).flatten().ok_or_else(Refusal::no_such_decision)?;
    let mut response = if wants_json(headers) {
        let json = serde_json::to_vec_pretty(&record).map_err(|_| Refusal::no_such_decision())?;
        super::document("application/json", json.into(), head)
    } else {
        super::document("text/plain; charset=utf-8", Bytes::from(text(&record)), head)
    };
    // The same address has two forms.
    response.headers_mut().insert(http::header::VARY, HeaderValue::from_static("Accept"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn wants_json(headers: &HeaderMap) -> bool {
    let named = |word: &str| headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).any(|list| list.contains(word));
    named("application/json") && !named("text/")
}

fn text(record: &DecisionRecord) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name:<12}{value}");
    };
    line("decision", &record.id);
    line("image", &format_args!("{}@{}", record.repository, record.digest));
    if let Some(tag) = &record.tag {
        line("tag", tag);
    }
    line("outcome", &record.line);
    line("rule", &record.rule.as_deref().unwrap_or("none matches"));
    line("policy", &record.revision);
    line("decided", &record.decided_at);
    match record.valid_until {
        Some(until) => line("valid until", &until),
        None => line("valid until", &"what it was made from changes"),
    }
    for (name, value) in [("reasons", &record.reasons), ("signatures", &record.findings)] {
        if value.as_array().is_some_and(|list| !list.is_empty()) {
            let _ = writeln!(text, "\n{name}\n{value:#}");
        }
    }
    text
}
