//! The documents that signatures and attestations are made of.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealgate_verifier::bundle::Bundle;
use sealgate_verifier::dsse::Envelope;
use sealgate_verifier::simple_signing::Payload;
use sealgate_verifier::statement::Statement;

fuzz_target!(|data: &[u8]| {
    let _ = (Bundle::parse(data).is_ok(), Statement::parse(data).is_ok(), Payload::parse(data).is_ok());
    if let Ok(envelope) = Envelope::parse(data) {
        assert!(envelope.pre_authentication_encoding().starts_with(b"DSSEv1 "));
    }
});
