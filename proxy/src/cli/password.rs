//! The password of a key: in a file, else `COSIGN_PASSWORD`, else a prompt on a terminal, else a clear error.

use std::io::{IsTerminal, Read};
use std::path::Path;

use sealgate_signer::PasswordError;
use zeroize::Zeroizing;

/// The variable that cosign reads too. Set and empty is a password: the empty one.
const VARIABLE: &str = "COSIGN_PASSWORD";

/// Bytes of a password's file.
const FILE_BYTES: u64 = 4096;

fn terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

fn ask(prompt: &str) -> Result<Zeroizing<String>, PasswordError> {
    rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(|error| PasswordError(format!("cannot read the password: {error}")))
}

/// The password of a key that exists.
///
/// # Errors
/// When there is neither the variable nor a terminal.
pub fn existing(name: &str) -> Result<Zeroizing<String>, PasswordError> {
    match super::environment(VARIABLE) {
        Some(password) => Ok(Zeroizing::new(password)),
        None if terminal() => ask(&format!("Password for {name}: ")),
        None => Err(PasswordError(format!(
            "the key is encrypted: set {VARIABLE} to its password, name --password-file, or run this on a terminal"
        ))),
    }
}

/// The password in `file`, without the line feed at its end.
///
/// # Errors
/// When the file cannot be read, or is none of a password.
pub fn in_file(file: &Path) -> Result<Zeroizing<String>, PasswordError> {
    let failed = |problem: &str| PasswordError(format!("cannot read the password in {}: {problem}", file.display()));
    let opened = std::fs::File::open(file).map_err(|error| failed(&error.to_string()))?;
    // The whole buffer at once, so that no reallocation leaves a copy behind.
    let mut text = Zeroizing::new(String::with_capacity(FILE_BYTES as usize + 1));
    opened.take(FILE_BYTES + 1).read_to_string(&mut text).map_err(|error| failed(&error.to_string()))?;
    if text.len() as u64 > FILE_BYTES {
        return Err(failed("expected at most 4096 bytes"));
    }
    let password = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    Ok(Zeroizing::new(password.to_owned()))
}

/// The password for a key that is being made; a prompt asks twice.
///
/// # Errors
/// When there is neither the variable nor a terminal, or the two answers differ. `otherwise` ends the sentence that says what to do.
pub fn fresh(otherwise: &str) -> Result<Zeroizing<String>, PasswordError> {
    if let Some(password) = super::environment(VARIABLE) {
        return Ok(Zeroizing::new(password));
    }
    if !terminal() {
        return Err(PasswordError(format!(
            "a new key needs a password: set {VARIABLE} (empty for a key without one), or run this on a terminal{otherwise}"
        )));
    }
    let first = ask("Password for the new key: ")?;
    let second = ask("The same again: ")?;
    if *first == *second { Ok(first) } else { Err(PasswordError("the two passwords differ: nothing was written".to_owned())) }
}
