//! What `trust-policy.yaml` may hold (DESIGN §4).

use super::preset;
use crate::shape::{Field, Later, Object, Shape};

const MODES: Shape = Shape::Choice(&["enforce", "audit"]);
const NONE: Shape = Shape::Choice(&["none"]);

/// The whole file.
pub(crate) static POLICY: Object = Object::new(&[
    Field::new("version", Shape::Count(1, 1), "version of this format: 1").required(),
    Field::new("mode", MODES, "enforce, or audit: what is denied is served and recorded as denied; default enforce"),
    Field::new(
        "trust-roots",
        Shape::Named(&Shape::Path),
        "instances of Sigstore beside public and github, by name: the trusted_root.json, or tuf where sealgate.yaml names a TUF repository",
    ),
    Field::new("trust-stores", Shape::Named(&Shape::Object(&TRUST_STORE)), "Notation's roots, by name"),
    Field::new("signers", Shape::Named(&Shape::Object(&SIGNER)), "whose signatures count, by a name that rules use"),
    Field::new("baseline", Shape::Object(&BASELINE), "what must hold for every image, beside what its rule demands"),
    Field::new("scan-policies", Shape::Named(&Shape::Object(&SCAN_POLICY)), "how scan status is judged, by a name that rules use"),
    Field::new("platforms", Shape::List(&Shape::Platform), "whose images must pass before a tag does; default linux/amd64, linux/arm64"),
    Field::new("rules", Shape::List(&Shape::Object(&RULE)), "what is demanded of which images; no match denies").required(),
    Field::new("exceptions", Shape::List(&Shape::Object(&EXCEPTION)), "what is let pass for a while, by whose decision and why"),
]);

/// `baseline:`
pub(crate) static BASELINE: Object =
    Object::new(&[Field::new("require", Shape::List(&Shape::Object(&REQUIREMENT)), "what must hold, all of it").required()]);

/// One entry of `trust-stores:`
pub(crate) static TRUST_STORE: Object = Object::new(&[
    Field::new("ca", Shape::List(&Shape::Path), "files with root certificates, PEM or DER, for signing scheme notary.x509"),
    Field::new("signing-authority", Shape::List(&Shape::Path), "likewise for signing scheme notary.x509.signingAuthority"),
    Field::new("tsa", Shape::List(&Shape::Path), "likewise for timestamping authorities"),
    Field::new("crls", Shape::List(&Shape::Path), "files with certificate revocation lists; none is ever fetched"),
]);

/// One entry of `signers:`
pub(crate) static SIGNER: Object = Object {
    forms: &[&["key"], &["keys"], &["issuer", "identity"], &["issuer", "identity-regexp"], &["notation"], &["preset"]],
    ..Object::new(&[
        Field::new("key", Shape::Key, "a PEM public key, or the path of its file relative to this one"),
        Field::new("keys", Shape::List(&Shape::Object(&KEY)), "several keys, for rotation"),
        Field::new("log", Shape::Choice(&["optional", "required"]), "whether signatures by the keys need an entry in a transparency log"),
        Field::new("issuer", Shape::Text, "OIDC issuer of keyless signatures, exactly"),
        Field::new("identity", Shape::Text, "subject of their certificates, exactly"),
        Field::new("identity-regexp", Shape::Text, "regular expression that the whole subject must match"),
        Field::new("claims", Shape::Object(&CLAIMS), "what their certificates must say beside that, exactly or as a beginning and *"),
        Field::new("trust-root", Shape::Text, "one of trust-roots, or github; default public"),
        Field::new("notation", Shape::Object(&NOTATION), "Notation signatures"),
        Field::new("preset", Shape::Choice(&preset::NAMES), "a publisher whose identity and images are known"),
        Field::new("images", Shape::List(&Shape::Pattern), "the images for which this signer counts; default all, or the preset's"),
    ])
};

/// `claims:` of a keyless signer.
pub(crate) static CLAIMS: Object = Object::new(&[
    Field::new("source-repository", Shape::Text, "for example https://github.com/acme/app; any where every source may be"),
    Field::new("source-ref", Shape::Text, "for example refs/tags/*"),
    Field::new("source-digest", Shape::Text, "the commit"),
    Field::new("source-owner", Shape::Text, "for example https://github.com/acme"),
    Field::new("build-signer", Shape::Text, "the workflow that ran the signing job, with its ref"),
    Field::new("build-config", Shape::Text, "the workflow that was started, with its ref"),
    Field::new("build-trigger", Shape::Text, "for example push"),
    Field::new("runner", Shape::Text, "github-hosted or self-hosted"),
]);

/// `notation:` of a signer.
pub(crate) static NOTATION: Object = Object::new(&[
    Field::new("trust-store", Shape::OneOrMore(&Shape::Text), "ca:NAME, signingAuthority:NAME or tsa:NAME, of trust-stores").required(),
    Field::new("identities", Shape::List(&Shape::Text), "\"x509.subject: C=…, ST=…, O=…\", or \"*\" for everybody under the trust store")
        .required(),
    Field::new("level", Shape::Choice(&["strict", "permissive", "audit"]), "what is enforced; default strict"),
    Field::new("revocation", Shape::Choice(&["check", "skip"]), "by the crls of the trust stores; default check"),
    Field::new(
        "timestamps",
        Shape::Choice(&["always", "after-cert-expiry"]),
        "when a timestamp must be there, given a tsa; default always",
    ),
]);

/// One entry of `keys:`
pub(crate) static KEY: Object = Object::new(&[
    Field::new("file", Shape::Key, "a PEM public key, or the path of its file relative to this one").required(),
    Field::new("until", Shape::Time, "from then on the key no longer counts, for example 2027-01-01T00:00:00Z"),
]);

/// One entry of `rules:`
pub(crate) static RULE: Object = Object {
    later: &[Later { key: "tags", mend: "remove it; every tag of an image is judged by the same rule" }],
    ..Object::new(&[
        Field::new("images", Shape::List(&Shape::Pattern), "image patterns; the longest match of all rules wins").required(),
        Field::new("mode", MODES, "as at the top, for this rule"),
        Field::new("signed-as", Shape::List(&Shape::Pattern), "names that a signature may carry for these images"),
        Field::new("signatures-from", Shape::List(&Shape::Text), "repositories in which signatures are looked for as well"),
        Field::new("require", Shape::List(&REQUIREMENT_SHAPE), "what must hold, all of it").required(),
    ])
};

const REQUIREMENT_SHAPE: Shape = Shape::Either(&Shape::Choice(&["allow", "deny"]), &Shape::Object(&REQUIREMENT));

/// One entry of `require:`, where it is no word.
pub(crate) static REQUIREMENT: Object = Object {
    forms: &[&["digests"], &["signed-by"], &["attested"], &["scanned"], &["contents"], &["age"], &["any-of"]],
    ..Object::new(&[
        DIGESTS,
        SIGNED,
        ATTESTATION,
        SCANNED,
        INSIDE,
        KNOWN_FOR,
        Field::new(
            "any-of",
            Shape::List(&Shape::List(&Shape::Object(&ALTERNATIVE))),
            "lists of requirements, one of which must hold whole",
        ),
    ])
};

/// One requirement of an alternative.
pub(crate) static ALTERNATIVE: Object = Object {
    forms: &[&["digests"], &["signed-by"], &["attested"], &["scanned"], &["contents"], &["age"]],
    ..Object::new(&[DIGESTS, SIGNED, ATTESTATION, SCANNED, INSIDE, KNOWN_FOR])
};

const SCANNED: Field = Field::new("scanned", Shape::Text, "one of scan-policies: what is known to be wrong with the image is bearable");
const INSIDE: Field = Field::new("contents", Shape::Object(&CONTENTS), "what may be inside the image");
const KNOWN_FOR: Field = Field::new("age", Shape::Object(&AGE), "how long the image has been known, here or to a log or timestamp");
const DIGESTS: Field = Field::new("digests", Shape::List(&Shape::Digest), "the image, or an index that lists it, has one of these digests");
const SIGNED: Field = Field::new("signed-by", Shape::Object(&SIGNED_BY), "signatures by these signers");
const ATTESTATION: Field = Field::new("attested", Shape::Object(&ATTESTED), "attestations by these signers");

/// `attested:`
pub(crate) static ATTESTED: Object = Object::new(&[
    Field::new("type", Shape::Text, "slsaprovenance1, vuln, spdx, …, or the URI of a predicate type").required(),
    Field::new("by", Shape::Object(&SIGNED_BY), "whose attestations count").required(),
    Field::new(
        "where",
        Shape::Named(&Shape::Scalar),
        "JSON pointers into the predicate, each with what stands there, or its beginning and *",
    ),
    Field::new("max-age", Shape::Duration, "how old the attestation may be"),
]);

/// `signed-by:`, and `by:` of `attested:`
pub(crate) static SIGNED_BY: Object = Object {
    forms: &[&["any"], &["all"], &["threshold", "of"]],
    ..Object::new(&[
        Field::new("any", Shape::List(&Shape::Text), "at least one of these signers"),
        Field::new("all", Shape::List(&Shape::Text), "each of these signers"),
        Field::new("threshold", Shape::Count(1, 1_000), "at least this many of the signers in `of`"),
        Field::new("of", Shape::List(&Shape::Text), "the signers that `threshold` counts"),
    ])
};

/// One entry of `scan-policies:`
pub(crate) static SCAN_POLICY: Object = Object::new(&[
    Field::new(
        "sources",
        Shape::List(&Shape::Either(&Shape::Choice(&["built-in"]), &Shape::Object(&SOURCE))),
        "whose reports must be there and fresh, all of them; the worst finding wins; default [built-in]",
    ),
    Field::new("critical", TREATMENT, "what becomes of critical findings: deny (the default), track, or { grace: 7d, from: published }"),
    Field::new("high", TREATMENT, "likewise; default deny"),
    Field::new("medium", TREATMENT, "likewise; default deny"),
    Field::new("low", TREATMENT, "likewise; default deny"),
    Field::new("negligible", TREATMENT, "likewise; default as low"),
    Field::new("unknown", TREATMENT, "likewise, where nobody knows the severity; default deny"),
    Field::new("ignore-unfixed", Shape::Boolean, "whether a finding without a fixed version is only tracked; default false"),
    Field::new("max-age", Shape::Duration, "how old a report may be: the older of the scan and of its advisories; default 24h"),
    Field::new("wait", Shape::Duration, "how long a first pull waits for its scan; default 30s, at most 5m"),
    Field::new("vex", Shape::List(&Shape::Text), "signers whose OpenVEX statements may clear a finding"),
]);

const TREATMENT: Shape = Shape::Either(&Shape::Choice(&["deny", "track"]), &Shape::Object(&GRACE));

/// A severity's grace period.
pub(crate) static GRACE: Object = Object::new(&[
    Field::new("grace", Shape::Duration, "how long a finding is borne").required(),
    Field::new("from", Shape::Choice(&["fix-available", "published", "first-seen"]), "from when that counts; default published"),
]);

/// One entry of `sources:`, where it is no word.
pub(crate) static SOURCE: Object = Object {
    forms: &[&["attested-by"], &["scanner"]],
    ..Object::new(&[
        Field::new("attested-by", Shape::List(&Shape::Text), "a vulnerability attestation about the image by one of these signers"),
        Field::new("scanner", Shape::Text, "a scanner that the server's configuration names"),
    ])
};

/// `contents:`
pub(crate) static CONTENTS: Object = Object::new(&[
    Field::new("user", Shape::Choice(&["non-root"]), "its processes start as another user than root"),
    Field::new("setuid", Shape::Either(&NONE, &Shape::Object(&ALLOW)), "files with the setuid or setgid bit: none, or { allow: [paths] }"),
    Field::new("capabilities", Shape::Either(&NONE, &Shape::Object(&ALLOW)), "files with capabilities, likewise"),
    Field::new("shell", NONE, "no shell"),
    Field::new("package-manager", NONE, "no package manager"),
    Field::new("compiler", NONE, "no compiler or linker"),
    Field::new("ports", Shape::Either(&NONE, &Shape::List(&Shape::Text)), "the only ports that it may expose, such as 443/tcp"),
    Field::new("max-size", Shape::Size, "of all its layers, as they are stored, such as 500MiB"),
    Field::new("secrets", Shape::Either(&NONE, &Shape::Object(&SECRETS)), "none, in any layer, or { ignore: [...] }"),
    Field::new("packages", Shape::Choice(&["none-expected"]), "it holds no list of packages, and `scanned` does not miss one"),
]);

/// `setuid:` and `capabilities:`, where they are no word.
pub(crate) static ALLOW: Object = Object::new(&[Field::new("allow", Shape::List(&Shape::Text), "paths of these files").required()]);

/// `secrets:`, where it is no word.
pub(crate) static SECRETS: Object =
    Object::new(&[Field::new("ignore", Shape::List(&Shape::Object(&IGNORED_SECRET)), "what is taken for a secret and is none").required()]);

/// One entry of `ignore:`
pub(crate) static IGNORED_SECRET: Object = Object::new(&[
    Field::new("kind", Shape::Text, "the detector, such as private-key").required(),
    Field::new("path", Shape::Text, "the file's path, or its beginning and *").required(),
    Field::new("reason", Shape::Text, "why it is none").required(),
    Field::new("expires", Shape::Date, "the last day on which it is ignored, UTC").required(),
]);

/// `age:`
pub(crate) static AGE: Object = Object::new(&[Field::new("min", Shape::Duration, "at least this long").required()]);

/// One entry of `exceptions:`
pub(crate) static EXCEPTION: Object = Object::new(&[
    Field::new("image", Shape::Text, "a repository, or one image or index in it by digest, by its canonical name").required(),
    Field::new("waive", Shape::OneOrMore(&Shape::Text), "the CVEs that it waives; or signed-by, for at most 7 days").required(),
    Field::new("reason", Shape::Text, "why").required(),
    Field::new("owner", Shape::Text, "who answers for it").required(),
    Field::new("from", Shape::Date, "its first day, UTC; signed-by needs one"),
    Field::new("expires", Shape::Date, "its last day, UTC").required(),
]);
