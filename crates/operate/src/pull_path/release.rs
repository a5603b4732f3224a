//! What differs between releases of containerd, as far as it decides about a pull.
//!
//! Each difference was seen with 1.6.20, 1.7.24, 2.1.9, 2.2.9 and 2.4.2; `tests/nodes/pull_path.rs` runs against any of them.

/// A release, by the first two numbers of its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Release(u32, u32);

impl Release {
    /// Reads `v1.7.24`, `2.1.9~ds1` and the like; a version that nobody knows is taken as 1.6.
    pub(super) fn of(version: &str) -> Self {
        let mut numbers = version.trim_start_matches('v').split('.').map(|text| {
            let digits = text.find(|one: char| !one.is_ascii_digit()).unwrap_or(text.len());
            text[..digits].parse::<u32>().ok()
        });
        match (numbers.next().flatten(), numbers.next().flatten()) {
            (Some(major), minor) => Self(major, minor.unwrap_or(0)),
            _ => Self(1, 6),
        }
    }

    /// 1.6 looks for a relative pattern of `imports` from where it was started, later ones from the file on.
    pub(super) fn globs_from_file(self) -> bool {
        self >= Self(1, 7)
    }

    /// 2.x merges tables of several files; 1.x replaces a plugin's table by that of a later file.
    pub(super) fn merges_tables(self) -> bool {
        self.0 >= 2
    }

    /// From 2.3 on each file is brought to the newest form by itself; before, all of them together after merging.
    pub(super) fn migrates_each_file(self) -> bool {
        self >= Self(2, 3)
    }

    /// The newest configuration version with which it starts. 1.6 looks at no upper end.
    pub(super) fn newest_config(self) -> i64 {
        match self {
            Self(0..=1, ..=6) => i64::MAX,
            Self(0..=1, _) => 2,
            Self(2, ..=2) => 3,
            _ => 4,
        }
    }

    /// 1.x wants a `host` table in `hosts.toml`, also where `server` alone would say enough.
    pub(super) fn wants_host_table(self) -> bool {
        self.0 < 2
    }

    /// From 1.7 on a host by http that has settings for TLS is asked by https first.
    pub(super) fn tries_https_first(self) -> bool {
        self >= Self(1, 7)
    }

    /// From 2.1 on pulls go through the transfer service, unless a setting is there that it does not know. It looks for a
    /// `config_path` of several directories as if that were one directory.
    pub(super) fn pulls_by_transfer(self) -> bool {
        self >= Self(2, 1)
    }

    /// Where it looks when nothing is set.
    pub(super) fn default_config_path(self) -> Option<&'static str> {
        (self >= Self(2, 2)).then_some("/etc/containerd/certs.d:/etc/docker/certs.d")
    }

    /// 2.x reads `registry.configs.*.auth` and leaves `registry.configs.*.tls` aside.
    pub(super) fn reads_tls_of_configs(self) -> bool {
        self.0 < 2
    }

    /// Whether a capability of `hosts.toml` is known, whatever it is good for.
    pub(super) fn knows_capability(self, capability: &str) -> bool {
        matches!(capability, "pull" | "resolve" | "push") || (capability == "referrers" && self >= Self(2, 2))
    }
}

#[cfg(test)]
mod tests {
    use super::Release;

    #[test]
    fn versions_are_read_as_they_are_told() {
        for (text, release) in [
            ("v1.7.24", Release(1, 7)),
            ("1.6.20~ds1", Release(1, 6)),
            ("2.1.9+unknown", Release(2, 1)),
            ("2", Release(2, 0)),
            ("", Release(1, 6)),
            ("2.3-rc", Release(2, 3)),
        ] {
            assert_eq!(Release::of(text), release, "{text}");
        }
        assert_eq!(Release::of("1.7").newest_config(), 2);
        assert_eq!(Release::of("3.0").newest_config(), 4);
    }
}
