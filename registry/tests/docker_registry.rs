//! Against a real registry, Docker's `docker-registry` 2.8, where it is installed.

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use sealgate_registry::{Client, ClientConfig, FetchError, Lifetimes, Referrers, anonymous, collect};
use sealgate_verifier::{Digest, Location, ManifestReference, Needs, Repository, Timestamp, media_type};

struct Registry {
    child: Child,
    host: String,
    _data: tempfile::TempDir,
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a registry on a port of its own choice; none when it is not installed.
fn start() -> Option<Registry> {
    let data = tempfile::tempdir().expect("a folder");
    let config = data.path().join("config.yml");
    let text = format!(
        "version: 0.1\nlog: {{ level: info }}\nstorage: {{ filesystem: {{ rootdirectory: {}/store }} }}\nhttp: {{ addr: '127.0.0.1:0' }}\n",
        data.path().display()
    );
    std::fs::write(&config, text).expect("a file");
    let mut child = Command::new("docker-registry").arg("serve").arg(&config).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().ok()?;
    let mut log = BufReader::new(child.stderr.take().expect("a log"));
    let mut line = String::new();
    while log.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
        if let Some((_, rest)) = line.split_once("listening on ") {
            let host = rest.chars().take_while(|c| c.is_ascii_digit() || matches!(c, '.' | ':')).collect();
            std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
            return Some(Registry { child, host, _data: data });
        }
        line.clear();
    }
    None
}

async fn push(client: &Client, path: &str, reference: Option<&str>, layer: &'static str, kind: &str) -> (Digest, bool) {
    for blob in ["{}", layer] {
        client.push_blob(path, &Digest::sha256(blob.as_bytes()), Bytes::from_static(blob.as_bytes())).await.expect("a pushed blob");
    }
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","config":{{"mediaType":"{}","digest":"{}","size":2}},"layers":[{{"mediaType":"{kind}","digest":"{}","size":{}}}]}}"#,
        media_type::OCI_MANIFEST,
        media_type::OCI_CONFIG,
        Digest::sha256(b"{}"),
        Digest::sha256(layer.as_bytes()),
        layer.len()
    );
    let digest = Digest::sha256(manifest.as_bytes());
    let reference = reference.map_or(ManifestReference::Digest(digest), |tag| tag.parse().expect("a tag"));
    let processed =
        client.put_manifest(path, &reference, media_type::OCI_MANIFEST, Bytes::from(manifest)).await.expect("a pushed manifest");
    (digest, processed)
}

#[tokio::test]
async fn what_is_pushed_is_pulled_and_collected() {
    let Some(registry) = start() else {
        eprintln!("docker-registry is not installed: nothing was tested");
        return;
    };
    // This machine is spoken to over http without a flag.
    let client = Client::new(ClientConfig::for_user(&registry.host, false, "sealgate/test", anonymous())).expect("a client");
    let path = "team/app";
    let latest: ManifestReference = "latest".parse().expect("a tag");
    assert_eq!(client.get_manifest(path, &latest).await, Err(FetchError::NotFound));

    let (subject, _) = push(&client, path, Some("latest"), "layer", "application/vnd.oci.image.layer.v1.tar").await;
    let head = client.head_manifest(path, &latest).await.expect("a head");
    assert_eq!((head.digest, head.media_type.as_deref()), (Some(subject), Some(media_type::OCI_MANIFEST)));
    assert_eq!(client.get_manifest(path, &latest).await.expect("a manifest").digest, subject);
    assert_eq!(client.head_blob(path, &Digest::sha256(b"layer")).await, Ok(Some(5)));
    let blob = client.get_blob(path, &Digest::sha256(b"layer"), 3).await.expect("a blob");
    assert_eq!((blob.offset, blob.size), (3, Some(5)));
    assert!(matches!(client.get_blob(path, &Digest::sha256(b"layer"), 99).await, Err(FetchError::Malformed { .. })));
    assert_eq!(client.tags(path, 10, None).await.expect("tags").tags, ["latest"]);
    assert_eq!(client.referrers(path, &subject).await, Ok(Referrers::Unsupported));

    let repository: Repository = format!("{}/{path}", registry.host).parse().expect("a repository");
    let lifetimes = Lifetimes { max_stale: Duration::from_secs(60) };
    let needs = Needs { signatures: true, ..Needs::default() };
    let found = collect(&client, &repository, &subject, needs, Timestamp(0), lifetimes).await;
    assert_eq!((found.items.len(), found.unseen().count()), (0, 0));

    // A bundle at the fallback tag and a legacy signature.
    let tag = subject.fallback_tag();
    push(&client, path, Some(&tag), r#"{"b":1}"#, media_type::BUNDLE_V03).await;
    push(&client, path, Some(&format!("{tag}.sig")), r#"{"critical":1}"#, media_type::SIMPLE_SIGNING).await;
    let found = collect(&client, &repository, &subject, needs, Timestamp(0), lifetimes).await;
    let places: Vec<(Location, usize)> = found.items.iter().map(|item| (item.location, item.layers.len())).collect();
    assert_eq!((places, found.unseen().count()), (vec![(Location::FallbackTag, 1), (Location::SignatureTag, 1)], 0));
}
