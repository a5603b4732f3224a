//! Whatever the bytes are, nothing panics, nothing hangs, and what is shown fits the terminal.
//!
//! Texts are made from the examples of the rules' pages, changed at random places; the seeds are fixed, so a failure can
//! be repeated.

use std::time::{Duration, Instant};

use shipmate_doctor::render::{self, Look};
use shipmate_doctor::{Evidence, Item, ItemKind, Origin, examine, page, paste, redact, rules};

const KINDS: [ItemKind; 19] = [
    ItemKind::Objects,
    ItemKind::PodEvents,
    ItemKind::PodStatus,
    ItemKind::Pods,
    ItemKind::KubectlOutput,
    ItemKind::KubeadmOutput,
    ItemKind::CrictlOutput,
    ItemKind::CtrOutput,
    ItemKind::KubeletLog,
    ItemKind::ContainerdLog,
    ItemKind::ContainerdConfig,
    ItemKind::HostsToml,
    ItemKind::Kubeconfig,
    ItemKind::Manifest,
    ItemKind::PgActivity,
    ItemKind::Conntrack,
    ItemKind::NodeFacts,
    ItemKind::Text,
    ItemKind::Unavailable,
];

/// What a text of some kilobytes may take, in a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A generator of numbers (xorshift), for repeatable chance.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }

    fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

/// Pieces that readers stumble over.
const PIECES: [&str; 34] = [
    "\"",
    "'",
    "\\",
    "\u{200b}",
    "\u{feff}",
    "\t",
    "\r\n",
    "\n",
    "[",
    "]",
    "{",
    "}",
    ": ",
    "- ",
    "&a ",
    "*a",
    "!!x ",
    "|\n",
    ">-\n",
    "---\n",
    "...\n",
    "#",
    "=",
    "\u{0}",
    "\u{1b}[31m",
    "ä",
    "字",
    "💥",
    "\\u00",
    "%",
    "9999999999999999999999",
    "-1",
    "null",
    "2024-13-45T99:99:99Z",
];

fn changed(text: &str, chance: &mut Chance) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..=chance.below(8) {
        let at = chance.below(bytes.len() + 1);
        match chance.below(6) {
            0 => drop(bytes.drain(at..(at + chance.below(40)).min(bytes.len()))),
            1 => drop(bytes.splice(at..at, chance.of(&PIECES).bytes())),
            2 => bytes.insert(at, chance.below(256) as u8),
            3 => bytes.truncate(at),
            4 => {
                let from = chance.below(bytes.len() + 1);
                let to = (from + chance.below(200)).min(bytes.len());
                let part = bytes[from..to].to_vec();
                drop(bytes.splice(at..at, part));
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << chance.below(8);
                }
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Goes the whole way that a text can go.
fn go(evidence: Evidence, width: usize) {
    let began = Instant::now();
    let evidence = redact::evidence(evidence);
    let report = examine(&evidence);
    let look = Look { colours: width.is_multiple_of(2), width };
    let text = render::text(&evidence, &report, look);
    let shown = text.replace("\u{1b}[", "");
    assert!(!shown.contains(['\u{1b}', '\u{0}', '\u{200b}', '\t', '\r']), "{shown:?}");
    render::json(&evidence, &report);
    render::sarif(&evidence, &report, "0");
    Evidence::from_json(&evidence.to_json()).expect("a bundle is read as it was written");
    assert!(began.elapsed() < PATIENCE, "{:?} for {:?}", began.elapsed(), evidence.items());
}

fn one(kind: ItemKind, text: &str) -> Evidence {
    Evidence::new(vec![Item { kind, origin: Origin("n1 /etc/a.toml".to_owned()), text: text.to_owned() }])
}

#[test]
fn changed_examples_cause_no_panic() {
    let mut chance = Chance(0x5eed_0001);
    let examples: Vec<Evidence> =
        rules::all().flat_map(|rule| page::examples(rule.page)).map(|(_, evidence)| evidence).collect();
    for round in 0..400 {
        let example = chance.of(&examples);
        let items: Vec<Item> = example
            .items()
            .iter()
            .map(|item| {
                let kind = if chance.below(4) == 0 { *chance.of(&KINDS) } else { item.kind };
                let origin =
                    if chance.below(8) == 0 { changed(&item.origin.0, &mut chance) } else { item.origin.0.clone() };
                Item { kind, origin: Origin(origin), text: changed(&item.text, &mut chance) }
            })
            .collect();
        go(Evidence::new(items), round % 200);
    }
}

#[test]
fn changed_pastes_and_bundles_cause_no_panic() {
    let mut chance = Chance(0x5eed_0002);
    let examples: Vec<Evidence> =
        rules::all().flat_map(|rule| page::examples(rule.page)).map(|(_, evidence)| evidence).collect();
    for round in 0..150 {
        let mut text = String::new();
        for item in chance.of(&examples).items() {
            text.push_str(&format!("root@{}:~# {}\n{}", "n1", item.origin.0, item.text));
        }
        let text = changed(&text, &mut chance);
        go(Evidence::new(paste::split(&text)), round % 200);
        let bytes: Vec<u8> = text.bytes().map(|byte| byte ^ (u8::from(chance.below(40) == 0) * 0x1b)).collect();
        if let Ok(text) = paste::decoded(bytes) {
            let text = paste::cleaned(&text);
            go(Evidence::new(paste::split(&paste::joined(&text).unwrap_or_default())), round % 200);
        }
        let bundle = changed(&chance.of(&examples).to_json(), &mut chance);
        if let Ok(evidence) = Evidence::from_json(&bundle) {
            go(evidence, 80);
        }
    }
}

#[test]
fn deep_and_long_texts_cause_no_overflow() {
    // A frame of a recursive parser takes more than 300 bytes in a debug build: so many overflow a test's stack of 2 MiB.
    let deep = 7_000;
    let texts = [
        "[".repeat(deep),
        "{\"a\":".repeat(deep),
        format!("{}1{}", "[".repeat(deep), "]".repeat(deep)),
        format!("a: {}", "[".repeat(deep)),
        format!("a: {}", "{b: ".repeat(deep)),
        (0..400).map(|level| format!("{}a:\n", " ".repeat(level))).collect(),
        "- ".repeat(deep),
        format!("a = {}", "[".repeat(deep)),
        format!("a = {}", "{b=".repeat(deep)),
        format!("a{} = 1", ".a".repeat(deep)),
        format!("[{}]", "a.".repeat(deep)),
        "x".repeat(30_000),
        "字\u{200b}".repeat(3_000),
        "a: &a [x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\nh: &h [*g,*g,*g,*g,*g,*g,*g,*g,*g]\ni: &i [*h,*h,*h,*h,*h,*h,*h,*h,*h]\n".to_owned(),
        "Warning  Failed  3s  kubelet  x\n".repeat(400),
        "\n".repeat(7_000),
    ];
    for text in &texts {
        for kind in KINDS {
            go(one(kind, text), 80);
        }
        go(Evidence::new(paste::split(text)), 80);
        drop(Evidence::from_json(text));
    }
}

#[test]
fn what_is_shown_fits_the_terminal() {
    for rule in rules::all() {
        for (_, evidence) in page::examples(rule.page) {
            let report = examine(&evidence);
            for width in [30, 40, 61, 80, 100, 133, 200] {
                let text = render::text(&evidence, &report, Look { colours: false, width });
                for line in text.lines() {
                    // Titles, places and steps are for copying: they are left to the terminal.
                    let laid_out = line.trim_start().starts_with(['|', '=', '>'])
                        || line.split_once(" | ").is_some_and(|(number, _)| number.trim().parse::<u32>().is_ok());
                    let columns = line.chars().count();
                    assert!(!laid_out || columns <= width, "{columns} of {width}, {}:\n{line}", rule.code);
                }
            }
        }
    }
}
