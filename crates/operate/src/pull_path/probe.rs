//! Asks the endpoints of a way from the node, step by step, until one answers as containerd needs it.

mod manifest;

use std::time::Duration;

use cri::import::Platform;
use http::{Method, StatusCode, header};
use serde::Serialize;

use super::{Endpoint, PullPath};
use crate::access::Access;
use crate::registry::{
    self, Answer, Certificate, Challenge, Credentials, Failure, MANIFESTS, Trust, Url, ask, fetch_token,
};

const LIMIT: Duration = Duration::from_secs(15);
/// Where systems keep the authorities that they trust, in the order in which Go looks.
const BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
];

/// A step that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// `dns`, `tcp`, `tls`, `http`, `login`, `manifest` or `platform`.
    pub name: &'static str,
    /// Whether the pull goes on from here; `None` when it was not tried.
    pub good: Option<bool>,
    /// What was seen, or why it was not tried.
    pub words: String,
}

/// What became of one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trial {
    /// The steps in order.
    pub steps: Vec<Step>,
    /// The certificates that were shown, the server's own first.
    pub certificates: Vec<Certificate>,
    /// Whether the pull would succeed here.
    pub good: bool,
}

/// A pull secret of a pod that uses the image.
#[derive(Clone, Debug)]
pub struct Secret {
    /// `namespace/name`.
    pub name: String,
    /// Whether it applies, in words.
    pub words: String,
    /// Its credentials, if it applies.
    pub credentials: Option<Credentials>,
}

/// What is known beside the node.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// What containers run on there.
    pub platform: Option<Platform>,
    /// Pull secrets of the pods.
    pub secrets: Vec<Secret>,
}

/// A node's way with what became of it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeTrace {
    /// The node.
    pub node: String,
    /// containerd's version.
    pub containerd: String,
    /// The main file of its configuration.
    pub config: String,
    /// The way.
    pub path: PullPath,
    /// For each endpoint what became of it; `None` where it was not asked, because one before it was good.
    pub trials: Vec<Option<Trial>>,
    /// Pull secrets, in words.
    pub secrets: Vec<String>,
    /// Where it stops; `None` when the image would be pulled.
    pub stops: Option<String>,
}

/// Asks the endpoints until one is good, as containerd does.
pub async fn probe(access: &dyn Access, containerd: &str, config: &str, path: PullPath, known: &Known) -> NodeTrace {
    let mut trials = Vec::new();
    let mut good = false;
    if path.refused.is_none() {
        for endpoint in &path.endpoints {
            if good || endpoint.left_out.is_some() {
                trials.push(None);
                continue;
            }
            let mut trial = Trying { access, endpoint, known, steps: Vec::new(), certificates: Vec::new() };
            good = trial.all().await.is_some();
            trials.push(Some(Trial { steps: trial.steps, certificates: trial.certificates, good }));
        }
    }
    let stops = if good { None } else { Some(stop(&path, &trials)) };
    let secrets = known.secrets.iter().map(|secret| format!("{}: {}", secret.name, secret.words)).collect();
    NodeTrace {
        node: access.node().to_owned(),
        containerd: containerd.to_owned(),
        config: config.to_owned(),
        path,
        trials,
        secrets,
        stops,
    }
}

/// The first reason: containerd, too, tells that of the first endpoint that failed.
fn stop(path: &PullPath, trials: &[Option<Trial>]) -> String {
    if let Some(refused) = &path.refused {
        return format!("before anybody is asked: {}", refused.words);
    }
    for (endpoint, trial) in path.endpoints.iter().zip(trials) {
        let Some(trial) = trial else { continue };
        // Not found is what containerd tells only when there is nothing else to tell.
        if let Some(step) = trial.steps.iter().find(|step| step.good == Some(false)) {
            return format!("at {} of {}: {}", step.name, endpoint.url, step.words);
        }
        if let Some(step) = trial.steps.iter().find(|step| step.good.is_none()) {
            return format!("unknown: {} of {} was not tried: {}", step.name, endpoint.url, step.words);
        }
    }
    "no endpoint is left that may be asked".to_owned()
}

struct Trying<'a> {
    access: &'a dyn Access,
    endpoint: &'a Endpoint,
    known: &'a Known,
    steps: Vec<Step>,
    certificates: Vec<Certificate>,
}

impl Trying<'_> {
    fn good(&mut self, name: &'static str, words: impl Into<String>) {
        self.steps.push(Step { name, good: Some(true), words: words.into() });
    }

    fn bad(&mut self, name: &'static str, words: impl Into<String>) {
        self.steps.push(Step { name, good: Some(false), words: words.into() });
    }

    fn untried(&mut self, name: &'static str, words: impl Into<String>) {
        self.steps.push(Step { name, good: None, words: words.into() });
    }

    /// All steps; `None` where it stops.
    async fn all(&mut self) -> Option<()> {
        let url = match Url::parse(&self.endpoint.url) {
            Ok(url) => url,
            Err(problem) => {
                self.bad("http", problem);
                return None;
            }
        };
        self.look_up(&url.host).await?;
        let trust = self.trust(&url).await?;
        let (url, asked) = self.first(url, &trust).await;
        let mut answer = self.connected(&url, asked)?;
        let mut authorization = None;
        if answer.status() == StatusCode::UNAUTHORIZED {
            self.good("http", format!("{}: it wants to know who asks", answer.status()));
            authorization = Some(self.log_in(&answer, &trust).await?);
            let headers = self.headers(authorization.clone());
            let asked = ask(self.access, &Method::HEAD, &url, &headers, &trust).await;
            answer = asked.map_err(|failure| self.bad("http", failure.to_string())).ok()?;
        }
        let status = answer.status();
        match status {
            StatusCode::OK => self.good("http", status.to_string()),
            StatusCode::NOT_FOUND => {
                self.bad("manifest", format!("{status}: the registry does not have this repository or tag"));
                return None;
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                self.bad("login", format!("{status}: these credentials are refused"));
                return None;
            }
            _ => {
                self.bad("http", format!("the registry answers {status}"));
                return None;
            }
        }
        self.manifest(&url, authorization, &trust).await
    }

    /// The first request, and the URL that it went to in the end.
    async fn first(&mut self, url: Url, trust: &Trust) -> (Url, Result<Answer, Failure>) {
        let headers = self.headers(None);
        let asked = ask(self.access, &Method::HEAD, &url, &headers, trust).await;
        let Err(failure) = &asked else { return (url, asked) };
        // Without a port of its own, nobody at 443 is a reason too.
        let nobody = failure.step == registry::Step::Dial && !failure.unsupported && !url.explicit_port;
        if !self.endpoint.falls_back_to_http || !(failure.plain || nobody) {
            return (url, asked);
        }
        self.good("tls", "it has none: containerd asks it by http then");
        let port = if url.explicit_port { url.port } else { 80 };
        let url = Url { secure: false, port, ..url };
        let asked = ask(self.access, &Method::HEAD, &url, &headers, trust).await;
        (url, asked)
    }

    /// What is sent with each request.
    fn headers(&self, authorization: Option<(header::HeaderName, String)>) -> Vec<(header::HeaderName, String)> {
        let own = self.endpoint.headers.0.iter();
        let own =
            own.filter_map(|(name, value)| Some((header::HeaderName::try_from(name.as_str()).ok()?, value.clone())));
        // One that containerd sets itself wins.
        let own = own.filter(|(name, _)| *name != header::AUTHORIZATION || authorization.is_none());
        let mut headers: Vec<_> = own.collect();
        headers.push((header::ACCEPT, MANIFESTS.to_owned()));
        headers.extend(authorization);
        headers
    }

    async fn look_up(&mut self, host: &str) -> Option<()> {
        if host.parse::<std::net::IpAddr>().is_ok() {
            return Some(());
        }
        match self.access.run("getent", &["ahosts", host], None, LIMIT).await {
            Ok(ran) if ran.succeeded() => {
                let mut addresses: Vec<String> = Vec::new();
                for line in String::from_utf8_lossy(&ran.stdout).lines() {
                    let address = line.split_whitespace().next().unwrap_or_default().to_owned();
                    if !addresses.contains(&address) {
                        addresses.push(address);
                    }
                }
                self.good("dns", format!("{host} is {}", addresses.join(", ")));
                Some(())
            }
            // getent's own code for a name that is not known.
            Ok(ran) if ran.code == Some(2) => {
                self.bad("dns", format!("{host} has no address: see /etc/resolv.conf and /etc/hosts of the node"));
                None
            }
            Ok(ran) => {
                self.untried("dns", format!("getent said {}", ran.text().trim()));
                Some(())
            }
            Err(error) => {
                self.untried("dns", error.to_string());
                Some(())
            }
        }
    }

    /// What the node's containerd trusts, and shows of itself.
    async fn trust(&mut self, url: &Url) -> Option<Trust> {
        let trust = self.trusted(url).await?;
        let Some((certificate, key)) = self.endpoint.client_certificates.first().filter(|_| url.secure) else {
            return Some(trust);
        };
        let key = key.as_ref().unwrap_or(certificate);
        let (Some(chain), Some(key)) = (self.file(certificate).await, self.file(key).await) else {
            self.untried("tls", format!("{certificate} or its key can't be read here: it takes --sudo, or root"));
            return None;
        };
        trust.showing(&chain, &key).map_err(|why| self.bad("tls", format!("{certificate}: {why}"))).ok()
    }

    async fn trusted(&mut self, url: &Url) -> Option<Trust> {
        if self.endpoint.skip_verify || !url.secure {
            return Some(Trust::anything());
        }
        let mut pems = Vec::new();
        for bundle in BUNDLES {
            if let Some(pem) = self.file(bundle).await {
                pems.push(pem);
                break;
            }
        }
        let own = pems.len();
        for authority in &self.endpoint.authorities {
            match self.file(authority).await {
                Some(pem) => pems.push(pem),
                None => {
                    self.bad("tls", format!("{authority} can't be read"));
                    return None;
                }
            }
        }
        if own == 0 && pems.is_empty() {
            // What this machine trusts is the best guess.
            return Trust::of_this_machine(None).map_err(|why| self.untried("tls", why)).ok();
        }
        Trust::only(&pems).map_err(|why| self.bad("tls", why)).ok()
    }

    async fn file(&self, path: &str) -> Option<Vec<u8>> {
        let ran = self.access.run("cat", &["--", path], None, LIMIT).await.ok()?;
        (ran.succeeded() && !ran.stdout.is_empty()).then_some(ran.stdout)
    }

    /// Tells of connection and TLS.
    fn connected(&mut self, url: &Url, asked: Result<Answer, Failure>) -> Option<Answer> {
        let address = format!("{}:{}", url.host, url.port);
        let handshake = match &asked {
            Ok(answer) => answer.handshake.clone(),
            Err(failure) => failure.handshake.clone(),
        };
        self.certificates = handshake.map(|handshake| handshake.chain).unwrap_or_default();
        let step = asked.as_ref().err().map(|failure| failure.step);
        if step != Some(registry::Step::Dial) {
            self.good("tcp", format!("{address} answers"));
        }
        if url.secure && !matches!(step, Some(registry::Step::Dial | registry::Step::Tls)) {
            let leaf = self.certificates.first();
            let mut words = leaf.map_or_else(String::new, |leaf| {
                format!("certificate for {}, until {}", leaf.names.join(", "), leaf.not_after)
            });
            if self.endpoint.skip_verify {
                words.push_str(" (not checked: skip_verify)");
            }
            self.good("tls", words);
        }
        match asked {
            Ok(answer) => Some(answer),
            Err(failure) => {
                let name = match failure.step {
                    registry::Step::Dial => "tcp",
                    registry::Step::Tls => "tls",
                    registry::Step::Head | registry::Step::Body => "http",
                };
                match failure.unsupported {
                    true => self.untried(name, failure.why),
                    false => self.bad(name, failure.why),
                }
                None
            }
        }
    }

    async fn log_in(&mut self, answer: &Answer, trust: &Trust) -> Option<(header::HeaderName, String)> {
        let challenge = answer.headers(header::WWW_AUTHENTICATE).find_map(Challenge::parse);
        // A pull secret wins over containerd's own configuration.
        let secret = self.known.secrets.iter().find(|secret| secret.credentials.is_some());
        let own = self.endpoint.credentials.clone();
        let credentials = secret.and_then(|secret| secret.credentials.clone()).or(own);
        let who = match (secret, &credentials) {
            (Some(secret), _) => format!("the pull secret {}", secret.name),
            (None, Some(_)) => "containerd's own configuration says".to_owned(),
            (None, None) => "nobody".to_owned(),
        };
        let value = match challenge {
            None => {
                self.bad("login", "it does not say how to log in");
                return None;
            }
            Some(Challenge::Basic { .. }) => match credentials {
                Some(credentials) => credentials.basic(),
                None if self.endpoint.own_credentials => {
                    self.untried(
                        "login",
                        "containerd's own configuration has credentials of a kind that is not tried here",
                    );
                    return None;
                }
                None => {
                    self.bad("login", "it wants a user and a password, and no pull secret applies");
                    return None;
                }
            },
            Some(Challenge::Bearer(bearer)) => {
                match fetch_token(self.access, &bearer, credentials.as_ref(), trust).await {
                    Ok(token) => format!("Bearer {token}"),
                    Err(why) => {
                        self.bad("login", why);
                        return None;
                    }
                }
            }
        };
        self.good("login", format!("as {who}"));
        Some((header::AUTHORIZATION, value))
    }
}
