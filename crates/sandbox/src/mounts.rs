//! The mount points of the calling thread's mount namespace.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

/// One line of `/proc/thread-self/mountinfo` (proc(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    pub(crate) point: PathBuf,
    pub(crate) fs_type: String,
    /// Options of the file system: for cgroup v1 these name the controllers.
    pub(crate) super_options: String,
}

/// Every mount, in the order in which they were made.
pub(crate) fn all() -> Vec<Mount> {
    let bytes = std::fs::read("/proc/thread-self/mountinfo").unwrap_or_default();
    bytes.split(|byte| *byte == b'\n').filter_map(parse).collect()
}

/// Only the mount points.
pub(crate) fn points() -> Vec<PathBuf> {
    all().into_iter().map(|mount| mount.point).collect()
}

fn parse(line: &[u8]) -> Option<Mount> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut fields = line.split(|byte| *byte == b' ');
    let point = unescape(fields.nth(4)?);
    // Optional fields end with a single hyphen.
    fields.find(|field| *field == b"-")?;
    let fs_type = text(fields.next()?);
    let super_options = text(fields.nth(1)?);
    Some(Mount { point, fs_type, super_options })
}

/// Space, tab, newline and backslash are written as three octal digits.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, tail)) = rest.split_first() {
        let octal = (*first == b'\\').then(|| tail.get(..3)).flatten();
        match octal.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_with_and_without_optional_fields() {
        let line = b"31 23 0:28 / /sys/fs/cgroup/a\\040b rw,relatime shared:1 master:2 - cgroup none rw,memory";
        let mount = parse(line).unwrap();
        assert_eq!(mount.point, PathBuf::from("/sys/fs/cgroup/a b"));
        assert_eq!((mount.fs_type.as_str(), mount.super_options.as_str()), ("cgroup", "rw,memory"));
        assert!(parse(b"41 31 0:38 / /u rw - cgroup2 cgroup2 rw").is_some());
        assert!(parse(b"").is_none());
        assert!(all().iter().any(|mount| mount.point == *"/"));
    }
}
