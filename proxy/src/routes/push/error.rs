//! What a client sees of a push that was not taken (distribution-spec 1.1, "Error Codes").

use http::StatusCode;

use crate::gate::GateError;
use crate::gate::push::PushError;
use crate::routes::error::Refusal;

/// Seconds to wait where too many uploads are unfinished.
const PAUSE: u64 = 30;

impl From<PushError> for Refusal {
    fn from(error: PushError) -> Self {
        let (status, code) = match &error {
            PushError::UploadUnknown => (StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN"),
            PushError::UploadBusy => (StatusCode::CONFLICT, "BLOB_UPLOAD_INVALID"),
            PushError::TooManyUploads { .. } => (StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS"),
            PushError::OutOfOrder { .. } => (StatusCode::RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID"),
            PushError::Length { .. } => (StatusCode::BAD_REQUEST, "SIZE_INVALID"),
            PushError::BrokenBody => (StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID"),
            PushError::Digest { .. } => (StatusCode::BAD_REQUEST, "DIGEST_INVALID"),
            PushError::BlobTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID"),
            PushError::BadManifest { .. } | PushError::ListedSize { .. } => (StatusCode::BAD_REQUEST, "MANIFEST_INVALID"),
            PushError::Missing { .. } => (StatusCode::BAD_REQUEST, "MANIFEST_BLOB_UNKNOWN"),
            PushError::NotEvidence { .. } => (StatusCode::FORBIDDEN, "DENIED"),
            PushError::Immutable { .. } => (StatusCode::CONFLICT, "DENIED"),
            PushError::DeletesRefused { .. } => (StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED"),
            PushError::ManifestUnknown => (StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN"),
            PushError::BlobUnknown => (StatusCode::NOT_FOUND, "BLOB_UNKNOWN"),
            PushError::Gate(GateError::Store { .. }) => {
                let message = "the gate cannot store this now; nothing was kept, try again".to_owned();
                return Self::of_push(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", message).later(PAUSE);
            }
            PushError::Gate(error) => return error.clone().into(),
        };
        let refusal = Self::of_push(status, code, error.to_string());
        if status == StatusCode::TOO_MANY_REQUESTS { refusal.later(PAUSE) } else { refusal }
    }
}
