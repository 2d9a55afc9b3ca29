//! `signers:`, `trust-roots:` and `trust-stores:` of a trust policy: what is refused, and with which words.

mod policy_file;

use policy_file::{Case, assert_refused};

const BAD: &[Case] = &[
    // Signers.
    ("version: 1\nrules: []\nsigners: []\n", (3, 10), "expected a mapping, found a list", "key: sealgate.pub"),
    ("version: 1\nrules: []\nsigners: { a: {} }\n", (3, 15), "expected either `key`, or `keys`, or `issuer` with", "exactly one"),
    (
        "version: 1\nrules: []\nsigners: { a: { key: one.pub, keys: [{ file: two.pub }] } }\n",
        (3, 15),
        "found `key` and `keys`",
        "exactly one",
    ),
    ("version: 1\nrules: []\nsigners: { a: { keys: [] } }\n", (3, 23), "`keys` is empty", "{ file: sealgate.pub }"),
    ("version: 1\nrules: []\nsigners: { a: { key: nope.pub } }\n", (3, 22), "nope.pub does not exist", "relative to this file"),
    ("version: 1\nrules: []\nsigners: { a: { key: . } }\n", (3, 22), "is a folder", "relative to this file"),
    ("version: 1\nrules: []\nsigners: { a: { key: bad.pub } }\n", (3, 22), "bad.pub holds no usable key", "PEM public key"),
    ("version: 1\nrules: []\nsigners: { a: { key: one.key } }\n", (3, 22), "one.key is a private key", ".pub"),
    ("version: 1\nrules: []\nsigners: { a: { keys: [{ file: one.pub, until: 2027-02-30 }] } }\n", (3, 48), "found \"2027-02-30\"", "UTC"),
    ("version: 1\nrules: []\nsigners: { \"a b\": { key: one.pub } }\n", (3, 12), "no signer's name", "letters, digits"),
    ("version: 1\nrules: []\nsigners: { a: { key: one.pub }, a: { key: two.pub } }\n", (3, 33), "two signers have this name", "line 3"),
    (
        "version: 1\nrules: []\nsigners: { a: { key: one.pub }, b: { key: one.pub } }\n",
        (3, 43),
        "signers a and b hold the same key",
        "one name only",
    ),
    (
        "version: 1\nrules: []\nsigners: { a: { keys: [{ file: one.pub }, { file: ./one.pub }] } }\n",
        (3, 51),
        "signer a holds this key twice",
        "one name only",
    ),
    // Keyless signers.
    ("version: 1\nrules: []\nsigners: { a: { issuer: https://x.example } }\n", (3, 15), "found `issuer`", "exactly one"),
    ("version: 1\nrules: []\nsigners: { a: { issuer: x, identity: a@b.example } }\n", (3, 25), "found \"x\"", "issuer's URL"),
    (
        "version: 1\nrules: []\nsigners: { a: { issuer: https://x.example, identity: \"*@b.example\" } }\n",
        (3, 54),
        "`identity` is compared exactly",
        "identity-regexp",
    ),
    // C11, V31
    (
        "version: 1\nrules: []\nsigners: { a: { issuer: https://x.example, identity-regexp: \"a)|(?:b\" } }\n",
        (3, 61),
        "not a regular expression that can be used",
        "RE2",
    ),
    (
        "version: 1\nrules: []\nsigners: { a: { issuer: https://token.actions.githubusercontent.com, identity: https://github.com/x } }\n",
        (3, 12),
        "anybody may call a reusable workflow",
        "source-repository: https://github.com/OWNER/NAME",
    ),
    (
        "version: 1\nrules: []\nsigners: { a: { issuer: https://x.example, identity: a, claims: { source-repository: https://github.com/acme* } } }\n",
        (3, 86),
        "fits repositories of strangers",
        "/*",
    ),
    (
        "version: 1\nrules: []\nsigners: { a: { issuer: https://x.example, identity: a, trust-root: lab } }\n",
        (3, 12),
        "the trust root \"lab\", which is not defined",
        "under `trust-roots`",
    ),
    ("version: 1\nrules: []\ntrust-roots: { public: one.pub }\n", (3, 16), "`public` is built in", "another name"),
    ("version: 1\nrules: []\ntrust-roots: { lab: one.pub }\n", (3, 21), "this is no trust root", "trusted_root.json"),
    (
        "version: 1\nrules: []\nsigners: { a: { key: one.pub, claims: { runner: x } } }\n",
        (3, 39),
        "no meaning without `issuer`",
        "add `issuer`",
    ),
    ("version: 1\nrules: []\nsigners: { a: { key: one.pub, log: maybe } }\n", (3, 36), "found \"maybe\"", "`required`"),
    ("version: 1\nrules: []\nsigners: { a: { key: one.pub, trust-root: lab } }\n", (3, 43), "no meaning for this signer", "log: required"),
    // Notation.
    ("version: 1\nrules: []\ntrust-stores: { a: { ca: [one.pub] } }\n", (3, 27), "this is no root", "self-signed root"),
    ("version: 1\nrules: []\ntrust-stores: { a: {} }\n", (3, 20), "trusts nobody", "add `ca:"),
    (
        "version: 1\nrules: []\nsigners: { a: { notation: { trust-store: ca:acme, identities: [\"*\"] } } }\n",
        (3, 42),
        "not defined under `trust-stores`",
        "ca:NAME",
    ),
];

#[test]
fn each_bad_signer_is_refused_with_position_problem_and_mend() {
    assert_refused(BAD);
}
