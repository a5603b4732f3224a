//! Hashes in names and labels: of a pod template (`pod-template-hash`), and in place of random name suffixes.
//!
//! Two templates are compared field by field and never by hash, so the hash only has to tell templates of one
//! owner apart, and may change between versions of Shipmate. Names come from hashes because a plan is a function
//! of its view: the same view makes the same names, a later view makes others.

use serde::Serialize;

/// Letters and digits without vowels and look-alikes, so that no hash spells a word.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// Length of the suffix of a generated name.
const SUFFIX_LEN: usize = 5;

/// Longest name that takes a suffix: names of pods become labels and host names of at most 63 bytes.
const BASE_MAX: usize = 63 - SUFFIX_LEN;

/// FNV-1a, 32 bits.
fn fnv32(parts: &[&[u8]]) -> u32 {
    let bytes = parts.iter().flat_map(|part| part.iter());
    bytes.fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// FNV-1a, 64 bits, with a final mix so that neighbouring seeds differ in every bit.
fn fnv64(parts: &[&[u8]]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.iter().chain(b"\xff"));
    let hash: u64 =
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53)
}

/// The hash of `content`, told apart by `collisions` from an equal hash of other content.
pub fn of<T: Serialize>(content: &T, collisions: Option<i32>) -> String {
    let json = serde_json::to_vec(content).expect("Kubernetes types serialise to JSON");
    let extra = collisions.map(i32::to_le_bytes);
    let hash = fnv32(&[&json, extra.as_ref().map_or(&[], |bytes| bytes.as_slice())]);
    hash.to_string().bytes().map(|digit| char::from(ALPHABET[usize::from(digit) % ALPHABET.len()])).collect()
}

/// A name that starts with `base` and ends with five characters made from `seed`.
pub fn name(base: &str, seed: &[&[u8]]) -> String {
    let mut rest = fnv64(seed);
    let mut name: String = base.chars().take(BASE_MAX).collect();
    for _ in 0..SUFFIX_LEN {
        let letter = usize::try_from(rest % 27).expect("a remainder of 27 fits");
        name.push(char::from(ALPHABET[letter]));
        rest /= 27;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_by_seed_and_fit_a_label() {
        assert_ne!(name("web-", &[b"a", b"1"]), name("web-", &[b"a", b"2"]));
        assert_ne!(name("web-", &[b"a", b"1"]), name("web-", &[b"a1", b""]));
        assert_eq!(name("web-", &[b"a"]), name("web-", &[b"a"]));
        assert_eq!(name(&"x".repeat(80), &[b"a"]).len(), 63);
    }

    #[test]
    fn collisions_change_the_hash() {
        assert_ne!(of(&"template", None), of(&"template", Some(1)));
        assert_eq!(of(&"template", None), of(&"template", None));
    }
}
