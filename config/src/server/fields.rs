//! What `sealgate.yaml` may hold (DESIGN §3).

use crate::shape::{Field, Object, Shape};

/// The whole file.
pub(crate) static SERVER: Object = Object::new(&[
    Field::new("listen", Shape::Listen, "where the gate listens; default 127.0.0.1:5000"),
    Field::new("public-url", Shape::Text, "the URL that denials link to"),
    Field::new("admin", Shape::Object(&ADMIN), "the admin listener"),
    Field::new("data", Shape::Path, "the data folder; default ./data"),
    Field::new("policy", Shape::Path, "the trust policy's file; without one everything is denied"),
    Field::new("tls", Shape::Object(&TLS), "TLS of the gate's listener"),
    Field::new(
        "auth",
        Shape::Object(&AUTH),
        "how clients authenticate, and what they may do; without it everybody pulls and nobody pushes",
    ),
    Field::new("store", Shape::Object(&STORE), "how metadata is stored, and how much is kept"),
    Field::new("watch", Shape::Object(&WATCH), "images that are looked at before anybody pulls them"),
    Field::new(
        "registries",
        Shape::Named(&Shape::Object(&REGISTRY)),
        "the registries behind the gate, by canonical name; default docker.io",
    ),
    Field::new("evidence", Shape::Object(&EVIDENCE), "how long collected evidence is used"),
    Field::new("trust-root", Shape::Object(&TRUST_ROOT), "how instances of Sigstore are kept current, and how old one may be"),
    Field::new("shutdown-grace", Shape::Duration, "how long a shutdown waits for requests under way; default 25s"),
    Field::new("limits", Shape::Object(&LIMITS), "bounds on what clients can use"),
]);

/// `admin:`
pub(crate) static ADMIN: Object =
    Object::new(&[
        Field::new("listen", Shape::Listen, "where pages, admin API, /metrics, /livez and /readyz are; default 127.0.0.1:5001").required()
    ]);

/// `tls:`
pub(crate) static TLS: Object = Object::new(&[
    Field::new("certificate", Shape::Path, "PEM file with the certificate chain").required(),
    Field::new("key", Shape::Path, "PEM file with the private key").required(),
    Field::new("client-ca", Shape::Path, "PEM file with the CAs whose certificates name clients; grants say what they may do"),
    Field::new("http2", Shape::Boolean, "offer HTTP/2, which has no place for a denial's reason phrase; default false"),
]);

/// `auth:`
pub(crate) static AUTH: Object = Object::new(&[
    Field::new("htpasswd", Shape::Path, "file of users with bcrypt hashes, as `htpasswd -B` writes it; reloaded when it changes"),
    Field::new("tokens", Shape::Boolean, "accept the tokens of `sealgate token create`; default false"),
    Field::new(
        "oidc",
        Shape::List(&Shape::Object(&OIDC)),
        "CI services whose identity tokens are accepted; the first entry that fits counts",
    ),
    Field::new("grants", Shape::List(&Shape::Object(&GRANT)), "who may do what where; without it users may pull, push and sign everywhere"),
]);

/// One entry of `oidc:`
pub(crate) static OIDC: Object = Object::new(&[
    Field::new("name", Shape::Text, "what grants call it: oidc:NAME").required(),
    Field::new("issuer", Shape::Text, "the token's `iss`, for example https://token.actions.githubusercontent.com").required(),
    Field::new("audience", Shape::Text, "what the token's `aud` must hold; best the gate's public URL").required(),
    Field::new("claims", Shape::Named(&Shape::OneOrMore(&Shape::Text)), "what the token must say, exactly; of several values one")
        .required(),
    Field::new("jwks", Shape::Path, "JSON Web Key Set file; default: fetched from the issuer"),
    Field::new("ca", Shape::Path, "PEM file with the private CAs of the issuer"),
    Field::new("allow-addresses", Shape::List(&Shape::Text), "private address ranges (CIDR) that the issuer may resolve to"),
]);

/// One entry of `grants:`
pub(crate) static GRANT: Object = Object::new(&[
    Field::new(
        "who",
        Shape::OneOrMore(&Shape::Text),
        "alice, ci-*, certificate:NAME, oidc:NAME, `*` for everybody who authenticated, or anonymous",
    )
    .required(),
    Field::new("repositories", Shape::OneOrMore(&Shape::Pattern), "where, by canonical name").required(),
    Field::new("actions", Shape::OneOrMore(&ACTION), "what; whoever may do anything may pull").required(),
]);

const ACTION: Shape = Shape::Choice(&["pull", "push", "sign", "delete"]);

/// `store:`
pub(crate) static STORE: Object = Object::new(&[
    Field::new("index", Shape::Choice(&["redb", "sled"]), "the embedded store that holds the index; default redb"),
    Field::new("max-size", Shape::Size, "most bytes of blobs; what was pulled least recently goes first; default: no limit of its own"),
    Field::new("reserve", Shape::Size, "free bytes that blobs leave on the volume; default 1GiB, or 1/64 of a smaller volume"),
    Field::new("lease", Shape::Duration, "how long what was just pulled or uploaded is spared; default 30m"),
]);

/// `watch:`
pub(crate) static WATCH: Object = Object::new(&[
    Field::new("images", Shape::OneOrMore(&Shape::Text), "references that are kept resolved and decided, so that age and scans ripen")
        .required(),
    Field::new("every", Shape::Duration, "how often each is looked at, a tenth more or less; at least 1m, default 6h"),
    Field::new("fetch", Shape::Boolean, "fetch the blobs of what is admitted as well; default false"),
    Field::new("at-once", Shape::Count(1, 16), "how many are looked at at once; default 2"),
]);

/// One entry of `registries:`
pub(crate) static REGISTRY: Object = Object::new(&[
    Field::new("default", Shape::Boolean, "whether requests that name no registry mean this one; default docker.io"),
    Field::new("path", Shape::Text, "the canonical name, for a registry whose key has a port"),
    Field::new("upstream", Shape::Text, "URL of the registry; default https:// and its name"),
    Field::new("realm", Shape::OneOrMore(&Shape::Text), "further host of the token server, which may see the credentials"),
    Field::new("tag-ttl", Shape::Duration, "how long a tag's digest is used without asking upstream; default 5m"),
    Field::new("tag-max-stale", Shape::Duration, "how long a tag's digest is used while upstream is unreachable; default 24h"),
    Field::new("ca", Shape::Path, "PEM file with the private CAs of this registry"),
    Field::new("allow-addresses", Shape::List(&Shape::Text), "private address ranges (CIDR) that this registry may resolve to"),
    Field::new("credentials", Shape::List(&Shape::Object(&CREDENTIAL)), "user names and passwords; the first that fits is used"),
    Field::new(
        "pull",
        Shape::Choice(&["anonymous", "authenticated"]),
        "who may pull through the gate; default authenticated where there are credentials, except docker.io",
    ),
    Field::new("hosted", Shape::Boolean, "whether images are pushed to the gate itself; default false: pulled through"),
    Field::new("push", Shape::Choice(&["authenticated", "anonymous"]), "who may push; default authenticated; anonymous on loopback only"),
    Field::new("deletes", Shape::Choice(&["refused", "allowed"]), "whether who may push may also delete; default refused"),
    Field::new("immutable-tags", Shape::OneOrMore(&Shape::Text), "tags of a hosted registry that never move, literal or ending in *"),
]);

/// One entry of `credentials:`
pub(crate) static CREDENTIAL: Object = Object {
    secret: true,
    ..Object::new(&[
        Field::new("repositories", Shape::OneOrMore(&Shape::Text), "the repositories that it is for; required for docker.io"),
        Field::new("username", Shape::Secret, "env://VAR, file:///path or the text itself").required(),
        Field::new("password", Shape::Secret, "env://VAR, file:///path or the text itself").required(),
    ])
};

/// `evidence:`
pub(crate) static EVIDENCE: Object = Object::new(&[
    Field::new("ttl", Shape::Duration, "how long found evidence is used before it is collected again; default 1h"),
    Field::new("missing-ttl", Shape::Duration, "how long \"no evidence found\" is believed; default 30s"),
    Field::new("max-stale", Shape::Duration, "how long evidence counts that cannot be collected again; default 24h"),
]);

/// `trust-root:`
pub(crate) static TRUST_ROOT: Object = Object::new(&[
    Field::new("refresh", Shape::Either(&Shape::Duration, &Shape::Choice(&["never"])), "how often, by TUF; default 24h"),
    Field::new(
        "max-age",
        Shape::Duration,
        "since its last refresh, or since the date of a built-in root that was not refreshed; older ones verify nothing; default: any age",
    ),
    Field::new(
        "repositories",
        Shape::Named(&Shape::Object(&TUF_REPOSITORY)),
        "TUF repositories, by the name that the policy has under trust-roots; public and github are built in and may name a mirror",
    ),
]);

/// One entry of `repositories:`
pub(crate) static TUF_REPOSITORY: Object = Object::new(&[
    Field::new("url", Shape::Text, "where its metadata and targets/ are").required(),
    Field::new("root", Shape::Path, "the root.json with which trust begins; not for public and github"),
    Field::new("target", Shape::Text, "the target that is the trust root; default trusted_root.json"),
    Field::new("ca", Shape::Path, "PEM file with the private CAs of its server"),
    Field::new("allow-addresses", Shape::List(&Shape::Text), "private address ranges (CIDR) that its server may resolve to"),
]);

/// `limits:`
pub(crate) static LIMITS: Object = Object::new(&[
    Field::new("max-connections", Shape::Count(1, 1_000_000), "most client connections at once; default 10000"),
    Field::new("upload-idle", Shape::Duration, "how long an unfinished upload is kept without a request; default 1h"),
]);
