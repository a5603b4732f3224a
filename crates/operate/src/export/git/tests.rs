//! Commits with the real git, in repositories of others.

use std::fs;

use super::*;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn dir(&self) -> PathBuf {
        self.0.path().join("work")
    }

    /// What git says in the place.
    fn git(&self, line: &[&str]) -> String {
        let output = std::process::Command::new("git")
            .arg("-C")
            .arg(self.dir())
            .args(["-c", "user.name=somebody", "-c", "user.email=somebody@example.com"])
            .args(line)
            .output()
            .unwrap();
        assert!(output.status.success(), "{line:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.dir().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

fn paths(all: &[&str]) -> BTreeSet<PathBuf> {
    all.iter().map(PathBuf::from).collect()
}

const OURS: &[&str] = &["_export.json", "shop/configmap/a.yaml", "shop/configmap/b.yaml"];

#[tokio::test]
async fn a_directory_in_no_repository_becomes_one() {
    let place = Place::new();
    let repository = Repository::look(&place.dir()).await.unwrap();
    assert!(!place.dir().exists(), "looking changes nothing");
    place.write("_export.json", "{}");
    place.write("shop/configmap/a.yaml", "a: 1\n");
    place.write("notes.txt", "mine");
    let commit = repository.commit(&paths(OURS), "prod").await.unwrap().unwrap();
    assert_eq!(commit.changes.summary(), "1 added");
    assert_eq!(place.git(&["ls-files"]), "_export.json\nshop/configmap/a.yaml");
    assert_eq!(place.git(&["status", "--porcelain"]), "?? notes.txt");
    let again = Repository::look(&place.dir()).await.unwrap();
    assert!(again.commit(&paths(OURS), "prod").await.unwrap().is_none(), "nothing changed, so there is no commit");
    assert_eq!(place.git(&["rev-list", "--count", "HEAD"]), "1");
}

#[tokio::test]
async fn what_is_others_is_not_touched() {
    let place = Place::new();
    place.write("README.md", "theirs");
    place.write(".gitignore", "*.json\n");
    place.git(&["init", "-q"]);
    place.git(&["add", "-A"]);
    place.git(&["commit", "-qm", "first"]);
    place.write("export/_export.json", "{}");
    place.write("export/shop/configmap/a.yaml", "a: 1\n");
    place.write("export/shop/configmap/b.yaml", "b: 1\n");
    let export = place.dir().join("export");
    Repository::look(&export).await.unwrap().commit(&paths(OURS), "prod").await.unwrap().unwrap();
    place.write("README.md", "theirs, staged");
    place.git(&["add", "README.md"]);
    place.write("README.md", "theirs, staged and edited");
    place.write("export/shop/configmap/a.yaml", "a: 2\n");
    fs::remove_file(export.join("shop/configmap/b.yaml")).unwrap();
    let commit = Repository::look(&export).await.unwrap().commit(&paths(OURS), "prod").await.unwrap().unwrap();
    assert_eq!(place.git(&["log", "-1", "--format=%s"]), "export prod: 1 changed, 1 removed");
    assert_eq!(place.git(&["rev-parse", "--short", "HEAD"]), commit.id);
    assert_eq!(place.git(&["status", "--porcelain"]), "MM README.md", "what was staged is, and nothing else");
    let tree = place.git(&["ls-tree", "-r", "--name-only", "HEAD"]);
    assert_eq!(tree, ".gitignore\nREADME.md\nexport/_export.json\nexport/shop/configmap/a.yaml");
}

#[tokio::test]
async fn what_somebody_is_doing_is_not_ended() {
    let place = Place::new();
    place.write("README.md", "theirs");
    place.git(&["init", "-q"]);
    place.git(&["add", "-A"]);
    place.git(&["commit", "-qm", "first"]);
    let head = place.git(&["rev-parse", "HEAD"]);
    place.write(".git/MERGE_HEAD", &format!("{head}\n"));
    let error = Repository::look(&place.dir().join("export")).await.unwrap_err().to_string();
    assert!(error.contains("a merge is under way"), "{error}");
    fs::remove_file(place.dir().join(".git/MERGE_HEAD")).unwrap();
    place.write(".git/hooks/pre-commit", "#!/bin/sh\necho not on a Friday >&2\nexit 1\n");
    std::process::Command::new("chmod").arg("+x").arg(place.dir().join(".git/hooks/pre-commit")).status().unwrap();
    let repository = Repository::look(&place.dir()).await.unwrap();
    place.write("_export.json", "{}");
    let error = repository.commit(&paths(OURS), "prod").await.unwrap_err().to_string();
    assert!(error.contains("not on a Friday"), "{error}");
    assert_eq!(place.git(&["status", "--porcelain"]), "?? _export.json", "the index is as it was");
}
