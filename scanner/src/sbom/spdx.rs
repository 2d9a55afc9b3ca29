//! SPDX 2.3, JSON.

use serde_json::{Value, json};

use super::{Component, Subject, components, created, reservations, uuid};
use crate::report::Report;

const ROOT: &str = "SPDXRef-Image";

pub fn document(report: &Report, subject: &Subject) -> Value {
    let root = json!({
        "SPDXID": ROOT,
        "name": subject.name,
        "versionInfo": subject.digest.to_string(),
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "copyrightText": "NOASSERTION",
        "primaryPackagePurpose": "CONTAINER",
    });
    let packages: Vec<Value> =
        components(report).into_iter().enumerate().map(|(index, (purl, component))| package(report, index, purl, &component)).collect();
    let describes = json!({"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": ROOT});
    let contains = packages
        .iter()
        .map(|package| json!({"spdxElementId": ROOT, "relationshipType": "CONTAINS", "relatedSpdxElement": package["SPDXID"]}));
    let relationships: Vec<Value> = std::iter::once(describes).chain(contains).collect();
    let mut document = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": subject.name,
        "documentNamespace": format!("urn:uuid:{}", uuid(subject, "spdx")),
        "creationInfo": {"created": created(report), "creators": [format!("Tool: sealgate-{}", subject.version)]},
        "packages": std::iter::once(root).chain(packages).collect::<Vec<_>>(),
        "relationships": relationships,
    });
    let reservations = reservations(report);
    if !reservations.is_empty() {
        document["comment"] = json!(reservations.join("\n"));
    }
    document
}

fn package(report: &Report, index: usize, purl: String, component: &Component<'_>) -> Value {
    let package = component.package;
    let mut lines: Vec<String> = component.sources.iter().map(|source| format!("built from {} {}", source.name, source.version)).collect();
    lines.extend(component.locations.iter().map(|location| {
        let layer = report.layers.get(location.layer).map(|layer| layer.digest.to_string()).unwrap_or_default();
        format!("found in {} of layer {layer}", location.path)
    }));
    json!({
        "SPDXID": format!("SPDXRef-Package-{index}"),
        "name": package.full_name(),
        "versionInfo": package.version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "copyrightText": "NOASSERTION",
        "sourceInfo": lines.join("; "),
        "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl}],
    })
}
