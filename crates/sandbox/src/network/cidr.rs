//! IPv4 networks: parsing, printing, overlap.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A network such as `10.244.0.0/16`. Invariant: its host bits are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr {
    base: Ipv4Addr,
    prefix: u8,
}

impl Cidr {
    /// A network that is written into the program; its host bits must be zero.
    pub(super) const fn const_new(base: [u8; 4], prefix: u8) -> Self {
        Self { base: Ipv4Addr::new(base[0], base[1], base[2], base[3]), prefix }
    }

    /// The network of `prefix` bits that contains an address.
    #[must_use]
    pub fn containing(address: Ipv4Addr, prefix: u8) -> Self {
        let prefix = prefix.min(32);
        Self { base: Ipv4Addr::from_bits(address.to_bits() & mask(prefix)), prefix }
    }

    /// First address.
    #[must_use]
    pub fn base(self) -> Ipv4Addr {
        self.base
    }

    /// Number of network bits.
    #[must_use]
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// The address `offset` places after the first one.
    #[must_use]
    pub fn host(self, offset: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.base.to_bits().wrapping_add(offset))
    }

    /// The `index`-th network of `prefix` bits inside this one.
    #[must_use]
    pub fn subnet(self, prefix: u8, index: u32) -> Self {
        let size = 1_u32.checked_shl(u32::from(32 - prefix.min(32))).unwrap_or(0);
        Self::containing(self.host(index.wrapping_mul(size)), prefix)
    }

    /// Whether the two have an address in common.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        let mask = mask(self.prefix.min(other.prefix));
        self.base.to_bits() & mask == other.base.to_bits() & mask
    }
}

fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(u32::from(32 - prefix)).unwrap_or(0)
}

impl FromStr for Cidr {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parsed = text.split_once('/').and_then(|(address, prefix)| {
            let cidr = Self { base: address.parse().ok()?, prefix: prefix.parse().ok()? };
            (cidr.prefix <= 32 && Self::containing(cidr.base, cidr.prefix) == cidr).then_some(cidr)
        });
        parsed.ok_or_else(|| Error::refused(format!("{text:?} is not an IPv4 network such as 10.244.0.0/16")))
    }
}

impl TryFrom<String> for Cidr {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Cidr> for String {
    fn from(cidr: Cidr) -> Self {
        cidr.to_string()
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_value_agree() {
        for text in ["0.0.0.0/0", "10.0.0.0/8", "10.244.3.0/24", "1.2.3.4/32"] {
            assert_eq!(text.parse::<Cidr>().unwrap().to_string(), text);
        }
        for text in ["", "10.0.0.0", "10.0.0.1/8", "10.0.0.0/33", "a/8", "10.0.0.0/-1"] {
            assert!(text.parse::<Cidr>().is_err(), "{text}");
        }
    }

    #[test]
    fn networks_overlap_when_one_contains_the_other() {
        let cidr = |text: &str| text.parse::<Cidr>().unwrap();
        for (a, b, overlap) in [
            ("10.0.0.0/8", "10.244.0.0/16", true),
            ("10.244.0.0/16", "10.245.0.0/16", false),
            ("0.0.0.0/0", "1.2.3.4/32", true),
            ("10.96.0.0/12", "10.111.255.0/24", true),
            ("10.96.0.0/12", "10.112.0.0/24", false),
        ] {
            assert_eq!(cidr(a).overlaps(cidr(b)), overlap, "{a} {b}");
            assert_eq!(cidr(b).overlaps(cidr(a)), overlap, "{b} {a}");
        }
        assert_eq!(cidr("10.244.0.0/16").subnet(24, 7), cidr("10.244.7.0/24"));
    }
}
