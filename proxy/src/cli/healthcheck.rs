//! `sealgate healthcheck`: for containers without a shell or curl.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http::uri::Scheme;
use http::{Request, Uri, header};
use http_body_util::Full;
use tokio::net::TcpStream;

use super::config_file::ConfigArgs;
use super::exchange::{Answer, exchange};
use super::exit::{Exit, Failure};
use super::{block_on, output};

/// Longest wait, by default. Docker's own default for a health check is 30 s.
const TIMEOUT: u64 = 5;

const EXAMPLES: &str = "\
Examples:
  sealgate healthcheck
  sealgate healthcheck --url http://127.0.0.1:5001/livez
  HEALTHCHECK CMD [\"/sealgate\", \"healthcheck\"]      (in a Dockerfile)

Exit codes: 0 ready, 1 not ready.";

/// Arguments of `sealgate healthcheck`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct HealthcheckArgs {
    /// The configuration file, which says where the admin listener is.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// What to ask [default: /readyz at the configuration's admin.listen, http://127.0.0.1:5001/readyz]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Longest wait in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = TIMEOUT, value_parser = clap::value_parser!(u64).range(1..=300))]
    pub timeout: u64,
}

/// Asks the gate.
///
/// # Errors
/// When it is not ready, always with [`Exit::Error`]: Docker reserves other codes.
pub fn run(args: HealthcheckArgs) -> Result<(), Failure> {
    let url = match &args.url {
        Some(url) => url.clone(),
        None => default_url(&args.config)?,
    };
    let unhealthy = |problem: String| Failure::new(Exit::Error, format!("{url}: {problem}"));
    let uri: Uri = url.parse().map_err(|_| unhealthy("this is no URL".to_owned()))?;
    let answer = block_on(ask(&uri, Duration::from_secs(args.timeout))).map_err(|failure| unhealthy(failure.message))?;
    let body = String::from_utf8_lossy(&answer.body);
    let line = body.lines().next().unwrap_or_default();
    if answer.status.is_success() {
        output::result(if line.is_empty() { "ready" } else { line })
    } else {
        Err(unhealthy(format!("HTTP {} {line}", answer.status.as_u16())))
    }
}

fn default_url(config: &ConfigArgs) -> Result<String, Failure> {
    let config = config.load().map_err(|failure| Failure { exit: Exit::Error, ..failure })?;
    Ok(format!("http://{}/readyz", reachable(config.admin.listen)))
}

/// Where a listener on this machine is reached: one on every address by loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

async fn ask(uri: &Uri, limit: Duration) -> Result<Answer, Failure> {
    let authority = uri.authority().filter(|_| uri.scheme() == Some(&Scheme::HTTP));
    let authority = authority.ok_or_else(|| Failure::error("expected http://HOST:PORT/PATH"))?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    let connect = TcpStream::connect((host, authority.port_u16().unwrap_or(80)));
    let stream = tokio::time::timeout(limit, connect)
        .await
        .map_err(|_| Failure::error("the connection was not accepted in time"))?
        .map_err(|error| Failure::error(error.to_string()))?;
    let target = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let request = Request::get(target).header(header::HOST, authority.as_str()).body(Full::new(Bytes::new()));
    let request = request.map_err(|error| Failure::error(error.to_string()))?;
    exchange(stream, request, limit).await.map_err(|error| Failure::error(error.to_string()))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    async fn server(answer: &'static str) -> Uri {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
            // Held open: a server that says nothing further must not stop the check.
            tokio::time::sleep(Duration::from_secs(30)).await;
        });
        format!("http://{address}/readyz").parse().expect("a URL")
    }

    #[tokio::test]
    async fn ready_not_ready_and_silent_are_told_apart() {
        let ready = server("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        assert_eq!(ask(&ready, Duration::from_secs(5)).await.expect("an answer").status, 200);
        let not_ready = server("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n").await;
        assert_eq!(ask(&not_ready, Duration::from_secs(5)).await.expect("an answer").status, 503);
        let silent = server("").await;
        assert!(ask(&silent, Duration::from_millis(100)).await.is_err());
        for bad in ["https://127.0.0.1/", "/readyz", "127.0.0.1:1"] {
            assert!(ask(&bad.parse().expect(bad), Duration::from_secs(1)).await.is_err(), "{bad}");
        }
    }

    #[test]
    fn a_listener_on_every_address_is_reached_by_loopback() {
        for (listen, expected) in [("0.0.0.0:5001", "127.0.0.1:5001"), ("[::]:5001", "[::1]:5001"), ("10.0.0.1:1", "10.0.0.1:1")] {
            assert_eq!(reachable(listen.parse().expect(listen)).to_string(), expected);
        }
    }
}
