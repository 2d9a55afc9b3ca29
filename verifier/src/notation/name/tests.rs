use super::*;

fn parse(text: &str) -> Result<Name, NameError> {
    text.parse()
}

/// A name's DER with `(type, string tag, value)`, one attribute in each part.
fn der(attributes: &[(&[u8], u8, &[u8])]) -> Vec<u8> {
    let tlv = |tag: u8, value: Vec<u8>| {
        let mut out = vec![tag];
        match value.len() {
            short @ 0..=0x7f => out.push(u8::try_from(short).expect("short")),
            long => {
                out.push(0x82);
                out.extend(u16::try_from(long).expect("under 64 KiB").to_be_bytes());
            }
        }
        out.extend(value);
        out
    };
    let part = |(oid, kind, value): &(&[u8], u8, &[u8])| {
        let attribute = [tlv(tag::OID, oid.to_vec()), tlv(*kind, value.to_vec())].concat();
        tlv(tag::SET, tlv(tag::SEQUENCE, attribute))
    };
    tlv(tag::SEQUENCE, attributes.iter().flat_map(part).collect())
}

const C: (&[u8], u8, &[u8]) = (&[0x55, 4, 6], tag::PRINTABLE_STRING, b"US");
const ST: (&[u8], u8, &[u8]) = (&[0x55, 4, 8], tag::UTF8_STRING, b"WA");
const O: (&[u8], u8, &[u8]) = (&[0x55, 4, 10], tag::UTF8_STRING, b"Acme");

#[test]
fn text_and_der_meet() {
    let name = Name::from_der(&der(&[O, ST, C, (&[0x55, 4, 3], tag::UTF8_STRING, b" a,b+\\ ")])).expect("a name");
    assert_eq!(name.to_string(), "C=US, ST=WA, O=Acme, CN=\\ a\\,b\\+\\\\\\ ");
    assert_eq!(parse(&name.to_string()), Ok(name.clone()));
    for within in ["C=US,ST=WA,O=Acme", "O=Acme , S = WA; c=US", "C=US, ST=WA, O=Acme, 2.5.4.3=x"] {
        assert_eq!(parse(within).expect("a name").is_within(&name), !within.contains("2.5"), "{within}");
    }
    for other in ["C=US, ST=WA, O=acme", "C=US, ST=WA, O=Acme, OU=x", "C=US, ST=WA, O=Acme, CN=a"] {
        assert!(!parse(other).expect("a name").is_within(&name), "{other}");
    }
}

#[test]
fn an_attribute_cannot_smuggle_another() {
    // A CN that spells other attributes stays one value.
    let name = Name::from_der(&der(&[C, ST, (O.0, O.1, b"Evil"), (&[0x55, 4, 3], tag::UTF8_STRING, b"x, O=Acme")])).expect("a name");
    assert!(!parse("C=US, ST=WA, O=Acme").expect("a name").is_within(&name));
    assert_eq!(parse(&name.to_string()), Ok(name));
}

#[test]
fn hostile_names_are_refused_in_bounded_work() {
    // V18, C16
    assert!(matches!(
        parse(&format!("C=US, ST=WA, O=#{}", "30".repeat(2_000))),
        Err(NameError::TooLarge { .. } | NameError::Syntax { .. })
    ));
    assert!(matches!(parse("C=US, ST=WA, O=#"), Err(NameError::Syntax { .. })));
    assert!(matches!(parse(&".".repeat(1_000_000)), Err(NameError::TooLarge { .. })));
    assert!(matches!(parse(&"=".repeat(4_000)), Err(NameError::Keyword { .. })));
    let many: Vec<String> = (0..100).map(|i| format!("1.2.{i}=x")).collect();
    assert!(matches!(parse(&many.join(",")), Err(NameError::TooLarge { unit: "attributes", .. })));
    let bomb = der(&[C, ST, (O.0, O.1, &[b'a'; 60_000])]);
    assert!(matches!(Name::from_der(&bomb), Err(NameError::TooLarge { unit: "bytes", .. })));
}

#[test]
fn ambiguous_names_are_refused() {
    for bad in [
        "",
        "C",
        "C=",
        "C=US",
        "C=US, ST=WA",
        "C=US, ST=WA, O= ",
        "C=US, ST=WA, O=Acme,",
        "C=US, ST=WA, O=Acme, O=Acme",
        "C=US, ST=WA, S=WA, O=Acme",
        "C=US + ST=WA, O=Acme",
        "C=US, ST=WA, O=Ac\"me",
        "C=US, ST=WA, O=Acme\\",
        "C=US, ST=WA, O=Acme\\zz",
        "C=US, ST=WA, O=Acme, NAME=x",
        "C=US, ST=WA, O=Acme, 1.=x",
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
    for bad in [
        der(&[C, ST, O, O]),
        der(&[C, ST, (O.0, O.1, b"\xff")]),
        der(&[C, ST, (O.0, 0x1e, b"\0A")]),
        der(&[C, ST, (O.0, tag::PRINTABLE_STRING, "é".as_bytes())]),
        vec![],
    ] {
        assert!(Name::from_der(&bad).is_err(), "{bad:?}");
    }
}

#[test]
fn a_certificate_needs_country_state_and_organisation_to_be_compared() {
    for bad in [der(&[C, ST]), der(&[C, ST, (O.0, O.1, b"")]), vec![0x30, 0]] {
        assert!(matches!(Name::from_der(&bad).expect("a name").check_complete(), Err(NameError::Missing { .. })));
    }
    assert_eq!(Name::from_der(&der(&[C, ST, O])).expect("a name").check_complete(), Ok(()));
}
