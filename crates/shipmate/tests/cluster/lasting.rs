//! Exports that last: secrets encrypted to people, Helm's memory, commits, and what a full disk and a kill leave.

use std::fs;
use std::path::Path;
use std::process::Command;

use age::secrecy::ExposeSecret as _;
use serde_json::Value;

use crate::export::{ENCODED, Files, SECRET, dir, file, files};
use crate::helm::{chart, helm};
use crate::support::{Answer, Cluster, Running, SHIPMATE, has, lacks, words};

/// Values are encrypted: the same stay the same, what differs is told without an identity, and with one they come back.
#[test]
fn secrets_are_encrypted_to_people() {
    let cluster = Cluster::simulated("age", 1);
    cluster.kubectl("create namespace shop");
    cluster
        .kubectl(&format!("create secret generic quiet -n shop --from-literal=password={SECRET} --from-literal=a=b"));
    // A pair of keys that nobody else has.
    let (identity, recipient) = pair(&cluster, "one");
    let (_, other) = pair(&cluster, "two");
    let options = format!("--secrets age:{recipient}");
    let chart = chart(&cluster);
    helm(&cluster, &format!("install site {chart} --server-side=false --wait --timeout 60s")).ok();
    let mut written = Said::default();
    let export = dir(&cluster);
    let export = export.display();
    let first = written.hears(cluster.shipmate(&format!("export {export} {options}")), 0, &cluster);
    let again = written.hears(cluster.shipmate(&format!("export {export} {options}")), 0, &cluster);
    assert!(first == again, "an unchanged cluster gives the same bytes");
    has(file(&first, "shop/secret/quiet.yaml"), "password: age:");
    has(&written.hear(cluster.shipmate(&format!("restore {export} --yes"))).fails(1), "--identity FILE");
    written.hear(cluster.shipmate(&format!("diff {export}"))).ok();
    // Elsewhere nobody knows the key of the digests.
    let elsewhere = |line: &str| {
        let mut command = cluster.command(SHIPMATE);
        command.args(words(line)).env("XDG_STATE_HOME", cluster.dir().join("elsewhere"));
        Running::start(command).finish()
    };
    has(&written.hear(elsewhere(&format!("diff {export}"))).fails(2), "2 secrets are encrypted, and not compared");
    assert_eq!(written.hear(elsewhere(&format!("diff {export} --identity {identity}"))).ok(), "");
    let same = written.hears(elsewhere(&format!("export {export} {options} --identity {identity}")), 0, &cluster);
    assert!(first == same, "an identity opens the key of the digests");
    cluster.kubectl(&format!("patch secret quiet -n shop --type merge -p '{{\"data\":{{\"a\":\"{ENCODED}\"}}}}'"));
    let drift = written.hear(cluster.shipmate(&format!("diff {export}")));
    assert_eq!(drift.code, 1, "{drift}");
    has(&drift.out, "data.a: \"(secret)\" -> \"(secret)\"");
    lacks(&drift.out, "data.password");
    cluster.kubectl("delete secret quiet -n shop");
    let restore = format!("restore {export} --yes --identity {identity}");
    written.hear(cluster.shipmate(&restore)).ok();
    assert_eq!(cluster.field("-n shop secret/quiet", ".data.password"), ENCODED);
    has(&written.hear(cluster.shipmate(&restore)).fails(0), "0 to create, 0 to change");
    assert!(written.hears(cluster.shipmate(&format!("export {export} {options}")), 0, &cluster) == first);
    a_release_comes_back(&cluster, &first, &restore);
    tampered_or_for_others(&cluster, &mut written, &restore);
    let both = format!("export {export} {options} --secrets age:{other}");
    let answer = written.hear(cluster.shipmate(&both));
    has(&answer.err, "all secrets are encrypted anew: the recipients are others");
    written.hears(cluster.shipmate(&both), 0, &cluster);
    for line in ["export omitted", "diff omitted", "restore omitted --yes", "export raw --raw", "diff raw"] {
        written.hear(cluster.shipmate(line));
    }
    written.hear(cluster.shipmate("doctor --save bundle"));
    written.holds_nothing(&cluster);
}

fn tampered_or_for_others(cluster: &Cluster, written: &mut Said, restore: &str) {
    let (other, _) = pair(cluster, "three");
    let export = dir(cluster);
    let with_other = format!("restore {} --yes --identity {other}", export.display());
    has(&written.hear(cluster.shipmate(&with_other)).fails(1), "name another with --identity FILE");
    let path = export.join("shop/secret/quiet.yaml");
    let whole = fs::read_to_string(&path).unwrap();
    fs::write(&path, whole.replace("password: age:", "password: age:x")).unwrap();
    has(&written.hear(cluster.shipmate(restore)).fails(1), "data.password was changed since it was encrypted");
    has(&written.hear(cluster.shipmate(&format!("diff {}", export.display()))).fails(2), "was changed since");
    fs::write(&path, whole).unwrap();
}

/// A file with an identity, and its recipient.
fn pair(cluster: &Cluster, name: &str) -> (String, String) {
    let identity = age::x25519::Identity::generate();
    let recipient = identity.to_public().to_string();
    let text = format!("# public key: {recipient}\n{}\n", identity.to_string().expose_secret());
    (cluster.write(name, text), recipient)
}

/// Everything that was printed.
#[derive(Default)]
struct Said(String);

impl Said {
    fn hear(&mut self, answer: Answer) -> Answer {
        self.0 += &format!("{}{}", answer.out, answer.err);
        answer
    }

    /// The files of an export.
    #[track_caller]
    fn hears(&mut self, answer: Answer, code: i32, cluster: &Cluster) -> Files {
        let answer = self.hear(answer);
        assert_eq!(answer.code, code, "{answer}");
        files(&dir(cluster))
    }

    /// Neither in what was printed nor in any file below the place, but for those of the cluster itself.
    fn holds_nothing(&self, cluster: &Cluster) {
        let mut left = vec![cluster.dir().to_owned()];
        let mut texts = vec![("what was printed".to_owned(), self.0.clone().into_bytes())];
        while let Some(folder) = left.pop() {
            for entry in fs::read_dir(folder).unwrap().flatten() {
                match entry.file_type().unwrap() {
                    kind if kind.is_dir() && entry.path() != cluster.home() => left.push(entry.path()),
                    kind if kind.is_file() => {
                        texts.push((entry.path().display().to_string(), fs::read(entry.path()).unwrap()));
                    }
                    _ => {}
                }
            }
        }
        for looked_at in ["receipts", "export-keys", "omitted/shop/secret", "raw/shop/secret", "/bundle"] {
            assert!(texts.iter().any(|(name, _)| name.contains(looked_at)), "{looked_at} is looked at, too");
        }
        for (name, text) in texts {
            for planted in [SECRET, ENCODED] {
                let found = text.windows(planted.len()).any(|part| part == planted.as_bytes());
                assert!(!found, "a secret's value is in {name}");
            }
        }
    }
}

/// What Helm made and what it remembers are in the files: a release that is gone comes back as one.
fn a_release_comes_back(cluster: &Cluster, before: &Files, restore: &str) {
    let index: Value = serde_json::from_str(file(before, "_export.json")).unwrap();
    let release = &index["helm"]["default/site"];
    assert_eq!(
        (&release["chart"], &release["version"], &release["status"]),
        (&"site".into(), &"0.1.0".into(), &"deployed".into())
    );
    has(&release["objects"].to_string(), "default/deployment/site");
    cluster.kubectl("delete deployment,cm,secret --all -n default");
    lacks(&helm(cluster, "list").ok(), "site");
    cluster.shipmate(restore).ok();
    has(&helm(cluster, "list").ok(), "deployed");
    cluster.kubectl("rollout status deployment/site --timeout=60s");
    has(
        &helm(cluster, "upgrade site site --set colour=red --server-side=false --wait --timeout 60s").ok(),
        "REVISION: 2",
    );
    helm(cluster, "rollback site 1 --server-side=false --wait --timeout 60s").ok();
    cluster.kubectl("delete secret sh.helm.release.v1.site.v2 sh.helm.release.v1.site.v3");
    cluster.shipmate(restore).ok();
    for (path, text) in before {
        assert_eq!(files(&dir(cluster)).get(path), Some(text), "{}", path.display());
    }
}

#[test]
fn what_changed_is_committed_and_what_fails_changes_nothing() {
    let cluster = Cluster::simulated("git", 1);
    cluster.kubectl("create namespace shop");
    cluster.kubectl("create configmap settings -n shop --from-literal=a=b");
    cluster.kubectl("create deployment web -n shop --image=shipmate.local/web:1.0 --replicas=4");
    cluster.kubectl("rollout status -n shop deployment/web --timeout=60s");
    let export = format!("export {} -n shop", dir(&cluster).display());
    has(&cluster.shipmate(&format!("{export} --git --secrets plain")).fails(1), "say --secrets plain twice");
    assert!(!dir(&cluster).exists());
    has(&cluster.shipmate(&format!("{export} --git")).fails(0), "committed");
    has(&cluster.shipmate(&format!("{export} --git")).fails(0), "nothing changed");
    let web = file(&files(&dir(&cluster)), "shop/deployment/web.yaml").to_owned();
    has(&web, "replicas: 4");
    lacks(&web, "terminationGracePeriodSeconds");
    cluster.kubectl("scale -n shop deployment/web --replicas=2");
    cluster.kubectl("delete configmap settings -n shop");
    cluster.kubectl("create configmap others -n shop --from-literal=a=b");
    fs::write(dir(&cluster).join("notes.txt"), "mine").unwrap();
    has(&cluster.shipmate(&format!("{export} --git")).fails(0), "1 changed, 1 added, 1 removed");
    let git = |line: &[&str]| {
        let output = Command::new("git").arg("-C").arg(dir(&cluster)).args(line).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    has(
        &git(&["log", "-1", "--format=%B"]),
        "~ shop/deployment/web\n+ shop/configmap/others\n- shop/configmap/settings",
    );
    assert_eq!(git(&["status", "--porcelain"]), "?? notes.txt\n");
    without_git(&cluster, &export);
    a_kill_leaves_what_the_next_one_removes(&cluster, &export);
    a_full_disk(&cluster);
}

fn without_git(cluster: &Cluster, export: &str) {
    let mut command = cluster.command(SHIPMATE);
    command.args(words(&format!("{export} --git"))).env("PATH", cluster.dir());
    has(&Running::start(command).finish().fails(1), "needs the program git");
}

/// As a killed export left it.
fn a_kill_leaves_what_the_next_one_removes(cluster: &Cluster, export: &str) {
    let name = ".shipmate-export-killed";
    cluster.write(&format!("{name}/shop/configmap/a.yaml"), "a: 1\n");
    cluster.write(&format!("{name}/.shipmate-unfinished"), format!("export\n{name}\n"));
    cluster.shipmate(export).ok();
    assert!(!cluster.dir().join(name).exists());
    assert_eq!(fs::read_to_string(dir(cluster).join("notes.txt")).unwrap(), "mine");
}

/// The old export stays whole where a new one has no room.
fn a_full_disk(cluster: &Cluster) {
    let small = Small::at(&cluster.dir().join("small"));
    let line = format!("export {}/export", small.0.display());
    cluster.shipmate(&format!("{line} -n shop --kinds cm")).ok();
    let before = files(&small.0);
    let filler = fs::File::create(small.0.join("filler")).unwrap();
    let block = [0; 4096];
    while std::io::Write::write_all(&mut &filler, &block).is_ok() {}
    let error = cluster.shipmate(&line).fails(1);
    has(&error, "No space left on device");
    has(&error, "is as it was");
    fs::remove_file(small.0.join("filler")).unwrap();
    assert!(before == files(&small.0), "nothing is lost, and nothing is left");
}

/// A file system with little room, as long as it is held.
struct Small(std::path::PathBuf);

impl Small {
    fn at(path: &Path) -> Self {
        fs::create_dir(path).unwrap();
        let options = Some("size=256k");
        nix::mount::mount(Some("none"), path, Some("tmpfs"), nix::mount::MsFlags::empty(), options).unwrap();
        Self(path.to_owned())
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = nix::mount::umount2(&self.0, nix::mount::MntFlags::MNT_DETACH);
    }
}
