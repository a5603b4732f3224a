//! Keeps container logs from filling the disk: a log that has grown too long is renamed, and a new one begun.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tracing::{debug, warn};

use crate::node::Node;
use crate::pod::observed::State;

/// How often logs are looked at; Kubernetes' own rhythm.
const LOOK: Duration = Duration::from_secs(10);
/// A longer log is rotated.
const MOST_BYTES: u64 = 10 << 20;
/// So many files of one container are kept, the current one included.
const MOST_FILES: usize = 5;

/// Rotates logs for ever.
pub(crate) async fn run(node: Arc<Node>) {
    let mut tick = tokio::time::interval(LOOK);
    loop {
        tick.tick().await;
        for view in node.pods() {
            for container in view.seen.containers.iter().filter(|container| container.state == State::Running) {
                let path = Path::new(&container.log_path);
                if fs::metadata(path).is_ok_and(|meta| meta.len() > MOST_BYTES)
                    && let Err(err) = rotate(&node.runtime, &container.id, path).await
                {
                    warn!(pod = %view.id, container = container.name, error = %err, "log not rotated");
                }
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum RotateError {
    #[error("could not rename or remove a log")]
    File(#[from] io::Error),
    #[error(transparent)]
    Runtime(#[from] cri::Error),
}

async fn rotate(runtime: &cri::Runtime, container: &str, path: &Path) -> Result<(), RotateError> {
    // With the new file and the one that is renamed now, there are as many as allowed.
    for old in surplus(rotated(path)?, MOST_FILES - 2) {
        fs::remove_file(old)?;
    }
    let stamp = Timestamp::now().strftime("%Y%m%d-%H%M%S").to_string();
    let mut renamed = path.as_os_str().to_owned();
    renamed.push(format!(".{stamp}"));
    fs::rename(path, &renamed)?;
    if let Err(err) = runtime.reopen_container_log(container).await {
        // The container still writes to the renamed file: give it its name back.
        fs::rename(&renamed, path)?;
        return Err(err.into());
    }
    debug!(path = %path.display(), "log rotated");
    Ok(())
}

/// The rotated files of a log, oldest first: their names end in the time.
fn rotated(path: &Path) -> io::Result<Vec<PathBuf>> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return Ok(Vec::new());
    };
    let prefix = format!("{name}.");
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(&prefix)) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// All but the newest `keep`.
fn surplus(mut oldest_first: Vec<PathBuf>, keep: usize) -> Vec<PathBuf> {
    oldest_first.truncate(oldest_first.len().saturating_sub(keep));
    oldest_first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0.log");
        for name in ["0.log", "0.log.20260103-000000", "0.log.20260101-000000", "0.log.20260102-000000", "1.log"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let old = surplus(rotated(&path).unwrap(), 2);
        assert_eq!(old, [dir.path().join("0.log.20260101-000000")]);
        assert_eq!(surplus(Vec::new(), 2), Vec::<PathBuf>::new());
    }
}
