//! Scopes of the token endpoint, `repository:NAME:ACTIONS` (distribution, "Token Scope Documentation").

use sealgate_config::{Action, Actions};
use sealgate_verifier::Repository;

/// Scopes in one request for a token. Clients ask for one, and for another one with each repository that they mount from.
pub const SCOPES: usize = 16;

/// What a bearer token is for.
pub type Scope = Vec<(Repository, Actions)>;

/// The name and the actions that a scope asks for; none for a kind of scope that the gate does not have. The protocol has no word for
/// signing: whoever asks to push gets what they may upload.
pub fn parse(text: &str) -> Option<(&str, Actions)> {
    let (name, actions) = text.strip_prefix("repository:")?.rsplit_once(':')?;
    let one = |word: &str| match word {
        "pull" => Action::Pull.into(),
        "push" => Actions::from([Action::Push, Action::Sign]),
        "delete" => Action::Delete.into(),
        "*" => Action::ALL.into(),
        _ => Actions::NONE,
    };
    Some((name, actions.split(',').fold(Actions::NONE, |all, word| all.union(one(word))).with_pull()))
}

/// The scope that `actions` in `repository` take.
pub fn write(repository: &Repository, actions: Actions) -> String {
    let upload = actions.intersects([Action::Push, Action::Sign].into());
    let push = if upload { ",push" } else { "" };
    let delete = if actions.contains(Action::Delete) { ",delete" } else { "" };
    format!("repository:{repository}:pull{push}{delete}")
}

/// Whether `scope` covers one of `actions` in `repository`.
pub fn covers(scope: &[(Repository, Actions)], action: Action, repository: &Repository) -> bool {
    scope.iter().any(|(found, actions)| found == repository && actions.contains(action))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_as_clients_write_them() {
        for (text, name, actions) in [
            ("repository:hosted.local/team/app:pull,push", "hosted.local/team/app", "pull,push,sign"),
            ("repository:library/nginx:pull", "library/nginx", "pull"),
            ("repository:localhost:5000/app:delete", "localhost:5000/app", "pull,delete"),
            ("repository:app:*", "app", "pull,push,sign,delete"),
            ("repository:app:admin", "app", ""),
        ] {
            let (found, wanted) = parse(text).expect(text);
            assert_eq!((found, wanted.to_string().as_str()), (name, actions), "{text}");
        }
        for other in ["registry:catalog:*", "repository:app", "repository(plugin):a:pull", "", "pull"] {
            assert_eq!(parse(other), None, "{other}");
        }
        let repository = "hosted.local/team/app".parse().expect("a name");
        assert_eq!(write(&repository, Action::Sign.into()), "repository:hosted.local/team/app:pull,push");
        assert_eq!(write(&repository, Action::Pull.into()), "repository:hosted.local/team/app:pull");
    }
}
