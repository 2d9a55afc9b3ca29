//! Secrets in `sealgate.yaml`: where they come from, and that no error shows one.

mod server_file;

use std::fs;

use server_file::{load, load_with, upstream};

// D8
#[test]
fn no_error_ever_shows_a_secret() {
    let secret = "hunter2";
    for text in [
        "registries: { docker.io: { tag-tl: 5m, credentials: [{ repositories: a/*, username: hunter2, password: hunter2 }] } }",
        "registries: { docker.io: { credentials: [{ pasword: hunter2, username: hunter2 }] } }",
        "registries: { docker.io: { credentials: [{ hunter2: hunter2 }] } }",
        "registries: { docker.io: { credentials: { password: hunter2 } } }",
        "registries: { docker.io: { credentials: hunter2 } }",
        "registries: { docker.io: { credentials: [hunter2] } }",
        "registries: { docker.io: { credential: [{ password: hunter2 }] } }",
        "registries: { docker.io: { credentials: [{ password: [hunter2] }] } }",
        "registries: { docker.io: { credentials: [{ password: { hunter2: x }, username: a }] } }",
        "registries: { docker.io: { credentials: [{ password: \"hunter2\\nx\", username: \"hunter2:x\", repositories: a/* }] } }",
        "registries: { docker.io: { credentials: [{ password: 'env:hunter2', username: 'file:hunter2', repositories: a/* }] } }",
        "registries: { docker.io: { credentials: [{ password: !hunter2 x }] } }",
        "registries: { docker.io: { credentials: [{ password: *hunter2 }] } }",
        "registries: { docker.io: { credentials: [{ password: &hunter2 x }] } }",
        "registries: { docker.io: { credentials: [{ password: hunter2 }",
        "registries: { docker.io: { credentials: [{ password: \"hunter2 }] } }",
        "registries:\n  docker.io:\n    credentials:\n      - password: hunter2: x\n",
        "registries:\n  docker.io:\n    credentials:\n      - password: |\n          hunter2\n        username: hunter2\n        x: y\n",
        "registries:\n  docker.io:\n    credentials:\n      - password: >-\n          hunter2\n          more\n       username: hunter2\n",
        "registries: { docker.io: { upstream: \"https://hunter2:hunter2@ghcr.io\" } }",
        "registries: { docker.io: { upstream: \"https://user:hunter2@ghcr.io\", tag-ttl: 5 } }",
        "registries: { \"user:hunter2@ghcr.io\": {} }",
        "public-url: https://user:hunter2@gate.example",
        "data: x # hunter2\nevidence: { ttl: 5 } # hunter2",
        "password: hunter2",
    ] {
        let errors = load(text).expect_err(text);
        assert!(!format!("{errors:?}{errors}").contains(secret), "{text}: {errors:?}");
    }
    let config =
        load("registries: { docker.io: { credentials: [{ repositories: a/*, username: hunter2, password: hunter2 }] } }").expect("valid");
    assert!(!format!("{config:?}").contains(secret));
}

#[test]
fn secrets_come_from_the_environment_and_from_files() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("password");
    let load = |content: &[u8]| {
        fs::write(&path, content).expect("file");
        let url = format!("file://{}", path.display());
        let text =
            format!("registries: {{ docker.io: {{ credentials: [{{ repositories: a/*, username: env://U, password: '{url}' }}] }} }}");
        load_with(&text, &[("U", "me")])
    };
    let config = load(b"pass word\r\n").expect("valid");
    let credential = &upstream(&config, "docker.io").credentials[0];
    assert_eq!((credential.username.expose(), credential.password.expose()), ("me", "pass word"));
    for (content, problem) in
        [(&b""[..], "is empty"), (b"\n", "is empty"), (b"a\nb", "line break"), (b"\xff", "not UTF-8"), (&[b'a'; 70_000], "is larger than")]
    {
        let error = load(content).expect_err("bad").to_string();
        assert!(error.contains(problem), "{error}");
    }
    fs::remove_file(&path).expect("file");
    std::os::unix::fs::symlink("nowhere", &path).expect("link");
    let url = format!("file://{}", path.display());
    let text = format!("registries: {{ docker.io: {{ credentials: [{{ repositories: a/*, username: env://U, password: '{url}' }}] }} }}");
    let errors = load_with(&text, &[]).expect_err("bad");
    assert_eq!(errors.0.len(), 2, "{errors}");
    assert!(errors.to_string().contains("symbolic link to nowhere, which does not exist"), "{errors}");
    assert!(errors.to_string().contains("the environment variable U is not set"), "{errors}");
}
