//! Fetches exports over HTTPS from a bucket laid out as OSV's is: `BASE/ECOSYSTEM/all.zip`.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use reqwest::{Client, Response, Url};
use sealgate_scanner::advisories::{AdvisoryView, Ecosystem, Feed};
use sealgate_verifier::Timestamp;
use serde::{Deserialize, Serialize};

use super::{AdvisoryError, ImportOptions, ImportReport, Library, MAX_ARCHIVE_BYTES, import, index};

/// OSV's public bucket (google.github.io/osv.dev/data).
pub const DEFAULT_URL: &str = "https://osv-vulnerabilities.storage.googleapis.com";
/// Longest wait for a connection, for the answer's head, and for the next byte.
const IDLE: Duration = Duration::from_secs(30);
/// Redirects that are followed; each stays with https where the first address had it.
const MAX_REDIRECTS: usize = 3;

/// What an update of one ecosystem did.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Updated {
    /// The export is the one that was imported.
    Unchanged(Feed),
    /// A new export was imported.
    Imported(ImportReport),
}

/// What the server said of the export that is imported. It counts for the index that was made at the same time only.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Check {
    /// [`Feed::imported`] of that index.
    of: Timestamp,
    url: String,
    etag: Option<String>,
    last_modified: Option<String>,
    checked: Timestamp,
}

fn check_file(folder: &Path, ecosystem: Ecosystem) -> PathBuf {
    index::file(folder, ecosystem).with_extension("checked.json")
}

fn read_check(folder: &Path, feed: &Feed) -> Option<Check> {
    let bytes = std::fs::read(check_file(folder, feed.ecosystem)).ok()?;
    serde_json::from_slice::<Check>(&bytes).ok().filter(|check| check.of == feed.imported)
}

/// When the export of an index was last found unchanged.
pub(super) fn last_check(folder: &Path, feed: &Feed) -> Option<Timestamp> {
    read_check(folder, feed).map(|check| check.checked)
}

/// Replaces the file, so that a reader sees one whole check or the other. Losing it costs a download.
fn write_check(folder: &Path, ecosystem: Ecosystem, check: &Check) -> Result<(), AdvisoryError> {
    let path = check_file(folder, ecosystem);
    let fresh = path.with_extension("json.new");
    let text = serde_json::to_vec(check).map_err(|error| AdvisoryError::Index { ecosystem, problem: error.to_string() })?;
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(&text)?;
        file.sync_all()?;
        std::fs::rename(&fresh, &path)
    };
    write().map_err(AdvisoryError::io(&path, "written"))
}

/// Fetches and imports the export of one ecosystem from `base`, if it is not the one that is here.
///
/// # Errors
/// What failed; the index stays as it was.
pub async fn update(library: &Library, base: &str, ecosystem: Ecosystem, replace: bool, now: Timestamp) -> Result<Updated, AdvisoryError> {
    let folder = library.folder().to_owned();
    let current = library.snapshot().feed(ecosystem).ok().flatten();
    // The stored time, without later checks: those are bound to it.
    let stored = index::Index::open(&folder, ecosystem).ok().flatten().map(|index| index.feed);
    let url = address(base, ecosystem)?;
    let check = stored.as_ref().and_then(|feed| read_check(&folder, feed)).filter(|check| check.url == url.as_str());
    let answer = request(&url, check.as_ref()).await?;
    if let (StatusCode::NOT_MODIFIED, Some(mut check), Some(mut feed)) = (answer.status(), check, current) {
        check.checked = now.max(check.checked);
        feed.imported = check.checked;
        write_check(&folder, ecosystem, &check)?;
        return Ok(Updated::Unchanged(feed));
    }
    if answer.status() != StatusCode::OK {
        return Err(failed(&url, format!("{}: expected 200", answer.status())));
    }
    let text = |headers: &HeaderMap, name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (etag, last_modified) = (text(answer.headers(), header::ETAG), text(answer.headers(), header::LAST_MODIFIED));
    let archive = download(&url, answer, &folder).await?;
    let options = ImportOptions { ecosystems: vec![ecosystem], replace };
    let (import_to, path) = (folder.clone(), archive.path().to_owned());
    let work = move || import(&import_to, &[path], &options, now);
    let report = tokio::task::spawn_blocking(work).await.map_err(|error| failed(&url, error.to_string()))??;
    write_check(&folder, ecosystem, &Check { of: now, url: url.to_string(), etag, last_modified, checked: now })?;
    Ok(Updated::Imported(report))
}

fn failed(url: &Url, problem: String) -> AdvisoryError {
    AdvisoryError::Fetch { url: url.to_string(), problem }
}

fn address(base: &str, ecosystem: Ecosystem) -> Result<Url, AdvisoryError> {
    let problem = |problem: &str| AdvisoryError::Fetch { url: base.to_owned(), problem: problem.to_owned() };
    let mut url: Url = base.parse().map_err(|_| problem("no URL"))?;
    // Plaintext only where it is written out, as for registries.
    if !["https", "http"].contains(&url.scheme()) {
        return Err(problem("expected an https URL"));
    }
    url.path_segments_mut().map_err(|()| problem("no URL with a path"))?.pop_if_empty().extend([ecosystem.name(), "all.zip"]);
    Ok(url)
}

async fn request(url: &Url, check: Option<&Check>) -> Result<Response, AdvisoryError> {
    let problem = |error: reqwest::Error| failed(url, detail(&error));
    let secure = url.scheme() == "https";
    let redirects = reqwest::redirect::Policy::custom(move |attempt| {
        let insecure = secure && attempt.url().scheme() != "https";
        if insecure || attempt.previous().len() > MAX_REDIRECTS {
            attempt.error("a redirect that is not followed")
        } else {
            attempt.follow()
        }
    });
    let client = Client::builder().user_agent(crate::cli::USER_AGENT).connect_timeout(IDLE).read_timeout(IDLE).redirect(redirects);
    let mut request = client.build().map_err(problem)?.get(url.clone());
    if let Some(check) = check {
        let conditions = [(header::IF_NONE_MATCH, &check.etag), (header::IF_MODIFIED_SINCE, &check.last_modified)];
        for (name, value) in conditions {
            request = value.iter().fold(request, |request, value| request.header(name.clone(), value));
        }
    }
    request.send().await.map_err(problem)
}

/// An error with its causes: reqwest's own text names none.
fn detail(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// A downloaded archive, removed when it is dropped.
struct Archive(PathBuf);

impl Archive {
    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

async fn download(url: &Url, mut answer: Response, folder: &Path) -> Result<Archive, AdvisoryError> {
    let too_large = || failed(url, format!("more than {MAX_ARCHIVE_BYTES} bytes"));
    let expected = answer.content_length();
    if expected.is_some_and(|length| length > MAX_ARCHIVE_BYTES) {
        return Err(too_large());
    }
    std::fs::DirBuilder::new().recursive(true).create(folder).map_err(AdvisoryError::io(folder, "created"))?;
    let archive = Archive(folder.join(format!("download-{}.zip", ulid::Ulid::generate())));
    let io = |error| AdvisoryError::io(archive.path(), "written")(error);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(archive.path()).map_err(io)?;
    let mut written: u64 = 0;
    while let Some(bytes) = answer.chunk().await.map_err(|error| failed(url, detail(&error)))? {
        written += bytes.len() as u64;
        if written > MAX_ARCHIVE_BYTES {
            return Err(too_large());
        }
        // Advisories come once in hours: a blocking write of some KiB disturbs nobody.
        file.write_all(&bytes).map_err(io)?;
    }
    if let Some(expected) = expected.filter(|expected| *expected != written) {
        return Err(failed(url, format!("{written} bytes: expected {expected}")));
    }
    drop(file);
    Ok(archive)
}
