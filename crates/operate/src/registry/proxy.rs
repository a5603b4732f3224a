//! This machine, which reaches https registries through the proxy that its environment names.
//!
//! `HTTPS_PROXY`, `NO_PROXY` and their lower-case forms, as curl and Go read them. Only https goes through a proxy: a
//! registry by plain http is a neighbour.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::access::{Access, AccessError, Local, Ran, Socket, Wire};

/// How long a proxy may take to make a connection.
const CONNECT: Duration = Duration::from_secs(30);
/// The head of a proxy's answer is no longer.
const MAX_HEAD: usize = 8 << 10;

/// This machine with the proxy of its environment.
pub struct HereByProxy {
    here: Local,
    proxy: Option<Proxy>,
    except: Vec<String>,
}

struct Proxy {
    host: String,
    port: u16,
    /// The value of `Proxy-Authorization`.
    authorization: Option<String>,
}

impl HereByProxy {
    /// As the environment says; `variable` looks one up.
    pub fn new(variable: impl Fn(&str) -> Option<String>) -> Self {
        let either =
            |name: &str| variable(name).or_else(|| variable(&name.to_uppercase())).filter(|text| !text.is_empty());
        let except = either("no_proxy").unwrap_or_default();
        let except = except.split(',').map(|one| one.trim().to_lowercase()).filter(|one| !one.is_empty()).collect();
        Self {
            here: Local::new("this machine"),
            proxy: either("https_proxy").and_then(|text| Proxy::parse(&text)),
            except,
        }
    }

    /// The proxy for a host, if it is not excepted.
    fn proxy_for(&self, host: &str) -> Option<&Proxy> {
        let loopback = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        let host = host.to_lowercase();
        let excepted = self.except.iter().any(|one| {
            let one = one.trim_start_matches('.');
            one == "*" || one == host || host.strip_suffix(one).is_some_and(|before| before.ends_with('.'))
        });
        self.proxy.as_ref().filter(|_| !loopback && !excepted)
    }
}

impl Proxy {
    fn parse(text: &str) -> Option<Self> {
        let rest = text.split_once("://").map_or(text, |(_, rest)| rest).trim_end_matches('/');
        let (user, authority) = rest.rsplit_once('@').map_or((None, rest), |(user, rest)| (Some(user), rest));
        let decoded = user.map(|user| percent_encoding::percent_decode_str(user).decode_utf8_lossy().into_owned());
        let (host, port) = authority.rsplit_once(':').unwrap_or((authority, "3128"));
        Some(Self {
            host: host.to_owned(),
            port: port.parse().ok()?,
            authorization: decoded.map(|user| format!("Basic {}", BASE64.encode(user))),
        })
    }

    /// Makes the connection go on to a host.
    async fn through(&self, mut wire: Box<dyn Wire>, address: &str) -> Result<Box<dyn Wire>, String> {
        let mut request = format!("CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n");
        if let Some(authorization) = &self.authorization {
            request.push_str(&format!("Proxy-Authorization: {authorization}\r\n"));
        }
        request.push_str("\r\n");
        let broken = |error: std::io::Error| error.to_string();
        wire.write_all(request.as_bytes()).await.map_err(broken)?;
        wire.flush().await.map_err(broken)?;
        let mut head = Vec::new();
        // Byte by byte: what comes behind the head is the other side's.
        while !head.ends_with(b"\r\n\r\n") {
            if head.len() > MAX_HEAD {
                return Err("its answer has no end".to_owned());
            }
            head.push(wire.read_u8().await.map_err(broken)?);
        }
        let head = String::from_utf8_lossy(&head);
        let status = head.lines().next().unwrap_or_default();
        let code = status.split(' ').nth(1).unwrap_or_default();
        if code.starts_with('2') { Ok(wire) } else { Err(format!("it answers {status}")) }
    }
}

#[async_trait::async_trait]
impl Access for HereByProxy {
    fn node(&self) -> &str {
        self.here.node()
    }

    async fn run(
        &self,
        program: &str,
        arguments: &[&str],
        input: Option<&[u8]>,
        limit: Duration,
    ) -> Result<Ran, AccessError> {
        self.here.run(program, arguments, input, limit).await
    }

    async fn socket(&self, path: &str) -> Result<Socket, AccessError> {
        self.here.socket(path).await
    }

    async fn dial(&self, host: &str, port: u16) -> Result<Box<dyn Wire>, AccessError> {
        // Plain http has other ports, and is for neighbours.
        let Some(proxy) = self.proxy_for(host) else { return self.here.dial(host, port).await };
        let address = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let failed = |why: String| AccessError::Dial {
            node: self.node().to_owned(),
            address: address.clone(),
            why: format!("the proxy {}:{}: {why}", proxy.host, proxy.port),
        };
        let wire = self.here.dial(&proxy.host, proxy.port).await?;
        let through = tokio::time::timeout(CONNECT, proxy.through(wire, &address)).await;
        through.map_err(|_| failed(format!("no answer within {} s", CONNECT.as_secs())))?.map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncBufReadExt as _;
    use tokio::io::BufReader;
    use tokio::net::TcpListener;

    use super::*;

    fn here(https_proxy: String, no_proxy: &'static str) -> HereByProxy {
        HereByProxy::new(move |name| match name {
            "HTTPS_PROXY" => Some(https_proxy.clone()),
            "no_proxy" => Some(no_proxy.to_owned()),
            _ => None,
        })
    }

    #[test]
    fn some_hosts_need_no_proxy() {
        let here = here("http://proxy:3128".to_owned(), "internal.example, .corp,10.0.0.1");
        let by_proxy = |host: &str| here.proxy_for(host).is_some();
        assert!(by_proxy("registry-1.docker.io") && by_proxy("notinternal.example"));
        for host in ["localhost", "127.0.0.1", "internal.example", "r.internal.example", "r.corp", "10.0.0.1"] {
            assert!(!by_proxy(host), "{host}");
        }
    }

    #[tokio::test]
    async fn connections_go_through_the_proxy() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let proxy = async {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                stream.read_line(&mut head).await.unwrap();
            }
            stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\nhello").await.unwrap();
            head
        };
        let here = here(format!("http://bob:s%40cret@127.0.0.1:{port}"), "");
        let (head, wire) = tokio::join!(proxy, here.dial("r.example", 443));
        assert!(head.starts_with("CONNECT r.example:443 HTTP/1.1\r\n"), "{head}");
        assert!(head.contains(&BASE64.encode("bob:s@cret")), "{head}");
        let mut text = String::new();
        wire.unwrap().read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "hello");
    }
}
