//! Files, on nodes and here: read, and replaced in one step.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::{ChangeError, Ground};
use crate::access::Access;

/// How long reading or replacing a file may take.
const LIMIT: Duration = Duration::from_secs(30);
/// Exit code of the script when the file is not what it is expected to be.
const CHANGED: i32 = 3;

/// Replaces a file: new content from standard input, its sum, and the sum that the file must have.
///
/// The new content is beside the old one, complete, with its owner, mode, access lists and labels, before it takes its
/// place; so whenever this is killed, the file is the old or the new one. What a run that was killed long ago left beside
/// it is taken away, and told.
const REPLACE: &str = r#"
set -eu
sum() { sha256sum < "$1" | cut -d' ' -f1; }
file=$(readlink -f -- "$1")
find "$(dirname -- "$file")" -maxdepth 1 -type f -name '.shipmate.????????' -mmin +5 -print -delete 2>/dev/null || true
new=$(mktemp "$(dirname -- "$file")/.shipmate.XXXXXXXX")
trap 'rm -f -- "$new"' EXIT
trap 'exit 1' HUP INT TERM
cat > "$new"
[ "$(sum "$new")" = "$2" ] || { echo 'the new content did not arrive whole' >&2; exit 1; }
cp --attributes-only --preserve=all -- "$file" "$new"
touch -- "$new"
sync -- "$new"
[ "$(sum "$file")" = "$3" ] || exit 3
mv -fT -- "$new" "$file"
trap - EXIT
sync -- "$(dirname -- "$file")"
"#;

/// The sum by which a content is known.
pub(super) fn sum(content: &str) -> String {
    Sha256::digest(content.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How a file is called in messages.
pub(super) fn shown(node: Option<&str>, path: &str) -> String {
    node.map_or_else(|| path.to_owned(), |node| format!("{path} on {node}"))
}

fn way<'a>(ground: &'a Ground, node: Option<&str>) -> Result<&'a dyn Access, ChangeError> {
    ground.access(node).ok_or_else(|| ChangeError::NoWay(node.unwrap_or_default().to_owned()))
}

/// The content of a file.
pub(super) async fn read(ground: &Ground, node: Option<&str>, path: &str) -> Result<String, ChangeError> {
    let ran = way(ground, node)?.run("cat", &["--", path], None, LIMIT).await?;
    let failed = |why: String| ChangeError::File { what: "read", file: shown(node, path), why };
    if !ran.succeeded() {
        return Err(failed(last_line(&ran.stderr)));
    }
    String::from_utf8(ran.stdout).map_err(|_| failed("it is no text in UTF-8; change it by hand".to_owned()))
}

/// Replaces a file whose content is `old`. Gives what an earlier run had left beside it, which is gone now.
pub(super) async fn replace(
    ground: &Ground,
    node: Option<&str>,
    path: &str,
    (old, new): (&str, &str),
) -> Result<Vec<String>, ChangeError> {
    let (old, new_sum) = (sum(old), sum(new));
    let arguments = ["-c", REPLACE, "sh", path, new_sum.as_str(), old.as_str()];
    let ran = way(ground, node)?.run("sh", &arguments, Some(new.as_bytes()), LIMIT).await?;
    match ran.code {
        Some(0) => Ok(String::from_utf8_lossy(&ran.stdout).lines().map(str::to_owned).collect()),
        Some(CHANGED) => Err(ChangeError::FileChanged(shown(node, path))),
        _ => Err(ChangeError::File { what: "replace", file: shown(node, path), why: last_line(&ran.stderr) }),
    }
}

fn last_line(words: &[u8]) -> String {
    let words = String::from_utf8_lossy(words);
    words.trim().lines().last().unwrap_or("no reason was given").to_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    use std::process::{Command, Stdio};

    use super::*;

    #[tokio::test]
    async fn a_file_is_replaced_with_its_mode_and_only_while_it_is_as_expected() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.toml");
        let link = directory.path().join("link.toml");
        std::fs::write(&file, "old").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let ground = Ground::here();
        let path = link.to_str().unwrap();
        replace(&ground, None, path, ("old", "new 'quoted' $x\n")).await.unwrap();
        assert_eq!(read(&ground, None, path).await.unwrap(), "new 'quoted' $x\n");
        assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o640);
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink(), "a link stays one");
        let refused = replace(&ground, None, path, ("old", "other")).await.unwrap_err();
        assert!(matches!(refused, ChangeError::FileChanged(_)), "{refused}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "new 'quoted' $x\n");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2, "nothing is left over");
        // What a run that was killed long ago left is taken away, what may be another's that runs now is not.
        let (dead, alive) = (directory.path().join(".shipmate.AbCd0123"), directory.path().join(".shipmate.AbCd0124"));
        std::fs::write(&alive, "half").unwrap();
        let long_ago = std::time::SystemTime::now() - Duration::from_secs(3600);
        std::fs::File::create(&dead).unwrap().set_modified(long_ago).unwrap();
        let removed = replace(&ground, None, path, ("new 'quoted' $x\n", "newer\n")).await.unwrap();
        assert_eq!(removed, [dead.display().to_string()]);
        assert!(!dead.exists() && alive.exists());
        let missing = read(&ground, None, "/no/such").await.unwrap_err().to_string();
        assert!(missing.starts_with("could not read /no/such: "), "{missing}");
        let nowhere = read(&ground, Some("n9"), "/etc/x").await.unwrap_err().to_string();
        assert!(nowhere.starts_with("there is no way onto node n9"), "{nowhere}");
    }

    /// Whatever moment it is killed at, the old or the new content is there.
    #[test]
    fn killed_in_the_middle_it_leaves_the_old_or_the_new() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.toml");
        let (old, new) = ("o".repeat(300_000), "n".repeat(400_000));
        let (mut olds, mut news) = (0, 0);
        for round in 0..40_u64 {
            std::fs::write(&file, &old).unwrap();
            let mut child = Command::new("sh")
                .args(["-c", REPLACE, "sh", file.to_str().unwrap(), &sum(&new), &sum(&old)])
                .stdin(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut pipe = child.stdin.take().unwrap();
            let content = new.clone();
            let feeder = std::thread::spawn(move || {
                use std::io::Write as _;
                drop(pipe.write_all(content.as_bytes()));
            });
            // The moment of death moves through the whole run; where exactly it falls does not matter.
            let deadline = std::time::Instant::now() + Duration::from_micros(round * 700);
            while std::time::Instant::now() < deadline && child.try_wait().unwrap().is_none() {
                std::thread::yield_now();
            }
            drop(child.kill());
            child.wait().unwrap();
            feeder.join().unwrap();
            let found = std::fs::read_to_string(&file).unwrap();
            assert!(found == old || found == new, "half: {} bytes", found.len());
            if found == old { olds += 1 } else { news += 1 }
        }
        assert!(olds > 0, "{olds} old, {news} new");
    }
}
