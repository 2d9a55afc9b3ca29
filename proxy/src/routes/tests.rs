use std::future::poll_fn;

use bytes::Bytes;
use http::StatusCode;
use http::header::{ACCEPT, ALLOW, CONTENT_LENGTH, CONTENT_RANGE, ETAG, IF_NONE_MATCH, RANGE};
use http_body_util::{BodyExt, Full};
use hyper::ext::ReasonPhrase;
use sealgate_config::ServerConfig;
use sealgate_verifier::{Digest, Manifest};

use super::*;
use crate::cli::demo::{cast, upstream};
use crate::gate::GateParts;
use crate::metrics::Metrics;
use crate::store::Store;
use crate::trust_root::TrustRoots;

/// A gate before the demo's upstream: `demo/signed` passes, `demo/unsigned` does not.
struct Fixture {
    gate: Arc<Gate>,
    routes: Routes,
    _upstream: upstream::Upstream,
    _folder: tempfile::TempDir,
}

/// An answer that has arrived.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    reason: Option<String>,
    body: Bytes,
}

impl Answer {
    async fn read(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let reason = parts.extensions.get::<ReasonPhrase>().map(|reason| String::from_utf8_lossy(reason.as_bytes()).into_owned());
        Self { status: parts.status, headers: parts.headers, reason, body: body.collect().await.unwrap().to_bytes() }
    }

    fn header(&self, name: impl http::header::AsHeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn code(&self) -> String {
        self.json()["errors"][0]["code"].as_str().unwrap().to_owned()
    }
}

impl Fixture {
    async fn new() -> Self {
        let cast = cast::Cast::assemble().unwrap();
        let upstream = upstream::start(cast.content()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("ci.pub", cast.public_key());
        write("trust-policy.yaml", &crate::cli::demo::setting::policy());
        let registry = format!("{}: {{ default: true, upstream: \"http://{}\" }}", cast::REGISTRY, upstream.address());
        write("sealgate.yaml", &format!("policy: trust-policy.yaml\nregistries:\n  {registry}\n"));
        let config = ServerConfig::load(Some(&folder.path().join("sealgate.yaml")), &|_| None).unwrap();
        let policy = sealgate_config::load_policy(config.policy.as_deref().unwrap()).unwrap().policy;
        let metrics = Metrics::new([cast::REGISTRY]);
        let gate = Gate::new(GateParts { config, policy, store: Store::in_memory(), metrics }).unwrap();
        Self { routes: Routes::new(Arc::clone(&gate), None), gate, _upstream: upstream, _folder: folder }
    }

    async fn send(&self, method: &str, path: &str, headers: &[(HeaderName, &str)]) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let mut routes = self.routes.clone();
        poll_fn(|cx| Service::<Request<Body>>::poll_ready(&mut routes, cx)).await.unwrap();
        Answer::read(routes.call(request.body(Body::empty()).unwrap()).await.unwrap()).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[]).await
    }

    /// The signed image's layer: its path and size.
    async fn layer(&self) -> (String, u64) {
        let manifest = self.get("/v2/demo/signed/manifests/v1").await.body;
        let Manifest::Image(image) = Manifest::parse(&manifest, None).unwrap() else { panic!("no image") };
        (format!("/v2/demo/signed/blobs/{}", image.layers[0].digest), image.layers[0].size)
    }
}

#[tokio::test]
async fn head_says_what_get_says_without_the_body() {
    let fixture = Fixture::new().await;
    let (layer, _) = fixture.layer().await;
    for path in ["/v2/", "/v2/demo/signed/manifests/v1", "/v2/demo/unsigned/manifests/v1", "/v2/demo/signed/tags/list", &layer, "/v2/x//y"]
    {
        let (head, get) = (fixture.send("HEAD", path, &[]).await, fixture.get(path).await);
        assert_eq!((head.status, &head.headers, &head.reason), (get.status, &get.headers, &get.reason), "{path}");
        assert_eq!(head.header(CONTENT_LENGTH), get.body.len().to_string(), "{path}");
        assert!(head.body.is_empty() && !get.body.is_empty(), "{path}");
        assert_eq!(head.header(API_VERSION), "registry/2.0", "{path}");
    }
}

#[tokio::test]
async fn a_manifest_comes_with_its_digest_and_by_its_digest() {
    let fixture = Fixture::new().await;
    let by_tag = fixture.get("/v2/demo/signed/manifests/v1").await;
    let digest = Digest::sha256(&by_tag.body).to_string();
    assert_eq!(by_tag.header(DOCKER_CONTENT_DIGEST), digest);
    assert_eq!(by_tag.header(ETAG), format!("\"{digest}\""));
    let by_digest = fixture.get(&format!("/v2/demo.example/demo/signed/manifests/{digest}?ns=demo.example")).await;
    assert_eq!(by_digest.body, by_tag.body);
    let unchanged = fixture.send("GET", "/v2/demo/signed/manifests/v1", &[(IF_NONE_MATCH, by_tag.header(ETAG))]).await;
    assert_eq!((unchanged.status, unchanged.body.len()), (StatusCode::NOT_MODIFIED, 0));
}

#[tokio::test]
async fn a_denial_has_its_reason_and_a_page() {
    let fixture = Fixture::new().await;
    let denied = fixture.get("/v2/demo/unsigned/manifests/v1").await;
    assert_eq!((denied.status, denied.code()), (StatusCode::FORBIDDEN, "DENIED".to_owned()));
    let message = denied.json()["errors"][0]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("signed-by any of ci"), "{message}");
    assert!(message.starts_with(&denied.reason.unwrap()), "{message}");
    let path = format!(
        "/decisions/{}",
        serde_json::from_slice::<serde_json::Value>(&denied.body).unwrap()["errors"][0]["detail"]["decision"].as_str().unwrap()
    );
    let page = fixture.get(&path).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(String::from_utf8_lossy(&page.body).contains("demo.example/demo/unsigned@sha256:"));
    let json = fixture.send("GET", &path, &[(ACCEPT, "application/json")]).await.json();
    assert_eq!(json["repository"], "demo.example/demo/unsigned");
    for id in ["", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "../../etc/passwd"] {
        assert_eq!(fixture.get(&format!("/decisions/{id}")).await.status, StatusCode::NOT_FOUND, "{id}");
    }
}

#[tokio::test]
async fn ranges_of_a_blob_are_cut_from_the_whole_and_wait_for_it() {
    // F27
    let fixture = Fixture::new().await;
    let (path, size) = fixture.layer().await;
    // The first request is a range of a blob that nobody has fetched yet.
    let part = fixture.send("GET", &path, &[(RANGE, "bytes=2-5")]).await;
    let whole = fixture.get(&path).await;
    assert_eq!((whole.status, whole.body.len() as u64), (StatusCode::OK, size));
    assert_eq!((part.status, part.body.as_ref()), (StatusCode::PARTIAL_CONTENT, &whole.body[2..6]));
    assert_eq!(part.header(CONTENT_RANGE), format!("bytes 2-5/{size}"));
    let last = fixture.send("GET", &path, &[(RANGE, "bytes=-3")]).await;
    assert_eq!(last.body.as_ref(), &whole.body[whole.body.len() - 3..]);
    let beyond = fixture.send("GET", &path, &[(RANGE, "bytes=999999-")]).await;
    assert_eq!((beyond.status, beyond.header(CONTENT_RANGE)), (StatusCode::RANGE_NOT_SATISFIABLE, format!("bytes */{size}").as_str()));
    let unchanged = fixture.send("GET", &path, &[(IF_NONE_MATCH, whole.header(ETAG))]).await;
    assert_eq!((unchanged.status, unchanged.body.len()), (StatusCode::NOT_MODIFIED, 0));
}

#[tokio::test]
async fn a_range_of_a_corrupted_blob_is_502() {
    // A4
    let fixture = Fixture::new().await;
    let manifest = fixture.get("/v2/demo/corrupted/manifests/v1").await.body;
    let Manifest::Image(image) = Manifest::parse(&manifest, None).unwrap() else { panic!("no image") };
    let path = format!("/v2/demo/corrupted/blobs/{}", image.layers[0].digest);
    let part = fixture.send("GET", &path, &[(RANGE, "bytes=0-0")]).await;
    assert_eq!(part.status, StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn a_blob_of_another_repository_is_unknown() {
    // D1
    let fixture = Fixture::new().await;
    let (path, _) = fixture.layer().await;
    assert_eq!(fixture.get(&path).await.status, StatusCode::OK);
    for other in ["demo/unsigned", "demo/wrong-key", "demo/nothing"] {
        for method in ["GET", "HEAD"] {
            let answer = fixture.send(method, &path.replace("demo/signed", other), &[]).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {other}");
        }
    }
}

#[tokio::test]
async fn what_names_no_configured_registry_is_refused_with_a_sentence() {
    let fixture = Fixture::new().await;
    for (path, status, code) in [
        ("/v2/ghcr.io/acme/app/manifests/v1", 404, "NAME_UNKNOWN"),
        ("/v2/demo/signed/manifests/v1?ns=ghcr.io", 404, "NAME_UNKNOWN"),
        ("/v2/ghcr.io/acme/app/manifests/v1?ns=demo.example", 400, "NAME_INVALID"),
        ("/v2/demo/signed/manifests/v1?ns=demo.example&ns=demo.example", 400, "UNSUPPORTED"),
        ("/v2/demo/signed/manifests/nothing", 404, "MANIFEST_UNKNOWN"),
        ("/v2/_catalog?n=1000000000", 404, "UNSUPPORTED"),
        ("/v1/", 404, "UNSUPPORTED"),
    ] {
        let answer = fixture.get(path).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{path}");
    }
    let answer = fixture.get("/v2/ghcr.io/acme/app/manifests/v1").await;
    assert!(answer.reason.unwrap().starts_with("ghcr.io is not configured"));
}

#[tokio::test]
async fn nobody_writes_without_a_right() {
    // D4
    let fixture = Fixture::new().await;
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"] {
        for path in ["/v2/", "/v2/_catalog", "/v2/demo/signed/tags/list", "/", "/decisions/x"] {
            let answer = fixture.send(method, path, &[]).await;
            assert_eq!((answer.status, answer.header(ALLOW)), (StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD"), "{method} {path}");
        }
    }
    let blob = Digest::sha256(b"blob");
    let upload = format!("/v2/demo/signed/blobs/uploads/{}", "0".repeat(32));
    for (method, path) in [
        ("POST", "/v2/demo/signed/blobs/uploads/".to_owned()),
        ("POST", format!("/v2/demo/signed/blobs/uploads/?mount={blob}&from=demo/unsigned")),
        ("GET", upload.clone()),
        ("PATCH", upload.clone()),
        ("PUT", format!("{upload}?digest={blob}")),
        ("DELETE", upload.clone()),
        ("PUT", "/v2/demo/signed/manifests/v1".to_owned()),
        ("DELETE", "/v2/demo/signed/manifests/v1".to_owned()),
        ("DELETE", format!("/v2/demo/signed/blobs/{blob}")),
    ] {
        let answer = fixture.send(method, &path, &[]).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (403, "DENIED"), "{method} {path}");
        assert!(answer.reason.unwrap().contains("this gate authenticates no clients"), "{method} {path}");
    }
    for (method, path, allow) in [
        ("PUT", "/v2/demo/signed/blobs/uploads/", "POST"),
        ("POST", upload.as_str(), "GET, HEAD, PATCH, PUT, DELETE"),
        ("POST", "/v2/demo/signed/manifests/v1", "GET, HEAD, PUT, DELETE"),
        ("PUT", &format!("/v2/demo/signed/blobs/{blob}"), "GET, HEAD, DELETE"),
    ] {
        let answer = fixture.send(method, path, &[]).await;
        assert_eq!((answer.status.as_u16(), answer.header(ALLOW)), (405, allow), "{method} {path}");
    }
}

#[tokio::test]
async fn listings_name_what_the_client_named() {
    let fixture = Fixture::new().await;
    let tags = fixture.get("/v2/demo.example/demo/signed/tags/list?n=5").await;
    assert_eq!(tags.json(), serde_json::json!({ "name": "demo.example/demo/signed", "tags": ["v1"] }));
    assert_eq!(fixture.get("/v2/demo/signed/tags/list?n=0").await.json()["tags"], serde_json::json!([]));
    let digest = fixture.get("/v2/demo/signed/manifests/v1").await.header(DOCKER_CONTENT_DIGEST).to_owned();
    let referrers = fixture.get(&format!("/v2/demo/signed/referrers/{digest}?artifactType=application/x")).await;
    assert_eq!((referrers.status, referrers.header("oci-filters-applied")), (StatusCode::OK, "artifactType"));
    assert_eq!(referrers.json()["manifests"], serde_json::json!([]));
    let referrers = fixture.get(&format!("/v2/demo/signed/referrers/{digest}")).await;
    assert_eq!(referrers.json()["manifests"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_admin_listener_tells_readiness_and_draining() {
    let fixture = Fixture::new().await;
    let readiness = Arc::new(Readiness::default());
    let admin = AdminRoutes::new(Arc::clone(&fixture.gate), Arc::clone(&readiness));
    let get = |path: &str| {
        let (parts, ()) = Request::get(path).body(()).unwrap().into_parts();
        admin.respond(&parts)
    };
    let statuses = |paths: [&str; 3]| paths.map(|path| get(path).status().as_u16());
    assert_eq!(statuses(["/livez", "/readyz", "/healthz"]), [200, 200, 200]);
    readiness.drain();
    assert_eq!(statuses(["/livez", "/readyz", "/healthz"]), [200, 503, 503]);
    assert_eq!(statuses(["/", "/v2/", "/decisions/x"]), [404, 404, 404]);
    let metrics = Answer::read(get("/metrics")).await;
    assert!(String::from_utf8_lossy(&metrics.body).contains("sealgate_store_writable 1"));
}

#[tokio::test]
async fn the_control_socket_explains_and_reloads() {
    let fixture = Fixture::new().await;
    let reload: ReloadPolicy = Arc::new(|| Box::pin(async { Err(vec!["trust-policy.yaml:1:1: bad".to_owned()]) }));
    let config = fixture.gate.config();
    let trust_roots = TrustRoots::open(&config.trust_roots, &config.data, fixture.gate.metrics()).unwrap();
    let control = ControlRoutes::new(Arc::clone(&fixture.gate), None, trust_roots, Arc::default(), reload);
    let send = async |method: &str, path: &str, body: &str| {
        let request = Request::builder().method(method).uri(path).body(Full::new(Bytes::from(body.to_owned()))).unwrap();
        Answer::read(control.respond(request).await).await
    };
    let explained = send("POST", "/explain", r#"{"reference":"demo.example/demo/unsigned:v1"}"#).await;
    assert_eq!((explained.status, explained.json()["outcome"].as_str()), (StatusCode::OK, Some("denied")));
    let reloaded = send("POST", "/reload", "").await;
    assert_eq!(reloaded.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(reloaded.json()["errors"][0]["message"], "trust-policy.yaml:1:1: bad");
    assert_eq!(send("GET", "/status", "").await.json()["registries"], serde_json::json!(["demo.example"]));
    for (method, path, body, status) in [
        ("POST", "/explain", "{}", 400),
        ("POST", "/explain", r#"{"reference":"UPPER/case"}"#, 400),
        ("POST", "/explain", r#"{"reference":"demo.example/demo/nothing:v1"}"#, 404),
        ("GET", "/explain", "", 405),
        ("GET", "/other", "", 404),
    ] {
        assert_eq!(send(method, path, body).await.status.as_u16(), status, "{method} {path} {body}");
    }
    assert_eq!(send("POST", "/explain", &"x".repeat(control::BODY + 1)).await.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[test]
fn an_etag_matches_in_any_list_and_never_in_part() {
    for (condition, expected) in [
        ("\"sha256:a\"", true),
        ("W/\"sha256:a\"", true),
        ("\"x\", \"sha256:a\"", true),
        ("*", true),
        ("sha256:a", false),
        ("\"sha256:ab\"", false),
        ("", false),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(IF_NONE_MATCH, HeaderValue::from_str(condition).unwrap());
        assert_eq!(none_match(&headers, "\"sha256:a\""), expected, "{condition}");
    }
    assert!(!none_match(&HeaderMap::new(), "\"sha256:a\""));
}
