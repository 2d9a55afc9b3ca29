//! What `sealgate init` writes.

/// Name of the signer in the template policy.
pub const SIGNER: &str = "ci";

/// `--output-key-prefix` whose public half ([`KEY_FILE`]) the template policy names.
pub const KEY_PREFIX: &str = "sealgate";

/// The public key's file beside the template policy, as `generate-key-pair` names it.
pub const KEY_FILE: &str = "sealgate.pub";

/// The server's configuration.
#[must_use]
pub fn sealgate_yaml() -> String {
    SERVER.to_owned()
}

/// The trust policy with one signer, whose public key is in the file `key` (relative to the policy).
#[must_use]
pub fn trust_policy_yaml(key: &str) -> String {
    // A JSON string is a YAML double-quoted one (YAML 1.2 §1.3), whatever the path holds.
    let plain = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/' | b'_'));
    let key = if plain { key.to_owned() } else { serde_json::Value::from(key).to_string() };
    POLICY.replace("KEY_FILE", &key)
}

const SERVER: &str = r#"# The configuration of the Sealgate server. `sealgate config check` says what is wrong with it, all at once.
# Paths are relative to this file. The environment overrides: SEALGATE_LISTEN, SEALGATE_ADMIN_LISTEN, SEALGATE_DATA,
# SEALGATE_POLICY, SEALGATE_PUBLIC_URL.

# Where the gate listens. Clients beyond this machine need another address, and TLS.
listen: 127.0.0.1:5000
# tls: { certificate: tls/gate.crt, key: tls/gate.key }

# What denials link to.
# public-url: https://gate.acme.example

# Admin API, /metrics, /livez and /readyz. Keep it private.
admin: { listen: 127.0.0.1:5001 }

# Blobs, ledger and index.
data: ./data
# What was pulled least recently goes first; never what was pushed here, evidence, or what the policy lists by digest.
# store: { max-size: 200GiB, reserve: 5GiB }

# What may pass.
policy: trust-policy.yaml

# What can be pulled through the gate; nothing else can. Names are canonical: policy rules use them.
registries:
  docker.io:
    default: true                     # what a request without a registry means
    tag-ttl: 5m                       # how long a tag's digest is used without asking upstream
    tag-max-stale: 24h                # and for how long while upstream is unreachable
    # The images named here are open to every client of the gate.
    # credentials: [{ repositories: "acme/**", username: env://HUB_USER, password: file:///run/secrets/hub }]
  ghcr.io: {}
  gcr.io: {}
  quay.io: {}
  registry.k8s.io: {}
  cgr.dev: {}
  # registry.acme.example:5443: { path: acme.example, ca: certs/acme.pem, allow-addresses: [10.0.0.0/8] }
  # lab.example: { upstream: "http://127.0.0.1:5555" }    # plaintext only where http:// is written out

# How long collected signatures are used, "none found" is believed, and signatures still count that cannot be collected again.
# evidence: { ttl: 1h, missing-ttl: 30s, max-stale: 24h }

# Keyless signers' trust roots are kept current by TUF. A root older than max-age, counted from its last refresh, verifies nothing.
# trust-root: { refresh: 24h, max-age: 30d }

# shutdown-grace: 25s
# limits: { max-connections: 10000 }
"#;

const POLICY: &str = r#"# The trust policy: which images may pass the gate. `sealgate config check` says what is wrong with it, all at once, and
# `sealgate policy schema` prints its JSON Schema. Paths are relative to this file.
version: 1

# enforce: what is denied is not served. audit: it is served with a `Warning` header and recorded as denied.
mode: enforce

# Whose signatures count.
signers:
  ci: { key: KEY_FILE }
  # For rotation: several keys, each with a last day.
  # ci: { keys: [{ file: old.pub, until: 2027-01-01T00:00:00Z }, { file: new.pub }] }

  # Publishers whose keyless identities are known; each counts for its own images only.
  distroless: { preset: distroless }
  kubernetes: { preset: kubernetes }
  chainguard: { preset: chainguard }
  cilium: { preset: cilium }

  # A GitHub workflow. Anybody may call a reusable one, so the source repository must be named.
  # app:
  #   issuer: https://token.actions.githubusercontent.com
  #   identity-regexp: 'https://github\.com/acme/app/\.github/workflows/release\.yml@refs/tags/v[0-9.]+'
  #   claims: { source-repository: https://github.com/acme/app, runner: github-hosted }

# The longest matching pattern wins. An image that no rule matches is denied.
# A pattern is a name, or the start of one with /* (one more part) or /** (any number of parts), or ** alone.
rules:
  # Docker Official Images carry no signature, so this rule only records what it would deny. To enforce it, sign the images that
  # you use (`sealgate sign`), or list their digests in a rule of their own as below, and remove `mode: audit`.
  - images: ["docker.io/library/*"]
    mode: audit
    require:
      - signed-by: { any: [ci] }

  # Your own images, built and signed by CI.
  # - images: ["ghcr.io/acme/**"]
  #   require:
  #     - signed-by: { any: [ci] }                             # or { all: [ci, release] }, { threshold: 2, of: [a, b, c] }
  #     - attested: { type: slsaprovenance1, by: { any: [ci] }, where: { /buildDefinition/buildType: "https://acme.example/*" } }

  # One image by digest. The digest of an index covers its platforms.
  # - images: ["docker.io/library/postgres"]
  #   require:
  #     - digests: ["sha256:0000000000000000000000000000000000000000000000000000000000000000"]

  # Everything below a name, unsigned. It shows as allowed without evidence everywhere.
  # - images: ["docker.io/acme/scratch"]
  #   require: [allow]

  # Publishers who sign their images, enforced.
  - images: ["gcr.io/distroless/**"]
    require: [{ signed-by: { any: [distroless] } }]
  - images: ["registry.k8s.io/**"]
    require: [{ signed-by: { any: [kubernetes] } }]
  - images: ["cgr.dev/chainguard/**"]
    require: [{ signed-by: { any: [chainguard] } }]
  - images: ["quay.io/cilium/*"]
    require: [{ signed-by: { any: [cilium] } }]
"#;
