//! Every bound on what a file can make large. Each constant names its unit and where the number comes from.

/// Bytes of `sealgate.yaml`. A registry entry takes about 200; this holds thousands.
pub const SERVER_FILE_BYTES: usize = 1024 * 1024;
/// Bytes of the trust policy. A rule takes about 100; this holds tens of thousands.
pub const POLICY_FILE_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of a key file. The PEM of an RSA key of 16 384 bits takes under 3 KiB.
pub const KEY_FILE_BYTES: usize = 64 * 1024;
/// Bytes of a file that holds a secret. Cloud registries' tokens stay under 16 KiB.
pub const SECRET_FILE_BYTES: usize = 64 * 1024;
/// Bytes of a PEM file with certificates. The CA bundle of a Linux distribution takes under 300 KiB.
pub const CERTIFICATE_FILE_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of an htpasswd file: ten thousand users of about 80 bytes.
pub const HTPASSWD_FILE_BYTES: usize = 1024 * 1024;
/// Characters of a name that grants use: of a file, a principal and a ledger record a bearable part.
pub const NAME_CHARACTERS: usize = 64;
/// Levels of lists and mappings in a file. The deepest legal place has 9.
pub const DEPTH: usize = 32;
/// Lists, mappings and scalars in a file: twenty thousand rules of ten each.
pub const NODES: usize = 200_000;
/// Errors that one report holds; a file with more is not the file that was meant.
pub const ERRORS: usize = 100;
/// Characters of a line that a snippet shows: a terminal's width and some.
pub const SNIPPET_CHARACTERS: usize = 160;
/// Characters of a value that a message quotes.
pub const QUOTED_CHARACTERS: usize = 80;
/// Bytes of the public URL: it shares a denial's line with the reason ([`sealgate_verifier::limits::DENIAL_LINE`]).
pub const PUBLIC_URL_BYTES: usize = 200;
/// Patterns in one list of images. Each becomes a rule of its own with all of the requirements.
pub const PATTERNS: usize = 10_000;
/// Signers in one list of a requirement; distinct principals are matched to them in the decision.
pub const SIGNERS: usize = 64;
/// Requirements of one rule; there are seven kinds.
pub const REQUIREMENTS: usize = 16;
/// Places that one `where` names.
pub const CONDITIONS: usize = 32;
/// Other repositories in which one rule has signatures looked for: each costs up to four requests for an image.
pub const SIGNATURES_FROM: usize = 4;
/// Scan policies. Each is a way to look at every image.
pub const SCAN_POLICIES: usize = 64;
/// Sources of one scan policy.
pub const SCAN_SOURCES: usize = 16;
/// Exceptions. Each has an owner who must look after it.
pub const EXCEPTIONS: usize = 10_000;
/// Vulnerabilities that one exception waives. A release of an old base image has some hundred.
pub const WAIVED: usize = 1_000;
/// Paths, ports or secrets in one list of `contents`.
pub const CONTENT_ITEMS: usize = 1_000;
/// Platforms. Docker's official images have under 20.
pub const PLATFORMS: usize = 64;
/// Bytes of a `trusted_root.json`. The public instance's takes under 20 KiB.
pub const TRUST_ROOT_BYTES: usize = 4 * 1024 * 1024;
/// Trust stores that one signer names.
pub const TRUST_STORES: usize = 16;
/// Files of one kind in one trust store.
pub const TRUST_STORE_FILES: usize = 64;
/// Images under `watch`: at the default pace of six hours two requests a second, at most.
pub const WATCHED: usize = 10_000;
