//! CycloneDX 1.6 (ECMA-424), JSON.

use serde_json::{Value, json};

use super::{Component, Subject, components, created, reservations, uuid};
use crate::report::Report;

pub fn document(report: &Report, subject: &Subject) -> Value {
    let root = subject.digest.to_string();
    let operating_system = report.release.as_ref().map(|release| {
        json!({
            "type": "operating-system",
            "bom-ref": format!("os:{}", release.distro()),
            "name": release.id,
            "version": release.version_id,
        })
    });
    let packages = components(report).into_iter().map(|(purl, component)| package(report, purl, &component));
    let aggregate = if report.is_complete() && !report.sources.is_empty() { "unknown" } else { "incomplete" };
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": format!("urn:uuid:{}", uuid(subject, "cyclonedx")),
        "version": 1,
        "metadata": {
            "timestamp": created(report),
            "tools": {"components": [{"type": "application", "name": "sealgate", "version": subject.version}]},
            "component": {
                "type": "container",
                "bom-ref": root,
                "name": subject.name,
                "version": root,
                "properties": layers(report),
            },
            "properties": reservations(report).into_iter().map(|text| property("sealgate:reservation", text)).collect::<Vec<_>>(),
        },
        "components": operating_system.into_iter().chain(packages).collect::<Vec<_>>(),
        // What is copied into an image without a list is in no list: nobody can call one complete.
        "compositions": [{"aggregate": aggregate, "assemblies": [root]}],
    })
}

fn package(report: &Report, purl: String, component: &Component<'_>) -> Value {
    let package = component.package;
    let mut properties = vec![];
    for location in &component.locations {
        properties.push(property("sealgate:location", location.path.clone()));
        properties.extend(report.layers.get(location.layer).map(|layer| property("sealgate:layer", layer.digest.to_string())));
    }
    for source in &component.sources {
        properties.push(property("sealgate:source:name", source.name.clone()));
        properties.push(property("sealgate:source:version", source.version.clone()));
    }
    properties.extend(package.owner.clone().map(|owner| property("sealgate:owner", owner)));
    let mut value = json!({
        "type": "library",
        "bom-ref": purl,
        "name": package.name,
        "version": package.version,
        "purl": purl,
        "properties": properties,
    });
    if !package.namespace.is_empty() && !package.kind.is_distribution() {
        value["group"] = json!(package.namespace);
    }
    value
}

fn layers(report: &Report) -> Vec<Value> {
    report.layers.iter().map(|layer| property("sealgate:layer", layer.digest.to_string())).collect()
}

fn property(name: &str, value: String) -> Value {
    json!({"name": name, "value": value})
}
