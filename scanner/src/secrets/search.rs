//! The search through a file's bytes, in pieces: every detector's beginning is looked for at once (Aho and Corasick, 1975).

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

use super::private_key::{self, BEGIN, PUTTY};
use super::structured::{self, AWS_SECRET, AZURE, DOCKER, JWT, SLACK_HOOK};
use super::token::TOKENS;
use super::{FILE_FINDINGS, Hit, assignment};

/// Bytes after a beginning that a detector may look at. Keys of RSA with 4,096 bits take 3.3 KiB; tokens stay under 4 KiB.
const AHEAD: usize = 8 * 1024;
/// Bytes before a beginning that stay to be looked at.
const BEFORE: usize = 16;
/// Bytes of a text that is read line by line. Configuration that people write stays far under it.
const TEXT: usize = 1 << 20;

static BEGINNINGS: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    let others = [BEGIN, PUTTY, JWT, AZURE, DOCKER, SLACK_HOOK].into_iter().chain(AWS_SECRET);
    let all = TOKENS.iter().map(|token| token.prefix).chain(others);
    AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(all).ok()
});

/// A search under way.
pub struct Search {
    window: Vec<u8>,
    /// Offset of the window in the file, and lines before it.
    offset: usize,
    lines: u64,
    /// Offset before which everything was looked at.
    done: usize,
    found: Vec<(u64, Hit)>,
    text: Option<Vec<u8>>,
    hashes: bool,
}

impl Search {
    /// A search; in `text` also for assignments, in a password file for hashes.
    pub fn new(text: bool, hashes: bool) -> Self {
        let text = (text || hashes).then(Vec::new);
        Self { window: vec![], offset: 0, lines: 0, done: 0, found: vec![], text, hashes }
    }

    /// Looks at the next bytes.
    pub fn feed(&mut self, piece: &[u8]) {
        if let Some(text) = &mut self.text {
            text.extend_from_slice(&piece[..piece.len().min(TEXT - text.len())]);
        }
        self.window.extend_from_slice(piece);
        self.search(false);
    }

    /// What was found, with its line.
    pub fn finish(mut self) -> Vec<(u64, Hit)> {
        self.search(true);
        if let Some(text) = self.text.take() {
            let hits = if self.hashes { assignment::password_hashes(&text) } else { assignment::in_lines(&text) };
            let fresh = hits.into_iter().filter(|hit| !self.found.iter().any(|(_, other)| hit.start < other.end && other.start < hit.end));
            let lined: Vec<_> = fresh.map(|hit| (count_lines(&text[..hit.start]) + 1, hit)).collect();
            self.found.extend(lined);
        }
        self.found.truncate(FILE_FINDINGS);
        self.found
    }

    fn search(&mut self, at_end: bool) {
        let Some(beginnings) = BEGINNINGS.as_ref() else { return };
        let mut keep = if at_end { self.window.len() } else { self.window.len().saturating_sub(AHEAD.min(BEFORE + 32)) };
        for found in beginnings.find_iter(&self.window) {
            let start = found.start();
            if self.offset + start < self.done {
                continue;
            }
            if !at_end && self.window.len() - start < AHEAD {
                keep = keep.min(start.saturating_sub(BEFORE));
                break;
            }
            self.done = self.offset + start + 1;
            let hit = if self.found.len() < FILE_FINDINGS { hit(found.pattern().as_usize(), &self.window, start) } else { None };
            if let Some(mut hit) = hit {
                let line = self.lines + count_lines(&self.window[..start]) + 1;
                hit.start += self.offset;
                hit.end += self.offset;
                self.done = hit.end;
                self.found.push((line, hit));
            }
        }
        self.lines += count_lines(&self.window[..keep]);
        self.window.drain(..keep);
        self.offset += keep;
    }
}

fn count_lines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

/// What the beginning with a number, which stands at `start`, begins.
fn hit(pattern: usize, text: &[u8], start: usize) -> Option<Hit> {
    if let Some(token) = TOKENS.get(pattern) {
        return token.at(text, start);
    }
    match pattern - TOKENS.len() {
        0 | 1 => private_key::at(text, start),
        2 => structured::jwt(text, start),
        3 => structured::azure(text, start),
        4 => structured::docker(text, start),
        5 => structured::slack_hook(text, start),
        other => structured::aws_secret(text, start, AWS_SECRET.get(other - 6)?),
    }
}
