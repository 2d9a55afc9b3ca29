//! Who signs, as the arguments and the environment say.

use std::path::Path;
use std::sync::Arc;

use sealgate_signer::{Algorithm, Instance, KeySource, SignError, Signer, SigningConfig, SigningKey, TokenError, TokenSource};
use sealgate_verifier::sigstore::TrustRoot;

use super::SigningArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::{USER_AGENT, environment, now, output, password};

/// Every signer once.
///
/// # Errors
/// When a key cannot be loaded, or no identity token or certificate be had.
pub(super) async fn load(args: &SigningArgs) -> Result<Vec<Signer>, Failure> {
    check(args)?;
    if args.key.is_empty() {
        return Ok(vec![keyless(args).await?]);
    }
    let instance = args.signing_config.is_some().then(|| instance(args)).transpose()?;
    let mut signers: Vec<Signer> = Vec::new();
    for (number, text) in args.key.iter().enumerate() {
        let file = args.password_file.get(number).or(args.password_file.first());
        let key = load_key(text, file.map(|file| &**file))?;
        if key.algorithm() == Algorithm::P384 {
            output::note("note: cosign 3.1 verifies no P-384 signature by key, not even its own; sealgate does");
        }
        let signer = Signer::with_key(key, instance.clone()).map_err(|error| failure(&error))?;
        if signers.iter().all(|known| known.public().id() != signer.public().id()) {
            signers.push(signer);
        }
    }
    Ok(signers)
}

/// What the argument parser cannot tell.
fn check(args: &SigningArgs) -> Result<(), Failure> {
    let usage = |problem: &str| Err(Failure::new(Exit::Usage, problem));
    if args.key.iter().filter(|key| *key == "-").count() > 1 {
        return usage("--key - twice: standard input holds one key");
    }
    if args.password_file.len() > 1 && args.password_file.len() != args.key.len() {
        return usage("--password-file: expected one for all keys, or one for each --key");
    }
    if !args.key.is_empty() && args.trusted_root.is_some() && args.signing_config.is_none() {
        return usage("--trusted-root with --key: nothing is logged without --signing-config");
    }
    Ok(())
}

/// Loads the key that `text` names; asks for its password if it has one.
fn load_key(text: &str, password_file: Option<&Path>) -> Result<SigningKey, Failure> {
    let source: KeySource = text.parse().map_err(|error| Failure::new(Exit::Usage, format!("--key: {error}")))?;
    let pem = source.read(&environment).map_err(|error| Failure::error(error.to_string()))?;
    let password = || password_file.map_or_else(|| password::existing(&source.to_string()), password::in_file);
    SigningKey::from_pem(&pem, password).map_err(|error| Failure::error(format!("{source}: {error}")))
}

async fn keyless(args: &SigningArgs) -> Result<Signer, Failure> {
    let source = match &args.identity_token {
        Some(text) => TokenSource::named(text, &environment),
        None => TokenSource::ambient(&environment),
    };
    let source = source.map_err(|error| token_failure(&error))?;
    if args.signing_config.is_none() && !args.yes {
        let problem = "the public instance of Sigstore writes the signer's identity to a public log for good: agree with --yes, or name an \
                       instance of your own with --signing-config and --trusted-root";
        return Err(Failure::new(Exit::Usage, problem));
    }
    let instance = instance(args)?;
    let token = source.token(USER_AGENT).await.and_then(|token| token.current(now())).map_err(|error| token_failure(&error))?;
    Signer::keyless(instance, &token, now()).await.map_err(|error| failure(&error))
}

fn instance(args: &SigningArgs) -> Result<Arc<Instance>, Failure> {
    let read = |file: &Path| std::fs::read(file).map_err(|error| Failure::error(format!("{}: {error}", file.display())));
    let config = match &args.signing_config {
        Some(file) => SigningConfig::from_json(&read(file)?).map_err(|error| Failure::error(format!("{}: {error}", file.display())))?,
        None => SigningConfig::public().map_err(|error| Failure::error(error.to_string()))?,
    };
    let root = match &args.trusted_root {
        Some(file) => TrustRoot::from_json(&read(file)?).map_err(|error| Failure::error(format!("{}: {error}", file.display())))?,
        None => TrustRoot::public().map_err(|error| Failure::error(error.to_string()))?,
    };
    Ok(Arc::new(Instance { config, root, user_agent: USER_AGENT.to_owned() }))
}

fn token_failure(error: &TokenError) -> Failure {
    let exit = match error {
        TokenError::Service(error) if error.may_pass() => Exit::TryAgain,
        TokenError::None => Exit::Usage,
        TokenError::Service(_)
        | TokenError::GitHubPermission
        | TokenError::GitLabToken
        | TokenError::Malformed { .. }
        | TokenError::EmailUnverified
        | TokenError::Expired { .. }
        | TokenError::File { .. } => Exit::Error,
    };
    Failure::new(exit, error.to_string())
}

/// What a failure to sign means to the command.
pub(super) fn failure(error: &SignError) -> Failure {
    Failure::new(if error.may_pass() { Exit::TryAgain } else { Exit::Error }, error.to_string())
}
