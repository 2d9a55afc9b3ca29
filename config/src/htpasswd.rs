//! `htpasswd`: users and the bcrypt hashes of their passwords, one `name:hash` a line, as `htpasswd -B` writes it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::path::Path;

use crate::document::whole;
use crate::error::{ConfigError, ConfigErrors};
use crate::{file, limits};

/// The cheapest and the dearest bcrypt cost. `htpasswd -B` writes 5 by default; a check of cost 14 takes about a second, and each
/// step doubles it: a higher one would be a means to wear the server down.
const COSTS: std::ops::RangeInclusive<u32> = 5..=14;
/// Characters of a bcrypt hash: `$2b$NN$`, 22 of salt, 31 of hash.
const HASH_CHARACTERS: usize = 60;
const MEND: &str = "write the entry anew with `htpasswd -B`";

/// A well-formed bcrypt hash. Its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    text: String,
    cost: u32,
}

impl PasswordHash {
    /// `$2y$05$…`, for the check.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Logarithm of the rounds.
    #[must_use]
    pub const fn cost(&self) -> u32 {
        self.cost
    }

    /// Reads a hash.
    ///
    /// # Errors
    /// What stands there instead, without quoting it.
    fn parse(text: &str) -> Result<Self, String> {
        let versions = ["$2a$", "$2b$", "$2y$"];
        let Some(rest) = versions.iter().find_map(|version| text.strip_prefix(version)) else {
            return Err(format!("expected a bcrypt hash, found {}", kind(text)));
        };
        let base64 = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/');
        let (cost, body) = rest.split_once('$').unwrap_or_default();
        let digits = cost.len() == 2 && cost.bytes().all(|b| b.is_ascii_digit());
        if text.len() != HASH_CHARACTERS || !digits || !body.bytes().all(base64) {
            return Err("expected a bcrypt hash of 60 characters, found a malformed one".to_owned());
        }
        match cost.parse() {
            Ok(cost) if COSTS.contains(&cost) => Ok(Self { text: text.to_owned(), cost }),
            Ok(_) | Err(_) => Err(format!("expected a bcrypt cost from {} to {}, found {cost}", COSTS.start(), COSTS.end())),
        }
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hash]")
    }
}

/// What a text is that is no bcrypt hash.
fn kind(text: &str) -> &'static str {
    match text {
        "" => "nothing",
        _ if text.starts_with("$apr1$") || text.starts_with("$1$") => "an MD5 hash",
        _ if text.starts_with("{SHA}") || text.starts_with("{SSHA}") => "a SHA-1 hash",
        _ if text.starts_with("$5$") || text.starts_with("$6$") => "a SHA-2 crypt hash",
        _ if text.starts_with("$2x$") => "a hash of a faulty bcrypt implementation",
        _ => "a plaintext password or a hash of an old kind",
    }
}

/// The users.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Htpasswd {
    users: BTreeMap<String, PasswordHash>,
}

impl Htpasswd {
    /// The hash of a user's password.
    #[must_use]
    pub fn user(&self, name: &str) -> Option<&PasswordHash> {
        self.users.get(name)
    }

    /// All users, by name.
    pub fn users(&self) -> impl Iterator<Item = (&str, &PasswordHash)> {
        self.users.iter().map(|(name, hash)| (name.as_str(), hash))
    }
}

/// Reads the file. Empty lines and lines that start with `#` count for nothing.
///
/// # Errors
/// Every line that is no user with a bcrypt hash, by its number. Nothing of a line is quoted.
pub fn load_htpasswd(path: &Path) -> Result<Htpasswd, ConfigErrors> {
    let bytes = file::read(path, limits::HTPASSWD_FILE_BYTES)
        .map_err(|problem| ConfigErrors(vec![whole(path, format!("the file {problem}"), "make it with `htpasswd -B -c FILE USER`")]))?;
    let text = String::from_utf8(bytes).map_err(|_| ConfigErrors(vec![whole(path, "the file is not UTF-8", MEND)]))?;
    let mut users = BTreeMap::new();
    let mut errors = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#')) {
        let problem = match line.split_once(':') {
            Some((name, hash)) if is_name(name) => match (PasswordHash::parse(hash), users.entry(name.to_owned())) {
                (Ok(hash), Entry::Vacant(place)) => {
                    place.insert(hash);
                    continue;
                }
                (Ok(_), Entry::Occupied(_)) => "the same user stands in the file twice".to_owned(),
                (Err(problem), _) => problem,
            },
            Some(_) => "expected a user name of up to 255 printable characters without : and #".to_owned(),
            None => "expected name:hash, found no colon".to_owned(),
        };
        if errors.len() < limits::ERRORS {
            let position = Some((index + 1, 1));
            errors.push(ConfigError { file: Some(path.to_owned()), position, problem, mend: Some(MEND.to_owned()), snippet: None });
        }
    }
    if errors.is_empty() { Ok(Htpasswd { users }) } else { Err(ConfigErrors(errors)) }
}

/// Whether `name` can be a user's: `#` would make two principals look alike, RFC 7617 §2 excludes `:` and control characters.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 255 && name.trim() == name && !name.chars().any(|c| c.is_control() || matches!(c, '#' | ':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC";

    fn load(text: &str) -> Result<Htpasswd, ConfigErrors> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        load_htpasswd(file.path())
    }

    #[test]
    fn bcrypt_entries_are_read() {
        let users = load(&format!("# people\n\nalice:{HASH}\r\nbob smith:{HASH}\n")).expect("valid");
        assert_eq!(users.users().map(|(name, hash)| (name, hash.cost())).collect::<Vec<_>>(), [("alice", 5), ("bob smith", 5)]);
        assert_eq!(users.user("alice").map(PasswordHash::expose), Some(HASH));
        assert_eq!(users.user("carol"), None);
        assert!(!format!("{users:?}").contains("XQZWr7"));
    }

    // D8, D9
    #[test]
    fn every_other_kind_of_entry_is_an_error_that_names_its_line_and_quotes_nothing() {
        for (entry, problem) in [
            ("alice:hunter2", "found a plaintext password"),
            ("alice:", "found nothing"),
            ("alice:$apr1$hunter2$3Zq", "found an MD5 hash"),
            ("alice:{SHA}hunter2=", "found a SHA-1 hash"),
            ("alice:$6$hunter2$x", "found a SHA-2 crypt hash"),
            ("alice:$2x$05$hunter2", "a faulty bcrypt implementation"),
            ("alice:$2y$05$hunter2", "found a malformed one"),
            ("alice:$2y$31$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC", "from 5 to 14, found 31"),
            ("alice:$2y$+5$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC", "found a malformed one"),
            ("hunter2", "found no colon"),
            (":$2y$05$", "expected a user name"),
        ] {
            let errors = load(&format!("ok:{HASH}\n{entry}\n")).expect_err(entry);
            let [error] = &errors.0[..] else { panic!("{errors}") };
            assert_eq!(error.position, Some((2, 1)), "{entry}");
            assert!(error.problem.contains(problem), "{entry}: {error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        let errors = load(&format!("a:{HASH}\na:{HASH}\n")).expect_err("twice");
        assert!(errors.to_string().contains(":2:1: the same user"), "{errors}");
    }
}
