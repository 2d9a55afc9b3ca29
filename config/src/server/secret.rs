//! Secrets from the environment, from files, or written out. No message quotes one.

use std::path::Path;

use super::Secret;
use crate::file;
use crate::limits;
use crate::node::{Node, Value};
use crate::problems::Problems;

/// Looks up one environment variable.
pub(crate) type Environment<'e> = dyn Fn(&str) -> Option<String> + 'e;

/// The secret that `node` writes out or points to; `what` names it in messages.
pub(crate) fn read(node: &Node, what: &str, environment: &Environment<'_>, problems: &mut Problems<'_>) -> Option<Secret> {
    let Value::Text(text) = &node.value else {
        problems.node(node, format!("{what}: expected text, found {}", node.kind()), "write env://VAR or file:///path, in quotes");
        return None;
    };
    match fetch(text, environment) {
        Ok(secret) if secret.is_empty() => {
            problems.node(node, format!("{what} is empty"), "give it a value");
            None
        }
        Ok(secret) if secret.chars().any(char::is_control) => {
            problems.node(node, format!("{what} holds a line break or another control character"), "keep the secret alone on one line");
            None
        }
        Ok(secret) => Some(Secret::new(secret)),
        Err((problem, mend)) => {
            problems.node(node, format!("{what}: {problem}"), mend);
            None
        }
    }
}

fn fetch(text: &str, environment: &Environment<'_>) -> Result<String, (String, &'static str)> {
    if let Some(name) = text.strip_prefix("env:") {
        let name = name.strip_prefix("//").filter(|name| is_variable(name));
        let name =
            name.ok_or_else(|| ("malformed env: reference".to_owned(), "write env://VAR, where VAR has letters, digits and _ only"))?;
        return environment(name)
            .ok_or_else(|| (format!("the environment variable {name} is not set"), "set it where the server starts, or name another"));
    }
    if let Some(path) = text.strip_prefix("file:") {
        let path = path.strip_prefix("//").filter(|path| path.starts_with('/'));
        let path = path.ok_or_else(|| ("a file: reference needs an absolute path".to_owned(), "write file:///path, with three slashes"))?;
        let bytes = file::read(Path::new(path), limits::SECRET_FILE_BYTES)
            .map_err(|problem| (format!("{path} {problem}"), "mount the secret there, readable for the server's user"))?;
        let content = String::from_utf8(bytes)
            .map_err(|_| (format!("{path} is not UTF-8"), "store the secret as plain text, without encoding it"))?;
        return Ok(content.trim_end_matches(['\r', '\n']).to_owned());
    }
    Ok(text.to_owned())
}

fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && !name.starts_with(|c: char| c.is_ascii_digit())
}
