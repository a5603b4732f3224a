//! `hostPath`: a path of the node itself, of the type that the spec insists on.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt};
use std::path::Path;

use k8s_openapi::api::core::v1::HostPathVolumeSource;

/// Checks the path's type; the two `OrCreate` types make what is missing.
pub(super) fn check(source: &HostPathVolumeSource) -> Result<(), String> {
    let path = Path::new(&source.path);
    let wanted = source.type_.as_deref().unwrap_or_default();
    let kind = fs::metadata(path).map(|meta| meta.file_type());
    let is = |check: fn(&fs::FileType) -> bool| kind.as_ref().is_ok_and(check);
    let wrong = |what: &str| Err(format!("hostPath type check failed: {} is not {what}", source.path));
    match wanted {
        "DirectoryOrCreate" if kind.is_err() => {
            let made = fs::DirBuilder::new().recursive(true).mode(0o755).create(path);
            made.map_err(|err| format!("could not create directory {}: {err}", source.path))
        }
        "FileOrCreate" if kind.is_err() => {
            let made = fs::OpenOptions::new().create_new(true).write(true).mode(0o644).open(path);
            made.map(drop).map_err(|err| format!("could not create file {}: {err}", source.path))
        }
        "Directory" | "DirectoryOrCreate" if !is(fs::FileType::is_dir) => wrong("a directory"),
        "File" | "FileOrCreate" if !is(fs::FileType::is_file) => wrong("a file"),
        "Socket" if !is(FileTypeExt::is_socket) => wrong("a socket file"),
        "CharDevice" if !is(FileTypeExt::is_char_device) => wrong("a character device"),
        "BlockDevice" if !is(FileTypeExt::is_block_device) => wrong("a block device"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_type(path: &Path, kind: &str) -> Result<(), String> {
        let path = path.to_str().unwrap().to_owned();
        check(&HostPathVolumeSource { path, type_: Some(kind.to_owned()) })
    }

    #[test]
    fn types() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("f");
        let missing = dir.path().join("m");
        fs::write(&file, "").unwrap();
        assert!(check_type(dir.path(), "Directory").is_ok());
        assert!(check_type(&file, "File").is_ok());
        assert!(check_type(&missing, "").is_ok());
        assert!(check_type(Path::new("/dev/null"), "CharDevice").is_ok());
        for (path, kind, what) in [
            (&file, "Directory", "a directory"),
            (&missing, "File", "a file"),
            (&file, "Socket", "a socket file"),
            (&file, "DirectoryOrCreate", "a directory"),
        ] {
            let expected = format!("hostPath type check failed: {} is not {what}", path.display());
            assert_eq!(check_type(path, kind), Err(expected));
        }
        assert!(check_type(&missing.join("x"), "DirectoryOrCreate").is_ok());
        assert!(missing.join("x").is_dir());
    }
}
