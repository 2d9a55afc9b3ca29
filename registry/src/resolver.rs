//! Name resolution under the address guard: what is dialled is exactly what was judged, so that a name cannot change between (B2).

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::address::AddressGuard;

/// Turns a name into addresses.
pub(crate) trait Lookup: Send + Sync + 'static {
    fn lookup(&self, name: &str) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>>;
}

/// The system's resolver.
pub(crate) struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, name: &str) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        let name = name.to_owned();
        Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect()) })
    }
}

/// A name resolved to addresses, none of which may be dialled.
#[derive(Debug)]
pub(crate) struct AddressRefused {
    pub(crate) host: String,
}

impl fmt::Display for AddressRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} resolves to a private or special address, which is not allowed for this registry", self.host)
    }
}

impl std::error::Error for AddressRefused {}

/// Resolves names and drops the addresses that the guard refuses.
#[derive(Clone)]
pub(crate) struct GuardedResolver {
    pub(crate) guard: Arc<AddressGuard>,
    /// The configured proxies' own host names: the admin named them, so they may be private.
    pub(crate) proxies: Arc<[String]>,
    pub(crate) lookup: Arc<dyn Lookup>,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let Self { guard, proxies, lookup } = self.clone();
        Box::pin(async move {
            let host = name.as_str();
            let found = lookup.lookup(host).await?;
            let exempt = proxies.iter().any(|proxy| proxy.eq_ignore_ascii_case(host));
            let any = !found.is_empty();
            let permitted: Vec<SocketAddr> =
                found.into_iter().filter(|address| exempt || guard.permits(*address)).map(|address| SocketAddr::new(address, 0)).collect();
            if any && permitted.is_empty() {
                return Err(AddressRefused { host: host.to_owned() }.into());
            }
            Ok(Box::new(permitted.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Answers each lookup with the next list.
    struct Script(Mutex<Vec<Vec<IpAddr>>>);

    impl Lookup for Script {
        fn lookup(&self, _name: &str) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
            let next = self.0.lock().expect("script").pop().unwrap_or_default();
            Box::pin(async move { Ok(next) })
        }
    }

    fn resolver(answers: &[&[&str]], proxies: &[&str]) -> GuardedResolver {
        let parse = |list: &&[&str]| list.iter().map(|text| text.parse().expect(text)).collect();
        GuardedResolver {
            guard: Arc::new(AddressGuard::default()),
            proxies: proxies.iter().map(|name| (*name).to_owned()).collect(),
            lookup: Arc::new(Script(Mutex::new(answers.iter().rev().map(parse).collect()))),
        }
    }

    async fn dialled(resolver: &GuardedResolver, name: &str) -> Result<Vec<String>, String> {
        match resolver.resolve(name.parse().expect("name")).await {
            Ok(addresses) => Ok(addresses.map(|address| address.ip().to_string()).collect()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[tokio::test]
    async fn a_name_that_rebinds_to_a_private_address_is_not_dialled() {
        // B2: public at the first look, metadata address at the second. The addresses judged are the ones handed to the dialler.
        let resolver = resolver(&[&["1.1.1.1"], &["169.254.169.254"], &["1.1.1.1", "10.0.0.1"]], &[]);
        assert_eq!(dialled(&resolver, "evil.example").await, Ok(vec!["1.1.1.1".to_owned()]));
        assert!(dialled(&resolver, "evil.example").await.is_err_and(|text| text.contains("evil.example") && !text.contains("169.254")));
        assert_eq!(dialled(&resolver, "evil.example").await, Ok(vec!["1.1.1.1".to_owned()]));
    }

    #[tokio::test]
    async fn a_configured_proxy_may_be_private() {
        let resolver = resolver(&[&["10.0.0.9"], &["10.0.0.9"]], &["proxy.corp"]);
        assert_eq!(dialled(&resolver, "proxy.corp").await, Ok(vec!["10.0.0.9".to_owned()]));
        assert!(dialled(&resolver, "other.corp").await.is_err());
    }
}
