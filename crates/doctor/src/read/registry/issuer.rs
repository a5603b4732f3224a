//! Who signed the certificate that a host shows.

use std::sync::LazyLock;

use regex::Regex;

use crate::evidence::{Evidence, ItemKind};
use crate::read::{reference, same_node};

/// Who signed the certificate that a host shows, as `openssl` or `curl` tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// Number of the item.
    pub item: usize,
    /// Line in the item, from 1.
    pub line: u32,
    /// Its name as printed.
    pub name: String,
    /// Whether it is an authority that the internet trusts.
    pub public: bool,
    /// Whether its name is that of a gateway.
    pub gateway: bool,
}

static ISSUER: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^\s*\*?\s*(?:i:|[iI]ssuer\s*[=:])\s*/?(.+?)\s*$").ok());

const AUTHORITIES: [&str; 18] = [
    "Let's Encrypt",
    "ISRG",
    "DigiCert",
    "Amazon",
    "Google Trust",
    "GlobalSign",
    "Sectigo",
    "Microsoft",
    "Cloudflare",
    "Baltimore",
    "USERTrust",
    "Starfield",
    "Entrust",
    "GoDaddy",
    "COMODO",
    "GeoTrust",
    "Thawte",
    "RapidSSL",
];
const GATEWAYS: [&str; 16] = [
    "gateway",
    "proxy",
    "inspection",
    "intercept",
    "zscaler",
    "netskope",
    "fortinet",
    "fortigate",
    "palo alto",
    "blue coat",
    "bluecoat",
    "firewall",
    "umbrella",
    "forcepoint",
    "squid",
    "mitm",
];

/// The issuer of a host's certificate; of a node's `openssl` that names no host, the first.
pub fn issuer(evidence: &Evidence, node: &str, host: &str) -> Option<Issuer> {
    let name_only = reference::host(host);
    let told = evidence.items().iter().enumerate().filter(|(_, item)| {
        let kind = matches!(item.kind, ItemKind::NodeFacts | ItemKind::Text);
        kind && same_node(item.origin.node().unwrap_or_default(), node)
    });
    let mut found: Vec<(bool, Issuer)> = Vec::new();
    for (number, item) in told {
        let about = item.origin.0.contains(name_only) || item.text.contains(name_only);
        for (index, line) in item.text.lines().enumerate() {
            let Some(name) = ISSUER.as_ref().and_then(|form| form.captures(line)).map(|form| form[1].to_owned()) else {
                continue;
            };
            let lower = name.to_lowercase();
            let issuer = Issuer {
                item: number,
                line: u32::try_from(index + 1).unwrap_or(u32::MAX),
                public: AUTHORITIES.iter().any(|known| name.contains(known)),
                gateway: GATEWAYS.iter().any(|word| lower.contains(word)),
                name: common_name(&name).to_owned(),
            };
            found.push((about, issuer));
        }
    }
    let about = found.iter().position(|(about, _)| *about).or_else(|| (found.len() == 1).then_some(0))?;
    Some(found.swap_remove(about).1)
}

/// The common name of `O = x, CN = y`, or all of it.
fn common_name(name: &str) -> &str {
    let after = name.rsplit_once("CN = ").or_else(|| name.rsplit_once("CN=")).map_or(name, |(_, rest)| rest);
    after.split([',', '/']).next().unwrap_or(after).trim()
}
