//! The sockets of the DNS server: UDP and TCP on port 53 of the cluster's DNS address.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::answer::{Verdict, decide, upstream_failed};
use super::{Zone, forward};

/// Questions that wait for upstream, and TCP connections, at once; more are dropped, and askers ask again.
const AT_ONCE: usize = 512;
/// How long a TCP connection may be silent.
const IDLE: Duration = Duration::from_secs(10);

/// The bound sockets of a DNS server.
pub struct Dns {
    udp: UdpSocket,
    tcp: TcpListener,
    upstreams: Vec<SocketAddr>,
}

impl Dns {
    /// Binds UDP and TCP on `address`; questions that are not the cluster's go to `upstreams`.
    ///
    /// # Errors
    /// When the port is taken or the address is not this machine's.
    pub async fn bind(address: IpAddr, port: u16, upstreams: Vec<SocketAddr>) -> io::Result<Self> {
        let udp = UdpSocket::bind((address, port)).await?;
        let tcp = TcpListener::bind((address, udp.local_addr()?.port())).await?;
        Ok(Self { udp, tcp, upstreams })
    }
}

/// What all answering tasks share.
struct Shared {
    zone: watch::Receiver<Option<Arc<Zone>>>,
    upstreams: Vec<SocketAddr>,
    slots: Arc<Semaphore>,
}

/// Answers until `stop`.
pub async fn run(dns: Dns, zone: watch::Receiver<Option<Arc<Zone>>>, stop: CancellationToken) {
    let shared = Arc::new(Shared { zone, upstreams: dns.upstreams, slots: Arc::new(Semaphore::new(AT_ONCE)) });
    let udp = Arc::new(dns.udp);
    let mut tasks = JoinSet::new();
    let mut question = vec![0; usize::from(u16::MAX)];
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            received = udp.recv_from(&mut question) => match received {
                Ok((length, asker)) => answer_udp(&shared, &udp, &question[..length], asker, &mut tasks),
                // Linux reports an unreachable earlier asker here; the next receive works.
                Err(error) => tracing::debug!(%error, "receiving a DNS question"),
            },
            accepted = dns.tcp.accept() => match accepted {
                Ok((stream, _)) => serve_tcp(&shared, stream, &mut tasks),
                Err(error) => tracing::debug!(%error, "accepting a DNS connection"),
            },
            Some(_) = tasks.join_next() => {}
        }
    }
    tasks.shutdown().await;
}

fn answer_udp(
    shared: &Arc<Shared>,
    socket: &Arc<UdpSocket>,
    question: &[u8],
    asker: SocketAddr,
    tasks: &mut JoinSet<()>,
) {
    let zone = shared.zone.borrow().clone();
    match decide(zone.as_deref(), question, true) {
        Verdict::Ignore => {}
        // A full send buffer drops the answer, as the network might; the asker asks again.
        Verdict::Answer(answer) => drop(socket.try_send_to(&answer, asker)),
        verdict @ (Verdict::Forward | Verdict::Follow(_)) => {
            let Ok(slot) = shared.slots.clone().try_acquire_owned() else { return };
            let (shared, socket, question) = (shared.clone(), socket.clone(), question.to_vec());
            tasks.spawn(async move {
                let answer = match verdict {
                    Verdict::Follow(alias) => {
                        let found = forward::by_udp(&shared.upstreams, &alias.question).await;
                        alias.answer(found.as_deref(), true)
                    }
                    _ => forward::by_udp(&shared.upstreams, &question).await,
                };
                if let Some(answer) = answer.or_else(|| upstream_failed(&question)) {
                    drop(socket.send_to(&answer, asker).await); // As above.
                }
                drop(slot);
            });
        }
    }
}

fn serve_tcp(shared: &Arc<Shared>, stream: TcpStream, tasks: &mut JoinSet<()>) {
    let Ok(slot) = shared.slots.clone().try_acquire_owned() else { return };
    let shared = shared.clone();
    tasks.spawn(async move {
        // Whatever ends the connection, the asker sees it end and may come again.
        drop(talk(&shared, stream).await);
        drop(slot);
    });
}

/// One TCP connection: questions and answers, each with its length before it (RFC 1035 section 4.2.2).
async fn talk(shared: &Shared, mut stream: TcpStream) -> io::Result<()> {
    loop {
        let length = tokio::time::timeout(IDLE, stream.read_u16()).await??;
        let mut question = vec![0; usize::from(length)];
        tokio::time::timeout(IDLE, stream.read_exact(&mut question)).await??;
        let zone = shared.zone.borrow().clone();
        let answer = match decide(zone.as_deref(), &question, false) {
            Verdict::Ignore => return Ok(()),
            Verdict::Answer(answer) => Some(answer),
            Verdict::Follow(alias) => {
                let found = forward::by_tcp(&shared.upstreams, &alias.question).await;
                alias.answer(found.as_deref(), false)
            }
            Verdict::Forward => {
                forward::by_tcp(&shared.upstreams, &question).await.or_else(|| upstream_failed(&question))
            }
        };
        let Some(answer) = answer else { return Ok(()) };
        let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes()[..], &answer].concat()).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::Services;

    /// A question for the TXT record of `name`, with id 1.
    fn question(name: &str) -> Vec<u8> {
        let mut bytes = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            bytes.push(u8::try_from(label.len()).unwrap());
            bytes.extend(label.as_bytes());
        }
        bytes.extend([0, 0, 16, 0, 1]);
        bytes
    }

    #[tokio::test]
    async fn udp_and_tcp_answer_and_foreign_names_go_upstream() {
        let upstream = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let dns = Dns::bind("127.0.0.1".parse().unwrap(), 0, vec![upstream.local_addr().unwrap()]).await.unwrap();
        let address = dns.udp.local_addr().unwrap();
        let (_publish, zone) = watch::channel(Some(Arc::new(Zone::project(&Services::default(), "cluster.local"))));
        let stop = CancellationToken::new();
        let server = tokio::spawn(run(dns, zone, stop.clone()));

        let asker = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        asker.connect(address).await.unwrap();
        let mut answer = [0; 1500];
        asker.send(&question("dns-version.cluster.local")).await.unwrap();
        let length = asker.recv(&mut answer).await.unwrap();
        assert!(answer[..length].windows(5).any(|bytes| bytes == b"1.1.0"));

        let foreign = question("example.com");
        asker.send(&foreign).await.unwrap();
        let mut forwarded = [0; 1500];
        let (length, from) = upstream.recv_from(&mut forwarded).await.unwrap();
        assert_eq!(forwarded[..length], foreign);
        upstream.send_to(b"\0\x01and the upstream's bytes come back unread", from).await.unwrap();
        let length = asker.recv(&mut answer).await.unwrap();
        assert_eq!(&answer[2..length], b"and the upstream's bytes come back unread");

        let mut stream = TcpStream::connect(address).await.unwrap();
        for _ in 0..2 {
            let question = question("dns-version.cluster.local");
            let length = u16::try_from(question.len()).unwrap();
            stream.write_all(&[&length.to_be_bytes()[..], &question].concat()).await.unwrap();
            let mut answer = vec![0; usize::from(stream.read_u16().await.unwrap())];
            stream.read_exact(&mut answer).await.unwrap();
            assert!(answer.windows(5).any(|bytes| bytes == b"1.1.0"));
        }
        stop.cancel();
        server.await.unwrap();
    }
}
