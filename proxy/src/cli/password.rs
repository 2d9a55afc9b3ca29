//! The password of a key: `COSIGN_PASSWORD`, else a prompt on a terminal, else a clear error.

use std::io::IsTerminal;

use sealgate_signer::PasswordError;
use zeroize::Zeroizing;

/// The variable that cosign reads too. Set and empty is a password: the empty one.
const VARIABLE: &str = "COSIGN_PASSWORD";

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
        None => Err(PasswordError(format!("the key is encrypted: set {VARIABLE} to its password, or run this on a terminal"))),
    }
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
