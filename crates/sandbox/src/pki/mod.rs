//! Certificates and keys of a cluster.
//!
//! [`Pki::ensure`] runs at each start: it makes what is missing, and makes anew
//! what expires soon or no longer fits the cluster. Invariant: afterwards every
//! certificate is signed by the present authority, valid for at least
//! [`RENEW_DAYS`], and belongs to the key beside it.
//! Deliberately absent: rotation while a cluster runs; revocation.

mod issue;

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use rcgen::{Issuer, KeyPair};

use crate::config::{ClusterConfig, NodeConfig};
use crate::layout::{ClusterDir, make_private_dir, write_atomic};
use crate::{Error, Result};
use issue::{Profile, Usage};

/// A certificate with fewer days left is made anew at the next start.
pub const RENEW_DAYS: i64 = 30;
/// Life of the authority: it cannot change without every kubeconfig changing.
const CA_DAYS: i64 = 3650;
/// Life of everything that it signs.
const LEAF_DAYS: i64 = 365;

/// Paths of a certificate and its key, PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFiles {
    /// The certificate.
    pub certificate: PathBuf,
    /// The private key, PKCS#8.
    pub key: PathBuf,
}

impl KeyFiles {
    fn named(dir: &Path, name: &str) -> Self {
        Self { certificate: dir.join(format!("{name}.crt")), key: dir.join(format!("{name}.key")) }
    }

    /// Both as text: the certificate, then the key.
    pub fn read(&self) -> Result<(String, String)> {
        let read = |path: &Path| fs::read_to_string(path).map_err(Error::file("read", path));
        Ok((read(&self.certificate)?, read(&self.key)?))
    }
}

/// The files in `pki/`. They exist after [`Pki::ensure`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pki {
    dir: PathBuf,
}

impl Pki {
    /// The files of a cluster, whether they exist or not.
    #[must_use]
    pub fn of(dir: &ClusterDir) -> Self {
        Self { dir: dir.pki() }
    }

    /// The certificate authority.
    #[must_use]
    pub fn ca(&self) -> KeyFiles {
        KeyFiles::named(&self.dir, "ca")
    }

    /// The API server's serving certificate.
    #[must_use]
    pub fn apiserver(&self) -> KeyFiles {
        KeyFiles::named(&self.dir, "apiserver")
    }

    /// How the API server names itself to kubelets.
    #[must_use]
    pub fn apiserver_kubelet_client(&self) -> KeyFiles {
        KeyFiles::named(&self.dir, "apiserver-kubelet-client")
    }

    /// The user `kubernetes-admin` of the group `system:masters`.
    #[must_use]
    pub fn admin(&self) -> KeyFiles {
        KeyFiles::named(&self.dir, "admin")
    }

    /// Signs service account tokens (ES256): a P-256 key, PKCS#8 PEM.
    #[must_use]
    pub fn service_account_key(&self) -> PathBuf {
        self.dir.join("sa.key")
    }

    /// The same key, PKCS#8 DER.
    pub fn service_account_key_der(&self) -> Result<Vec<u8>> {
        Ok(read_key(&self.service_account_key())?.serialize_der())
    }

    /// A kubelet's client certificate: `system:node:NAME` of `system:nodes`.
    #[must_use]
    pub fn node_client(&self, node: &NodeConfig) -> KeyFiles {
        KeyFiles::named(&self.dir, &format!("node-{}-client", node.name))
    }

    /// A kubelet's serving certificate.
    #[must_use]
    pub fn node_serving(&self, node: &NodeConfig) -> KeyFiles {
        KeyFiles::named(&self.dir, &format!("node-{}-serving", node.name))
    }

    /// Makes and renews everything that the cluster needs. Gives whether the
    /// authority or the administrator's certificate changed: then kubeconfig has to follow.
    pub fn ensure(&self, config: &ClusterConfig) -> Result<bool> {
        self.ensure_at(config, jiff::Zoned::now().date())
    }

    fn ensure_at(&self, config: &ClusterConfig, today: Date) -> Result<bool> {
        make_private_dir(&self.dir)?;
        let mut changed = self.ensure_ca(config, today)?;
        let (certificate, key) = self.ca().read()?;
        let issuer = Issuer::from_ca_cert_pem(&certificate, parse_key(&key, &self.ca().key)?)
            .map_err(issue::failed(format!("read {}", self.ca().certificate.display())))?;
        for (files, profile) in self.leaves(config) {
            let renewed = !issue::acceptable(&files, &profile, &certificate, today);
            if renewed {
                write_pair(&files, &issue::leaf(&profile, &issuer, today, LEAF_DAYS)?)?;
            }
            changed |= renewed && files == self.admin();
        }
        let token_key = self.service_account_key();
        if read_key(&token_key).is_err() {
            let key = KeyPair::generate().map_err(issue::failed("make a key".to_owned()))?;
            write_atomic(&token_key, key.serialize_pem().as_bytes(), 0o600)?;
        }
        Ok(changed)
    }

    fn ensure_ca(&self, config: &ClusterConfig, today: Date) -> Result<bool> {
        let profile = Profile::authority(&format!("shipmate-{}", config.name));
        let files = self.ca();
        let own = fs::read_to_string(&files.certificate).unwrap_or_default();
        if issue::acceptable(&files, &profile, &own, today) {
            return Ok(false);
        }
        write_pair(&files, &issue::authority(&profile, today, CA_DAYS)?)?;
        Ok(true)
    }

    /// Every certificate that the authority signs.
    fn leaves(&self, config: &ClusterConfig) -> Vec<(KeyFiles, Profile)> {
        let mut leaves = vec![
            (
                self.apiserver(),
                Profile::new("kube-apiserver", &[], Usage::Server).with_names(server_names(), server_ips(config)),
            ),
            (
                self.apiserver_kubelet_client(),
                Profile::new("kube-apiserver-kubelet-client", &["system:masters"], Usage::Client),
            ),
            (self.admin(), Profile::new("kubernetes-admin", &["system:masters"], Usage::Client)),
        ];
        for node in config.real_nodes() {
            let user = format!("system:node:{}", node.name);
            let ips = config.network().map(|network| IpAddr::V4(network.node_ip(node)));
            let local = [IpAddr::V4(Ipv4Addr::LOCALHOST)];
            let serving = Profile::new(&user, &["system:nodes"], Usage::Server).with_names(
                vec![node.name.to_string(), "localhost".to_owned()],
                ips.into_iter().chain(local).collect(),
            );
            leaves.push((self.node_client(node), Profile::new(&user, &["system:nodes"], Usage::Client)));
            leaves.push((self.node_serving(node), serving));
        }
        leaves
    }
}

/// Names by which clients reach the API server, in pods and outside.
fn server_names() -> Vec<String> {
    let mut names: Vec<String> = [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "localhost",
    ]
    .map(str::to_owned)
    .to_vec();
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    names.extend(host.filter(|name| issue::is_dns_name(name)));
    names
}

fn server_ips(config: &ClusterConfig) -> Vec<IpAddr> {
    let mut ips = vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    match config.network() {
        Some(network) => ips.extend([network.api_service(), network.gateway()].map(IpAddr::V4)),
        // What the service `kubernetes` has without a network.
        None => ips.push(IpAddr::V4(Ipv4Addr::new(10, 96, 0, 1))),
    }
    ips
}

fn write_pair(files: &KeyFiles, (certificate, key): &(String, String)) -> Result<()> {
    // The key first: a crash between the two leaves a pair that does not fit, which the next start sees.
    write_atomic(&files.key, key.as_bytes(), 0o600)?;
    write_atomic(&files.certificate, certificate.as_bytes(), 0o644)
}

fn read_key(path: &Path) -> Result<KeyPair> {
    let text = fs::read_to_string(path).map_err(Error::file("read", path))?;
    parse_key(&text, path)
}

fn parse_key(text: &str, path: &Path) -> Result<KeyPair> {
    KeyPair::from_pem(text).map_err(issue::failed(format!("read {}", path.display())))
}

#[cfg(test)]
mod tests;
