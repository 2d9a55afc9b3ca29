//! One record as a line of JSON.

use sealgate_verifier::{Digest, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Event, Position};

/// A line that was read: its place in the chain is checked, its event is not parsed yet.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    seq: u64,
    time: Timestamp,
    prev: Digest,
    #[serde(borrow)]
    event: &'a RawValue,
}

/// Appends the line, with its newline, to `out`; returns its end.
pub(super) fn write(out: &mut Vec<u8>, previous: &Position, time: Timestamp, event: &str) -> Position {
    let start = out.len();
    let seq = previous.seq + 1;
    out.extend_from_slice(format!(r#"{{"seq":{seq},"time":{},"prev":"{}","event":"#, time.0, previous.hash).as_bytes());
    out.extend_from_slice(event.as_bytes());
    out.push(b'}');
    let hash = Digest::sha256(out.get(start..).unwrap_or_default());
    out.push(b'\n');
    Position { seq, offset: previous.offset + (out.len() - start) as u64, hash }
}

/// The end and the time of the record that `line` (without newline) is, when it follows `previous`.
pub(super) fn check(line: &[u8], previous: &Position) -> Result<(Position, Timestamp), String> {
    let parsed: Line<'_> = serde_json::from_slice(line).map_err(|error| format!("no record: {error}"))?;
    if parsed.seq != previous.seq + 1 {
        return Err(format!("expected record {}, found record {}", previous.seq + 1, parsed.seq));
    }
    if parsed.prev != previous.hash {
        return Err(format!("record {} follows {}, but the line before it is {}", parsed.seq, parsed.prev, previous.hash));
    }
    let position = Position { seq: parsed.seq, offset: previous.offset + line.len() as u64 + 1, hash: Digest::sha256(line) };
    Ok((position, parsed.time))
}

/// The number that `line` bears.
pub(super) fn seq(line: &[u8]) -> Option<u64> {
    serde_json::from_slice::<Line<'_>>(line).ok().map(|line| line.seq)
}

/// The event in a line whose place was checked.
pub(super) fn event(line: &[u8]) -> Result<Event, serde_json::Error> {
    let parsed: Line<'_> = serde_json::from_slice(line)?;
    serde_json::from_str(parsed.event.get())
}
