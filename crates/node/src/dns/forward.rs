//! Questions that are not ours, asked of the servers that the node itself would ask.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

/// How long one server may take before the next is asked.
const SERVER_TIMEOUT: Duration = Duration::from_secs(2);
/// Servers that a resolver asks at most (resolv.conf(5), MAXNS).
const SERVERS: usize = 3;

/// The servers that a `resolv.conf` names, without our own address, which would ask itself for ever.
pub fn upstreams(resolv_conf: &str, ours: IpAddr) -> Vec<SocketAddr> {
    resolv_conf
        .lines()
        .filter_map(|line| line.split(['#', ';']).next()?.trim().strip_prefix("nameserver"))
        .filter_map(|rest| rest.trim().parse::<IpAddr>().ok())
        .filter(|address| *address != ours)
        .take(SERVERS)
        .map(|address| SocketAddr::new(address, 53))
        .collect()
}

/// Asks the servers in order, by UDP; the answer of the first that gives one.
pub(super) async fn by_udp(servers: &[SocketAddr], question: &[u8]) -> Option<Vec<u8>> {
    for server in servers {
        if let Ok(Ok(answer)) = tokio::time::timeout(SERVER_TIMEOUT, ask_udp(*server, question)).await {
            return Some(answer);
        }
    }
    None
}

/// Asks the servers in order, by TCP.
pub(super) async fn by_tcp(servers: &[SocketAddr], question: &[u8]) -> Option<Vec<u8>> {
    for server in servers {
        if let Ok(Ok(answer)) = tokio::time::timeout(SERVER_TIMEOUT, ask_tcp(*server, question)).await {
            return Some(answer);
        }
    }
    None
}

async fn ask_udp(server: SocketAddr, question: &[u8]) -> std::io::Result<Vec<u8>> {
    // A socket of its own, so a random source port, and connected: answers of others are not taken.
    let local: SocketAddr = if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(local).await?;
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut answer = vec![0; usize::from(u16::MAX)];
    loop {
        let length = socket.recv(&mut answer).await?;
        if length >= 2 && answer[..2] == question[..2] {
            answer.truncate(length);
            return Ok(answer);
        }
    }
}

async fn ask_tcp(server: SocketAddr, question: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(question.len()).map_err(std::io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes()[..], question].concat()).await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_read_as_resolvers_do() {
        let text = "# comment\nnameserver 192.0.2.1 \n nameserver 192.0.2.2 ; why\nnameserver\t10.96.0.10\nsearch x\nnameserver bad\nnameserver ::1\nnameserver 192.0.2.3\n";
        let found = upstreams(text, "10.96.0.10".parse().unwrap());
        let wanted: Vec<SocketAddr> =
            ["192.0.2.1:53", "192.0.2.2:53", "[::1]:53"].map(|text| text.parse().unwrap()).into();
        assert_eq!(found, wanted);
    }
}
