//! Checkpoints: a log's signed statement of its size and root (C2SP tlog-checkpoint, in a C2SP signed-note).

use super::VerifyError;
use super::merkle::Hash;
use super::trust_root::TransparencyLog;
use crate::encoding;
use crate::limits;

/// A checkpoint, read but not believed.
pub(super) struct Checkpoint<'a> {
    origin: &'a str,
    pub(super) size: u64,
    pub(super) root: Hash,
    /// What is signed: the text up to the blank line.
    text: &'a str,
    signatures: Vec<NoteSignature<'a>>,
}

struct NoteSignature<'a> {
    name: &'a str,
    /// The first four bytes are the key's id.
    bytes: Vec<u8>,
}

fn malformed(problem: &'static str) -> VerifyError {
    VerifyError::Checkpoint { problem }
}

impl<'a> Checkpoint<'a> {
    pub(super) fn parse(note: &'a str) -> Result<Self, VerifyError> {
        let (text, lines) = note.split_once("\n\n").ok_or(malformed("no blank line before the signatures"))?;
        let text = note.get(..=text.len()).unwrap_or(text);
        let mut body = text.split('\n');
        let mut next = |problem| body.next().filter(|line| !line.is_empty()).ok_or(malformed(problem));
        let origin = next("no origin")?;
        let size = next("no tree size")?;
        let root = next("no root hash")?;
        // C2SP tlog-checkpoint: decimal, without leading zeros.
        let decimal = size == "0" || (!size.starts_with('0') && size.bytes().all(|b| b.is_ascii_digit()));
        let size = size.parse().ok().filter(|_| decimal).ok_or(malformed("the tree size is no number"))?;
        let root = encoding::decode(root).and_then(|hash| hash.try_into().ok()).ok_or(malformed("the root hash is no SHA-256"))?;
        let signatures: Vec<_> = lines.split_terminator('\n').map(NoteSignature::parse).collect::<Result<_, _>>()?;
        if signatures.is_empty() || signatures.len() > limits::CHECKPOINT_SIGNATURES {
            return Err(malformed("no signature, or too many"));
        }
        Ok(Self { origin, size, root, text, signatures })
    }

    /// Checks that one of the signatures is the log's. Those of witnesses and of other keys count for nothing.
    pub(super) fn verify(&self, log: &TransparencyLog, tiled: bool) -> Result<(), VerifyError> {
        let hint = log.key.id.get(..4).ok_or(VerifyError::UnknownLog)?;
        // Rekor v2's logs sign under their host as origin (rekor-v2-spec, "Checkpoints"); Rekor v1's origin carries a tree id.
        if tiled && self.origin != log.host {
            return Err(malformed("its origin is not the log's host"));
        }
        // Rekor v1: `HOST - TREE`, signed as HOST.
        let name = if tiled { self.origin } else { self.origin.split_once(" - ").map_or(self.origin, |(host, _)| host) };
        let ours = self.signatures.iter().filter(|signature| signature.name == name);
        let ours = ours.filter_map(|signature| signature.bytes.split_at_checked(4)).filter(|(id, _)| *id == hint);
        // Four bytes may collide: one wrong signature hides no right one.
        let mut claimed = false;
        for (_, signature) in ours {
            claimed = true;
            if log.key.key.verify(self.text.as_bytes(), signature) {
                return Ok(());
            }
        }
        Err(malformed(if claimed { "the log's signature is wrong" } else { "no signature by the log" }))
    }
}

impl<'a> NoteSignature<'a> {
    /// C2SP signed-note: an em dash, the key's name, base64 of key id and signature, one space between them.
    fn parse(line: &'a str) -> Result<Self, VerifyError> {
        let fields = line.strip_prefix("\u{2014} ").and_then(|rest| rest.split_once(' '));
        let (name, base64) = fields.filter(|(name, _)| !name.is_empty()).ok_or(malformed("a malformed signature line"))?;
        let bytes = encoding::decode(base64).filter(|bytes| bytes.len() > 4).ok_or(malformed("a malformed signature"))?;
        Ok(Self { name, bytes })
    }
}
