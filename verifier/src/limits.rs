//! Every bound on what a stranger can make large. Each constant names its unit and where the number comes from.

/// Bytes of a manifest. distribution-spec 1.1, "Pushing Manifests": registries should accept at least 4 MiB; clients
/// such as containerd refuse more (CVE-2023-25153).
pub const MANIFEST_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of a referrers answer. The same class of document as an index.
pub const REFERRERS_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of one page of a tag list.
pub const TAG_LIST_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of a token endpoint's answer. Docker Hub's are under 6 KiB; cloud registries' under 16 KiB.
pub const TOKEN_BYTES: usize = 256 * 1024;
/// Bytes of one signature layer (a payload, a bundle). Keyless bundles are 5-15 KiB; CVE-2024-29902 had no bound.
pub const EVIDENCE_LAYER_BYTES: usize = 8 * 1024 * 1024;
/// Bytes of all evidence that is collected for one subject.
pub const EVIDENCE_TOTAL_BYTES: usize = 32 * 1024 * 1024;
/// Manifests with signatures that are opened for one subject (CVE-2023-46737, CVE-2023-33958: endless signatures).
pub const ATTACHMENTS: usize = 64;
/// Signatures that are checked for one subject, over all attachments.
pub const SIGNATURES: usize = 128;
/// Keys of signers that a rule does not name which are tried on a signature, only to say in a denial whose it is.
pub const OTHER_KEYS: usize = 16;
/// Signers that a rule does not name which are tried on a signature, likewise.
pub const OTHER_SIGNERS: usize = 64;
/// Characters of untrusted text that a message repeats in one place.
pub const QUOTED: usize = 80;
/// Children of an index. The widest official images have under 40 with attestation manifests (Kyverno CVE-2023-42813).
pub const INDEX_CHILDREN: usize = 512;
/// Layers of an image. overlayfs and docker stop at 127; buildah squashed images have fewer.
pub const LAYERS: usize = 1_000;
/// Foreign locations of one blob. Windows base layers had one or two; an image with any is denied, so they are kept to say so.
pub const URLS: usize = 16;
/// Depth of any JSON that is parsed. serde_json's own bound is 128; real manifests stay under 8.
pub const JSON_DEPTH: usize = 64;
/// Keys of one JSON document that are compared with each other. A full index of [`INDEX_CHILDREN`] has under 10,000; the
/// comparison takes about 40 bytes each.
pub const JSON_KEYS: usize = 65_536;
/// Indexes above a subject that are opened in one decision. An image is listed by as many indexes as its repository has kept.
pub const PARENTS: usize = 64;
/// Levels of index inside index that are followed.
pub const INDEX_DEPTH: usize = 3;
/// Bytes of a repository name (distribution-spec: many clients limit host and name together to 255).
pub const REPOSITORY_BYTES: usize = 255;
/// Bytes of a tag (distribution-spec: 128).
pub const TAG_BYTES: usize = 128;
/// Bytes of a blob that a manifest may name: 1 TiB, far over any layer, so that sums never overflow.
pub const BLOB_BYTES: u64 = 1 << 40;
/// Characters of a denial line: reason phrases share the header block, which common clients cap at 8 KiB.
pub const DENIAL_LINE: usize = 700;
/// Certificates in a Notation envelope or timestamp. Chains in use have at most five.
pub const CHAIN: usize = 10;
/// Bytes of one certificate. Large ones in use have under 4 KiB.
pub const CERTIFICATE_BYTES: usize = 32 * 1024;
/// Extensions of one certificate or revocation list. Those in use have under 20.
pub const EXTENSIONS: usize = 64;
/// Bytes of a distinguished name, as DER or text (CVE-2023-25656: a name that exploded). Those in use have under 300.
pub const NAME_BYTES: usize = 4096;
/// Attributes of a distinguished name.
pub const NAME_ATTRIBUTES: usize = 32;
/// Certificate signatures that are checked to find the issuers of one timestamp's signer.
pub const ISSUER_CHECKS: usize = 24;
/// Bytes of a revocation list that an admin gives. The largest public ones have some 10 MiB.
pub const REVOCATION_LIST_BYTES: usize = 32 * 1024 * 1024;
/// Headers of one Notation envelope, protected or not. Those in use have under 10.
pub const ENVELOPE_HEADERS: usize = 64;
/// Bytes of a Notation payload: one descriptor with its annotations.
pub const NOTATION_PAYLOAD_BYTES: usize = 256 * 1024;
/// Members of one kind in a trust root. GitHub's has 6 authorities.
pub const TRUST_ROOT_MEMBERS: usize = 64;
/// Log entries, and timestamps, of one bundle. The bound that sigstore-go sets (CVE-2024-45395: endless data).
pub const LOG_ENTRIES: usize = 32;
/// Certificates of one bundle or timestamp. Fulcio's chains have three.
pub const CERTIFICATES: usize = 16;
/// Bytes of a timestamp token. With a full chain of RSA certificates they stay under 16 KiB.
pub const TIMESTAMP_BYTES: usize = 64 * 1024;
/// Hashes of an inclusion proof: a tree holds at most 2^63 leaves (RFC 9162, section 2.1.3).
pub const PROOF_HASHES: usize = 64;
/// Signatures of a checkpoint: the log's, and those of its witnesses. The bound of Go's `note` package is 100.
pub const CHECKPOINT_SIGNATURES: usize = 100;
/// Bytes of a regular expression over identities. GitHub's longest useful identities stay under 300.
pub const REGEXP_BYTES: usize = 2_048;
/// Bytes that a compiled regular expression may take; the `regex` crate's own bound is 10 MiB, its matching time linear.
pub const REGEXP_COMPILED_BYTES: usize = 1024 * 1024;
/// Bytes of a certificate's subject, or of another identity, that are compared (CVE-2023-25656: hostile names).
pub const IDENTITY_BYTES: usize = 4_096;
/// Bytes of one stored scan report, or of one image's contents. 20,000 vulnerabilities of 400 bytes take 8 MiB.
pub const FACT_BYTES: usize = 32 * 1024 * 1024;
/// Vulnerabilities of one report. Scanners find some 5,000 in full images of old Debian releases.
pub const VULNERABILITIES: usize = 20_000;
/// Other ids, and package URLs, of one vulnerability. Red Hat's and SUSE's advisories over a whole kernel name some 300.
pub const ALIASES: usize = 1_024;
/// Bytes of one text of a vulnerability.
pub const FACT_TEXT_BYTES: usize = 4_096;
/// Gaps of one report.
pub const FACT_GAPS: usize = 1_024;
/// Paths of one kind among an image's contents. A full Debian has about 20 setuid files.
pub const CONTENT_PATHS: usize = 10_000;
/// Secrets of one image.
pub const SECRETS: usize = 1_000;
/// Vulnerabilities, or secrets, that a verdict lists; of more it says how many. Verdicts are stored and shown.
pub const LISTED: usize = 100;
/// Vulnerabilities that one decision judges, of all reports together: four full ones.
pub const JUDGED: usize = 4 * VULNERABILITIES;
/// Scan reports that one decision reads: a policy names a handful of sources.
pub const SCAN_REPORTS: usize = 64;
/// Statements in all OpenVEX documents that one decision reads. Chainguard's longest feeds have some thousand a package.
pub const VEX_STATEMENTS: usize = 20_000;
/// Levels of `any-of` inside `any-of`.
pub const ANY_OF_DEPTH: usize = 4;
/// Bytes of a TUF root. The bounds of these five are those of python-tuf's client (`UpdaterConfig`); Sigstore's root has 6 KiB.
pub const TUF_ROOT_BYTES: usize = 512_000;
/// Bytes of a TUF timestamp.
pub const TUF_TIMESTAMP_BYTES: usize = 16_384;
/// Bytes of a TUF snapshot.
pub const TUF_SNAPSHOT_BYTES: usize = 2_000_000;
/// Bytes of TUF targets metadata.
pub const TUF_TARGETS_BYTES: usize = 5_000_000;
/// Roots of a chain that one update follows.
pub const TUF_ROTATIONS: usize = 256;
/// Bytes of a TUF target, which is a `trusted_root.json`: that of the public instance has under 20 KiB.
pub const TUF_TARGET_BYTES: usize = 4 * 1024 * 1024;
/// Keys of a TUF root. Sigstore's has 6, GitHub's 8.
pub const TUF_KEYS: usize = 256;
/// Signatures of a TUF document, likewise.
pub const TUF_SIGNATURES: usize = 256;
