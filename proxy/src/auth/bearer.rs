//! Short-lived bearer tokens of the token endpoint: what they say is in them, under a MAC with a key that only this store has.
//!
//! There is one algorithm, HMAC-SHA256, and no header that could name another.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use sealgate_config::Action;
use sealgate_verifier::{Repository, Timestamp};
use serde::{Deserialize, Serialize};

/// Seconds that a bearer token lives. Clients fetch another at its end; none should end while one request is on its way.
pub const LIFETIME: i64 = 300;
/// What a bearer token begins with, so that secret scanners know it.
pub const PREFIX: &str = "sgb_";
/// Name of the key's file in the data folder.
const KEY_FILE: &str = "bearer.key";
const KEY_BYTES: usize = 32;
/// What is under the MAC besides the claims: the key signs nothing else.
const CONTEXT: &[u8] = b"sealgate bearer token 1\0";

/// What a bearer token says. Rights are looked up anew at each request: the scope only narrows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// [`super::Principal::kind`].
    pub kind: String,
    /// The principal's name; empty for an anonymous one.
    pub name: String,
    /// The principal's identifier or subject, where it has one.
    pub subject: String,
    /// The entry that the principal authenticated by: when it is another, the token counts for nothing.
    pub entry: String,
    /// What it is for.
    pub scope: Vec<(Repository, Vec<Action>)>,
    /// From then on it counts for nothing.
    pub expires: Timestamp,
}

/// Makes and checks bearer tokens.
pub struct Bearers {
    key: hmac::Key,
}

impl Bearers {
    /// With the key in the data folder; makes one where there is none. Blocks on the disk.
    ///
    /// # Errors
    /// The file cannot be read or written, or holds no key.
    pub fn open(folder: &Path) -> Result<Self, String> {
        let path = folder.join(KEY_FILE);
        let key = match read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => create(folder),
            other => other,
        };
        let key = key.map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self { key: hmac::Key::new(hmac::HMAC_SHA256, key.as_slice()) })
    }

    /// The token that says `claims`.
    #[must_use]
    pub fn issue(&self, claims: &Claims) -> String {
        // Names and numbers serialise always.
        let payload = URL_SAFE_NO_PAD.encode(serde_json::to_vec(claims).unwrap_or_default());
        let tag = URL_SAFE_NO_PAD.encode(self.context(&payload).sign());
        format!("{PREFIX}{payload}.{tag}")
    }

    /// What the token says, if it is one of ours and has not ended. The MAC is compared in constant time.
    #[must_use]
    pub fn verify(&self, token: &str, now: Timestamp) -> Option<Claims> {
        let (payload, tag) = token.strip_prefix(PREFIX)?.split_once('.')?;
        let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
        let message = [CONTEXT, payload.as_bytes()].concat();
        hmac::verify(&self.key, &message, &tag).ok()?;
        let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
        (now < claims.expires).then_some(claims)
    }

    fn context(&self, payload: &str) -> hmac::Context {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(CONTEXT);
        context.update(payload.as_bytes());
        context
    }
}

fn read(path: &Path) -> io::Result<zeroize::Zeroizing<Vec<u8>>> {
    let mut key = zeroize::Zeroizing::new(Vec::with_capacity(KEY_BYTES + 1));
    File::open(path)?.take(KEY_BYTES as u64 + 1).read_to_end(&mut key)?;
    if key.len() == KEY_BYTES {
        return Ok(key);
    }
    let problem = format!("expected a key of {KEY_BYTES} bytes, found another length; remove the file, and a new one is made");
    Err(io::Error::new(io::ErrorKind::InvalidData, problem))
}

fn create(folder: &Path) -> io::Result<zeroize::Zeroizing<Vec<u8>>> {
    let mut key = zeroize::Zeroizing::new(vec![0; KEY_BYTES]);
    SystemRandom::new().fill(&mut key).map_err(|_| io::Error::other("no randomness"))?;
    let fresh = folder.join("bearer.key.new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(&key)?;
    file.sync_all()?;
    std::fs::rename(&fresh, folder.join(KEY_FILE))?;
    File::open(folder)?.sync_all()?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn claims() -> Claims {
        Claims {
            kind: "user".to_owned(),
            name: "alice".to_owned(),
            subject: String::new(),
            entry: "e".to_owned(),
            scope: vec![("hosted.local/team/app".parse().expect("a name"), vec![Action::Pull, Action::Push])],
            expires: Timestamp(1_000),
        }
    }

    #[test]
    fn a_token_says_what_was_put_into_it_until_it_ends() {
        let folder = tempfile::tempdir().expect("a folder");
        let token = Bearers::open(folder.path()).expect("bearers").issue(&claims());
        let again = Bearers::open(folder.path()).expect("the same key");
        assert_eq!(again.verify(&token, Timestamp(999)), Some(claims()));
        assert_eq!(again.verify(&token, Timestamp(1_000)), None);
        let mode = std::fs::metadata(folder.path().join(KEY_FILE)).expect("the key").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::write(folder.path().join(KEY_FILE), "short").expect("written");
        assert!(Bearers::open(folder.path()).is_err_and(|error| error.contains("bearer.key") && error.contains("32 bytes")));
    }

    // D6
    #[test]
    fn no_other_token_counts() {
        let (folder, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let bearers = Bearers::open(folder.path()).expect("bearers");
        let token = bearers.issue(&claims());
        let foreign = Bearers::open(other.path()).expect("bearers").issue(&claims());
        let (payload, tag) = token.strip_prefix(PREFIX).and_then(|rest| rest.split_once('.')).expect("a token");
        let raised = String::from_utf8(URL_SAFE_NO_PAD.decode(payload).expect("base64")).expect("JSON").replace("alice", "admin");
        let raised = format!("{PREFIX}{}.{tag}", URL_SAFE_NO_PAD.encode(raised));
        let none = format!("{PREFIX}{payload}.");
        let long = format!("{token}A");
        let jwt = "eyJhbGciOiJub25lIn0.e30.";
        for bad in [&foreign, &raised, &none, &long, &token[4..], payload, PREFIX, "", jwt, &format!("{PREFIX}{payload}")] {
            assert_eq!(bearers.verify(bad, Timestamp(0)), None, "{bad}");
        }
        for position in (0..token.len()).step_by(7) {
            let mut changed = token.clone().into_bytes();
            changed[position] ^= 1;
            assert_eq!(bearers.verify(&String::from_utf8_lossy(&changed), Timestamp(0)), None, "byte {position}");
        }
    }
}
