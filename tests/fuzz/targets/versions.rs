//! Versions of every scheme, as package databases and advisories hold them: any three texts are ordered without contradiction, or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealgate_scanner::version::{Scheme, of_go_toolchain};

const ALL: [Scheme; 7] = [Scheme::Dpkg, Scheme::Apk, Scheme::Rpm, Scheme::Semver, Scheme::Pep440, Scheme::Maven, Scheme::RubyGems];

fuzz_target!(|texts: (String, String, String)| {
    let (left, right, third) = &texts;
    let _ = of_go_toolchain(left);
    for scheme in ALL {
        let (Ok(order), Ok(back)) = (scheme.compare(left, right), scheme.compare(right, left)) else { continue };
        assert_eq!(order, back.reverse(), "{scheme} {left:?} {right:?}");
        let (Ok(next), Ok(whole)) = (scheme.compare(right, third), scheme.compare(left, third)) else { continue };
        if order.is_le() && next.is_le() {
            assert!(whole.is_le(), "{scheme} {left:?} {right:?} {third:?}");
        }
    }
});
