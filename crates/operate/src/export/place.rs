//! Where an object's file lies, whatever the object is called.

use std::path::PathBuf;

use sha2::{Digest as _, Sha256};

use super::Layout;
use super::kinds::folder;

/// The folder of what has no namespace. No namespace can have this name.
pub const CLUSTER: &str = "_cluster";

/// Bytes of a file name before `.yaml`, at most: file systems take 255.
const LONGEST: usize = 200;

/// The path of an object's file, relative to the export.
pub fn place(layout: Layout, group: &str, kind: &str, namespace: Option<&str>, name: &str) -> PathBuf {
    let space = namespace.map_or_else(|| CLUSTER.to_owned(), file_name);
    let folder = folder(group, kind);
    match layout {
        Layout::Tree => [space, folder, format!("{}.yaml", file_name(name))].iter().collect(),
        // No kind has `_` in it, so no two objects get the same file.
        Layout::Flat => [space, format!("{folder}_{}.yaml", file_name(name))].iter().collect(),
    }
}

/// A name as a file name that every file system can hold: lower-case letters, digits, `-`, `.` and `_` stay, everything
/// else is written as in URLs.
fn file_name(name: &str) -> String {
    let stem = name.split('.').next().unwrap_or_default();
    let taken = RESERVED.contains(&stem) || name.starts_with('.') || name.starts_with('_') || name.ends_with('.');
    let last = name.len().saturating_sub(1);
    let mut text = String::new();
    for (number, byte) in name.bytes().enumerate() {
        let escape = taken && (number == 0 || (number == last && byte == b'.'));
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' if !escape => text.push(char::from(byte)),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    if text.len() > LONGEST {
        let sum: String = Sha256::digest(name.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        text.truncate(LONGEST - 20);
        text = format!("{text}~{sum}");
    }
    text
}

/// Names that Windows keeps for devices.
const RESERVED: &[&str] = &[
    "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9", "lpt1", "lpt2",
    "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_lie_where_one_looks_for_them() {
        let path = |layout, namespace| place(layout, "apps", "Deployment", namespace, "web").display().to_string();
        assert_eq!(path(Layout::Tree, Some("shop")), "shop/deployment/web.yaml");
        assert_eq!(path(Layout::Tree, None), "_cluster/deployment/web.yaml");
        assert_eq!(path(Layout::Flat, Some("shop")), "shop/deployment_web.yaml");
    }

    #[test]
    fn names_that_are_no_file_names_become_some() {
        let cases = [
            ("web.v1", "web.v1"),
            ("system:node", "system%3Anode"),
            ("Admin", "%41dmin"),
            ("con", "%63on"),
            ("aux.log", "%61ux.log"),
            ("..", "%2E%2E"),
            (".git", "%2Egit"),
            ("a/b", "a%2Fb"),
            ("a%2Fb", "a%252%46b"),
            ("ä", "%C3%A4"),
        ];
        for (name, file) in cases {
            assert_eq!(file_name(name), file, "{name}");
        }
    }

    #[test]
    fn long_names_stay_apart() {
        let (a, b) = (format!("{}a", "x".repeat(252)), format!("{}b", "x".repeat(252)));
        assert_ne!(file_name(&a), file_name(&b));
        assert!(file_name(&"Ä".repeat(120)).len() <= LONGEST);
    }
}
