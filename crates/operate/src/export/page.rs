//! A comparison as a page for a browser: one file, without scripts and without anything from elsewhere. Pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use doctor::text::is_invisible;
use serde_json::Value;

use super::compare::{Changed, Comparison, Difference};
use super::files::Key;
use super::index::Failed;
use super::place::CLUSTER;

/// Dark where the reader's system is dark; black on white on paper.
const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8884;--old:#c0392b;--new:#1e8449}\
@media(prefers-color-scheme:dark){:root{--old:#ff8a80;--new:#7bd88f}}\
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem}\
h1{font-size:1.4rem}h2{font-size:1.1rem;border-bottom:1px solid var(--line);margin-top:2rem}h3{font-size:1rem;margin:1rem 0 .3rem}\
table{border-collapse:collapse;width:100%;table-layout:fixed}\
th,td{border:1px solid var(--line);padding:.25rem .5rem;text-align:left;vertical-align:top;overflow-wrap:anywhere}\
th{font-weight:600}td,code{font-family:ui-monospace,monospace;font-size:13px;white-space:pre-wrap}\
.old{color:var(--old)}.new{color:var(--new)}.by{font-family:inherit}\
ul{padding-left:1.2rem}.sum span{margin-right:1.5rem}\
@media print{:root{color-scheme:light;--old:#c0392b;--new:#1e8449}body{max-width:none;margin:0;color:#000;background:#fff}h3,tr{break-inside:avoid}}";

/// What a page is about.
pub struct About<'a> {
    /// The directory.
    pub files: &'a str,
    /// The cluster's address or name.
    pub cluster: &'a str,
    /// When it was compared.
    pub time: &'a str,
}

#[derive(Default)]
struct Part<'a> {
    missing: Vec<&'a Key>,
    added: Vec<&'a Key>,
    changed: Vec<&'a Changed>,
}

/// The page.
pub fn page(comparison: &Comparison, unchecked: &[Failed], about: &About<'_>) -> String {
    let mut parts: BTreeMap<&str, Part<'_>> = BTreeMap::new();
    fn space(key: &Key) -> &str {
        key.namespace.as_deref().unwrap_or(CLUSTER)
    }
    for key in &comparison.missing {
        parts.entry(space(key)).or_default().missing.push(key);
    }
    for key in &comparison.added {
        parts.entry(space(key)).or_default().added.push(key);
    }
    for changed in &comparison.changed {
        parts.entry(space(&changed.key)).or_default().changed.push(changed);
    }
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <title>Drift of {cluster}</title><style>{STYLE}</style></head><body>\n\
         <h1>{cluster} against {files}</h1>\n<p>{time}</p>\n\
         <p class=\"sum\"><span>{} changed</span><span>{} only in the files</span><span>{} only in the cluster</span></p>\n",
        comparison.changed.len(),
        comparison.missing.len(),
        comparison.added.len(),
        cluster = escaped(about.cluster),
        files = escaped(about.files),
        time = escaped(about.time),
    );
    if comparison.is_empty() {
        html.push_str("<p>The cluster is as the files say.</p>\n");
    }
    for (namespace, part) in &parts {
        let title = if *namespace == CLUSTER { "cluster-wide" } else { namespace };
        html.push_str(&format!("<h2>{}</h2>\n", escaped(title)));
        list(&mut html, "Only in the files", &part.missing);
        list(&mut html, "Only in the cluster", &part.added);
        part.changed.iter().for_each(|changed| table(&mut html, changed));
    }
    if !unchecked.is_empty() {
        html.push_str("<h2>Not checked</h2>\n<ul>\n");
        for failed in unchecked {
            html.push_str(&format!("<li><code>{}</code>: {}</li>\n", escaped(&failed.what), escaped(&failed.why)));
        }
        html.push_str("</ul>\n");
    }
    html.push_str("</body></html>\n");
    html
}

fn list(html: &mut String, title: &str, keys: &[&Key]) {
    if keys.is_empty() {
        return;
    }
    html.push_str(&format!("<h3>{title}</h3>\n<ul>\n"));
    for key in keys {
        html.push_str(&format!("<li><code>{}</code></li>\n", escaped(&short(key))));
    }
    html.push_str("</ul>\n");
}

fn table(html: &mut String, changed: &Changed) {
    html.push_str(&format!(
        "<h3><code>{}</code></h3>\n<table>\n<tr><th>field</th><th>file</th><th>cluster</th><th>set by</th></tr>\n",
        escaped(&short(&changed.key))
    ));
    for Difference { path, file, cluster, by } in &changed.differences {
        let by = by.as_ref().map(|by| format!("{}, {}", by.name, by.time)).unwrap_or_default();
        writeln!(
            html,
            "<tr><td>{}</td><td class=\"old\">{}</td><td class=\"new\">{}</td><td class=\"by\">{}</td></tr>",
            escaped(&path.to_string()),
            escaped(&shown(file.as_ref())),
            escaped(&shown(cluster.as_ref())),
            escaped(&by)
        )
        .expect("a string takes everything");
    }
    html.push_str("</table>\n");
}

/// Kind and name: the namespace is the title above.
fn short(key: &Key) -> String {
    let full = key.to_string();
    full.split_once('/').map_or(full.clone(), |(_, rest)| rest.to_owned())
}

fn shown(value: Option<&Value>) -> String {
    match value {
        None => "(none)".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => format!("{value:#}"),
    }
}

/// Text as a part of a page; what a browser could not show is made visible.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\n' | '\t' => safe.push(letter),
            letter if is_invisible(letter) => safe.push_str(&letter.escape_unicode().to_string()),
            letter => safe.push(letter),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::export::compare::{Live, compare};

    #[test]
    fn nothing_of_an_object_becomes_markup() {
        let evil = "</td><script>alert('x')</script>\u{202e}\u{7}";
        let file = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "s"},
            "data": {evil: "1", "k": "old"}});
        let mut live = file.clone();
        live["data"] = json!({"k": evil});
        let key = Key::of(&file);
        let files = BTreeMap::from([(key.clone(), &file)]);
        let cluster = BTreeMap::from([(key, Live { value: live, short: None, managed: Value::Null })]);
        let failed = Failed { what: evil.to_owned(), why: evil.to_owned(), ..Failed::default() };
        let about = About { files: evil, cluster: evil, time: evil };
        let html = page(&compare(&files, &cluster), &[failed], &about);
        assert!(!html.contains("<script") && !html.contains('\u{202e}') && !html.contains('\u{7}'), "{html}");
        assert!(
            html.contains("&lt;script&gt;") && html.contains("<h2>s</h2>") && html.contains("configmap/a"),
            "{html}"
        );
    }

    #[test]
    fn no_drift_is_said() {
        let about = About { files: "dir", cluster: "c", time: "now" };
        assert!(page(&Comparison::default(), &[], &about).contains("The cluster is as the files say."));
    }
}
