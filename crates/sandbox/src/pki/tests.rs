//! The certificates as a TLS library sees them, and when they are made anew.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::config::{Nodes, number_nodes};
use crate::layout::Home;
use crate::network::NetworkConfig;

fn config() -> ClusterConfig {
    let network = NetworkConfig::new("10.213.0.0/24".parse().unwrap(), "10.244.0.0/16".parse().unwrap());
    let nodes = Nodes::Real { nodes: number_nodes(2).unwrap(), network };
    ClusterConfig::new("test".parse().unwrap(), nodes, 6443)
}

struct Fixture {
    _dir: tempfile::TempDir,
    pki: Pki,
    config: ClusterConfig,
}

fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let config = config();
    let pki = Pki::of(&Home::at(dir.path()).cluster(&config.name));
    Fixture { _dir: dir, pki, config }
}

fn files(pki: &Pki) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(&pki.dir)
        .unwrap()
        .map(|item| {
            let path = item.unwrap().path();
            (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

fn today() -> Date {
    jiff::Zoned::now().date()
}

#[test]
fn openssl_accepts_every_certificate_for_its_purpose() {
    let Fixture { pki, config, _dir } = fixture();
    assert!(pki.ensure(&config).unwrap());
    let ca = pki.ca().certificate;
    for (leaf, profile) in pki.leaves(&config) {
        let server = leaf.certificate.to_string_lossy().contains("serving") || leaf == pki.apiserver();
        let purpose = if server { "sslserver" } else { "sslclient" };
        let output = std::process::Command::new("openssl")
            .args(["verify", "-x509_strict", "-purpose", purpose, "-CAfile"])
            .args([&ca, &leaf.certificate])
            .output()
            .unwrap();
        assert!(output.status.success(), "{profile:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_handshake_works_for_the_names_of_the_server_and_no_other() {
    let Fixture { pki, config, _dir } = fixture();
    pki.ensure(&config).unwrap();
    for name in ["localhost", "127.0.0.1", "::1", "10.96.0.1", "10.213.0.1", "kubernetes.default.svc"] {
        assert!(handshake(&pki, &pki.apiserver(), &pki.admin(), name).is_ok(), "{name}");
    }
    assert!(handshake(&pki, &pki.apiserver(), &pki.admin(), "example.com").is_err());
    let node = &config.real_nodes()[1];
    for name in ["node-2", "10.213.0.12"] {
        assert!(handshake(&pki, &pki.node_serving(node), &pki.apiserver_kubelet_client(), name).is_ok(), "{name}");
    }
    // A client certificate cannot serve.
    assert!(handshake(&pki, &pki.admin(), &pki.admin(), "localhost").is_err());
}

#[test]
fn what_is_still_good_stays_and_what_is_not_is_made_anew() {
    let Fixture { pki, mut config, _dir } = fixture();
    pki.ensure(&config).unwrap();
    let first = files(&pki);
    assert!(!pki.ensure(&config).unwrap());
    assert_eq!(files(&pki), first);

    let changed = |before: &[(String, Vec<u8>)]| -> Vec<String> {
        files(&pki).into_iter().filter(|file| !before.contains(file)).map(|(name, _)| name).collect()
    };
    fs::write(pki.node_client(&config.real_nodes()[0]).key, "damaged").unwrap();
    pki.ensure(&config).unwrap();
    assert_eq!(changed(&first), ["node-node-1-client.crt", "node-node-1-client.key"]);

    let second = files(&pki);
    if let Nodes::Real { network, .. } = &mut config.nodes {
        network.node_cidr = "10.213.9.0/24".parse().unwrap();
    }
    pki.ensure(&config).unwrap();
    assert_eq!(changed(&second).iter().filter(|name| name.ends_with(".crt")).count(), 3);

    let third = files(&pki);
    let soon = today().checked_add(jiff::ToSpan::days(LEAF_DAYS - RENEW_DAYS + 1)).unwrap();
    assert!(pki.ensure_at(&config, soon).unwrap());
    let names = changed(&third);
    assert!(!names.iter().any(|name| name.starts_with("ca.") || name == "sa.key"), "{names:?}");
    assert_eq!(names.iter().filter(|name| name.ends_with(".crt")).count(), 7);

    let fourth = files(&pki);
    fs::remove_file(pki.ca().key).unwrap();
    assert!(pki.ensure_at(&config, soon).unwrap());
    assert_eq!(changed(&fourth).iter().filter(|name| name.ends_with(".crt")).count(), 8);
}

#[test]
fn keys_are_for_the_owner_alone() {
    let Fixture { pki, config, _dir } = fixture();
    pki.ensure(&config).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&pki.dir), 0o700);
    for (name, _) in files(&pki).iter().filter(|(name, _)| name.ends_with(".key")) {
        assert_eq!(mode(&pki.dir.join(name)), 0o600, "{name}");
    }
    assert_eq!(pki.service_account_key_der().unwrap()[0], 0x30);
}

/// A TLS handshake in memory, with a client certificate.
fn handshake(pki: &Pki, server: &KeyFiles, client: &KeyFiles, name: &str) -> Result<(), rustls::Error> {
    use std::sync::Arc;

    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};

    let load = |files: &KeyFiles| {
        let certificate = CertificateDer::from_pem_file(&files.certificate).unwrap();
        (vec![certificate], PrivateKeyDer::from_pem_file(&files.key).unwrap())
    };
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(pki.ca().certificate).unwrap()).unwrap();
    let roots = Arc::new(roots);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        rustls::server::WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone()).build().unwrap();
    let (chain, key) = load(server);
    let server = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)?;
    let (chain, key) = load(client);
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = rustls::ClientConnection::new(Arc::new(client), name)?;
    let mut server = rustls::ServerConnection::new(Arc::new(server))?;
    while client.is_handshaking() || server.is_handshaking() {
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        let mut input = bytes.as_slice();
        while !input.is_empty() {
            server.read_tls(&mut input).unwrap();
        }
        server.process_new_packets()?;
        let mut bytes = Vec::new();
        server.write_tls(&mut bytes).unwrap();
        let mut input = bytes.as_slice();
        while !input.is_empty() {
            client.read_tls(&mut input).unwrap();
        }
        client.process_new_packets()?;
    }
    Ok(())
}
