//! Exit codes and failures (DESIGN §8; 10 to 12 are cosign's).

use std::process::ExitCode;

use sealgate_registry::FetchError;
use sealgate_verifier::Denial;

/// What the exit code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// An error without a code of its own.
    Error = 1,
    /// The arguments are wrong.
    Usage = 2,
    /// The configuration or the policy is invalid.
    ConfigInvalid = 3,
    /// The image has no signature.
    Unsigned = 10,
    /// The tag or digest does not exist.
    TagNotFound = 11,
    /// Signatures exist, and none is what is expected.
    SignatureMismatch = 12,
    /// Denied by the vulnerability policy.
    VulnerabilityPolicy = 20,
    /// A secret was found in the image.
    SecretFound = 21,
    /// Denied for another reason, or for several.
    Denied = 22,
    /// Failed for now (EX_TEMPFAIL of sysexits.h).
    TryAgain = 75,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what it was asked to.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// One or more lines for stderr; empty when stdout has said it already.
    pub message: String,
}

impl Failure {
    /// A failure with its own exit code.
    #[must_use]
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    /// A failure without an exit code of its own.
    #[must_use]
    pub fn error(message: impl Into<String>) -> Self {
        Self::new(Exit::Error, message)
    }

    /// A failure that the result on stdout has already told.
    #[must_use]
    pub const fn silent(exit: Exit) -> Self {
        Self { exit, message: String::new() }
    }

    /// Itself, with what it is about in front.
    #[must_use]
    pub fn about(self, what: &str) -> Self {
        Self { message: format!("{what}: {}", self.message), ..self }
    }

    /// What a registry's failure means to a command.
    #[must_use]
    pub fn fetch(what: &str, error: &FetchError) -> Self {
        let exit = match error {
            FetchError::NotFound => Exit::TagNotFound,
            FetchError::RateLimited { .. } | FetchError::Unavailable { .. } | FetchError::Timeout => Exit::TryAgain,
            FetchError::Denied { .. }
            | FetchError::Unreachable { .. }
            | FetchError::Truncated { .. }
            | FetchError::Malformed { .. }
            | FetchError::TooLarge { .. }
            | FetchError::Forbidden { .. } => Exit::Error,
        };
        Self::new(exit, format!("{what}: {error}"))
    }

    /// Writes the message to stderr.
    pub fn report(&self) {
        if !self.message.is_empty() {
            super::output::note(&format!("error: {}", self.message));
        }
    }
}

impl Exit {
    /// The code for a denial.
    #[must_use]
    pub fn of_denial(denial: &Denial) -> Self {
        match denial.outcome_code() {
            10 => Self::Unsigned,
            12 => Self::SignatureMismatch,
            20 => Self::VulnerabilityPolicy,
            21 => Self::SecretFound,
            75 => Self::TryAgain,
            // 22, and whatever a later reason may bring: no known code is lost, and none is zero.
            _ => Self::Denied,
        }
    }
}

#[cfg(test)]
mod tests {
    use sealgate_verifier::{Digest, Mode, Reason};

    use super::*;

    fn denial(reasons: Vec<Reason>) -> Denial {
        let repository = "nginx".parse().expect("a repository");
        let digest = Digest::sha256(b"image");
        Denial { repository, digest, rule: None, mode: Mode::Enforce, reasons, findings: vec![], valid_until: None }
    }

    #[test]
    fn a_denial_has_its_reasons_code_or_that_for_several() {
        let unsigned = || Reason::Unsigned { expected: "x".into(), attested: vec![] };
        let mismatch = || Reason::SignaturesDoNotSatisfy { expected: "x".into(), by: vec![], found: "y".into() };
        let missing = || Reason::EvidenceMissing { expected: "x".into(), gaps: vec![] };
        for (reasons, expected) in [
            (vec![unsigned()], Exit::Unsigned),
            (vec![mismatch(), mismatch()], Exit::SignatureMismatch),
            (vec![unsigned(), mismatch()], Exit::Denied),
            (vec![Reason::NoRule], Exit::Denied),
            (vec![missing()], Exit::TryAgain),
        ] {
            assert_eq!(Exit::of_denial(&denial(reasons.clone())), expected, "{reasons:?}");
        }
    }

    #[test]
    fn a_missing_tag_and_a_busy_registry_have_their_own_codes() {
        let code = |error| Failure::fetch("cannot read x", &error).exit;
        assert_eq!(code(FetchError::NotFound), Exit::TagNotFound);
        assert_eq!(code(FetchError::RateLimited { retry_after: None }), Exit::TryAgain);
    }
}
