//! The rules, by area. A rule is a folder with `mod.rs` (a `RULE`) and `page.md`, and one line in its area's list.

/// Declares the rules of an area: a module for each, and the list of them.
macro_rules! rules {
    ($($(#[$attribute:meta])* $name:ident),* $(,)?) => {
        $($(#[$attribute])* pub(in crate::rules) mod $name;)*
        /// The rules of this area.
        pub static RULES: &[crate::rule::Rule] = &[$($name::RULE),*];
    };
}

pub mod images;
pub mod kubeadm;
pub mod kubeconfig;
pub mod manifests;
pub mod postgres;
pub mod preflight;
pub mod runtime;
pub mod upgrade;
pub mod workloads;

use crate::rule::Rule;

/// All rules.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    [
        images::RULES,
        runtime::RULES,
        kubeadm::RULES,
        kubeconfig::RULES,
        manifests::RULES,
        workloads::RULES,
        postgres::RULES,
        upgrade::RULES,
        preflight::RULES,
    ]
    .into_iter()
    .flatten()
}

/// The rule with this code (`SM0101`) or key (`endpoint-surrounding-whitespace`).
pub fn find(code_or_key: &str) -> Option<&'static Rule> {
    all().find(|rule| rule.code.eq_ignore_ascii_case(code_or_key) || rule.key == code_or_key)
}
