//! Attestations: of each signer the newest of the type, and whether it says what is asked for.

use std::collections::BTreeMap;

use super::{Case, Standing};
use crate::claim::{Attestation, Says};
use crate::message::quote;
use crate::policy::Attested;
use crate::predicate::{self, Found};
use crate::principal::Principal;
use crate::search::LEEWAY;
use crate::time::Timestamp;

/// Why an attestation of the right type, by a signer that is named, does not count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shortfall {
    /// It says something else.
    Condition(String),
    /// It is too old, of the future, or of no known time.
    Time(String),
}

/// The newest attestations of one signer, all of the same time.
struct Newest<'s> {
    time: Option<Timestamp>,
    each: Vec<(&'s Principal, Result<Option<Timestamp>, Shortfall>)>,
}

impl Case<'_> {
    pub(super) fn attested(&mut self, attested: &Attested, view: usize) -> Option<(Vec<String>, Option<Timestamp>)> {
        let now = self.now;
        let is_of_type = |says: &Says| matches!(says, Says::Attestation(attestation) if attested.kind.matches(&attestation.predicate_type));
        let seen = self.see(view, is_of_type)?;
        let newest = newest(attested, seen.attestations(), now);
        let mut standing = Standing::default();
        for (signer, newest) in &newest {
            // Of several with one time nobody can say which supersedes which: all must hold.
            let ends: Result<Vec<_>, _> = newest.each.iter().map(|(_, outcome)| outcome.as_ref()).collect();
            let Ok(ends) = ends else { continue };
            let until = ends.into_iter().flatten().min().copied();
            for (principal, _) in &newest.each {
                standing.add(signer, principal, until);
            }
        }
        standing.reaches(&attested.by, seen.stale_at())
    }

    /// Why the newest attestations of the named signers do not count, over all views.
    pub(super) fn shortfalls(&self, attested: &Attested) -> Vec<(String, Shortfall)> {
        let mut found = Vec::new();
        for seen in self.views.iter().filter_map(|view| view.seen()) {
            for (signer, newest) in newest(attested, seen.attestations(), self.now) {
                found.extend(newest.each.into_iter().filter_map(|(_, outcome)| Some((signer.to_owned(), outcome.err()?))));
            }
        }
        found.sort();
        found.dedup();
        found
    }
}

type Signed<'s, 'a> = (&'s Attestation, &'s crate::judge::Signed<'a>);

fn newest<'s, 'a: 's>(
    attested: &Attested,
    attestations: impl Iterator<Item = Signed<'s, 'a>>,
    now: Timestamp,
) -> BTreeMap<&'s str, Newest<'s>> {
    let mut newest: BTreeMap<&str, Newest<'_>> = BTreeMap::new();
    let of_type = attestations.filter(|(attestation, _)| attested.kind.matches(&attestation.predicate_type));
    for (attestation, signed) in of_type.filter(|(_, signed)| attested.by.names(signed.signer)) {
        let own = attestation.predicate.as_deref().and_then(|predicate| predicate::date(&attestation.predicate_type, predicate));
        let time = signed.at.or(own);
        let group = newest.entry(signed.signer).or_insert(Newest { time, each: Vec::new() });
        if time < group.time {
            continue;
        }
        if time > group.time {
            *group = Newest { time, each: Vec::new() };
        }
        let outcome = holds(attested, attestation).and_then(|()| in_time(attested, signed.at, own, now));
        let outcome = outcome.map(|until| [until, signed.until].into_iter().flatten().min());
        group.each.push((&signed.principal, outcome));
    }
    newest
}

fn holds(attested: &Attested, attestation: &Attestation) -> Result<(), Shortfall> {
    for condition in &attested.conditions {
        let place = &condition.pointer;
        let found = match &attestation.predicate {
            Some(predicate) => predicate::lookup(predicate, place),
            None => Found::Missing,
        };
        let found = match found {
            Found::Scalar(text) if condition.expected.matches(Some(&text)) => continue,
            Found::Scalar(text) => quote(&text),
            Found::Compound => "a list or an object".to_owned(),
            Found::Missing => "missing".to_owned(),
            Found::Ambiguous => "there more than once".to_owned(),
        };
        return Err(Shortfall::Condition(format!("{place} is {found}, expected {}", condition.expected)));
    }
    Ok(())
}

/// Until when the attestation is young enough. Its age is that of the older of its signature and its content.
fn in_time(attested: &Attested, at: Option<Timestamp>, own: Option<Timestamp>, now: Timestamp) -> Result<Option<Timestamp>, Shortfall> {
    if let Some(future) = [at, own].into_iter().flatten().find(|time| *time > now.plus(LEEWAY)) {
        return Err(Shortfall::Time(format!("it is dated {future}, which is in the future")));
    }
    let Some(max_age) = attested.max_age else { return Ok(None) };
    let Some(time) = [at, own].into_iter().flatten().min() else {
        return Err(Shortfall::Time("neither a log nor a timestamp nor the predicate says when it was made".to_owned()));
    };
    let end = time.plus(max_age);
    if now >= end {
        return Err(Shortfall::Time(format!("it is of {time}, over {} old", age(max_age))));
    }
    Ok(Some(end))
}

/// Seconds in the policy's words.
pub(crate) fn age(seconds: i64) -> String {
    let unit = [(86_400, 'd'), (3_600, 'h'), (60, 'm')].into_iter().find(|(unit, _)| seconds % unit == 0);
    unit.map_or_else(|| format!("{seconds}s"), |(unit, letter)| format!("{}{letter}", seconds / unit))
}
