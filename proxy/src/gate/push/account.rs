//! Whom an unfinished upload counts for. Not the same as whose it is: a name can have many faces, and no name is not one client.

use std::net::IpAddr;
use std::sync::Arc;

use crate::auth::Principal;

/// Whom an unfinished upload counts for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::gate) enum Account {
    /// Whoever has no name, by network address.
    Address(IpAddr),
    /// A user, a token or a client certificate.
    Principal(Principal),
    /// Every job that one entry of `auth.oidc` matches: the `sub` is of the job's own making.
    Workloads(Arc<str>),
}

impl Account {
    /// The account of `principal`, who comes from `address`.
    pub(in crate::gate) fn of(principal: &Principal, address: IpAddr) -> Self {
        match principal {
            Principal::Anonymous => Self::Address(network(address)),
            Principal::Workload { name, subject: _ } => Self::Workloads(Arc::clone(name)),
            Principal::User(_) | Principal::Token { .. } | Principal::Certificate(_) => Self::Principal(principal.clone()),
        }
    }
}

/// RFC 6177 §2: one site has a /64 at least, so that its hosts have any number of IPv6 addresses.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            [a, b, c, d, 0, 0, 0, 0].into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_are_told_apart_by_network_and_jobs_are_not_told_apart() {
        let anonymous = |address: &str| Account::of(&Principal::Anonymous, address.parse().unwrap());
        assert_ne!(anonymous("192.0.2.1"), anonymous("192.0.2.2"));
        assert_eq!(anonymous("192.0.2.1"), anonymous("::ffff:192.0.2.1"));
        assert_eq!(anonymous("2001:db8::1"), anonymous("2001:db8::2:1"));
        assert_ne!(anonymous("2001:db8::1"), anonymous("2001:db8:0:1::1"));
        let job = |name: &str, subject: &str| {
            let principal = Principal::Workload { name: name.into(), subject: subject.into() };
            Account::of(&principal, "192.0.2.1".parse().unwrap())
        };
        assert_eq!(job("app", "ref:a"), job("app", "ref:b"));
        assert_ne!(job("app", "ref:a"), job("other", "ref:a"));
    }
}
