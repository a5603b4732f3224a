//! The images that a cluster brings with it, and images of files on this machine.
//!
//! Nothing is pulled: the pause image and the sample application are made from
//! [`crate::programs`]. Invariant: the same programs give the same digests.
//! Deliberately absent: how images are built and loaded ([`cri::import`]).

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use cri::import::{ImageBuilder, ImageName, ImageSource};

use crate::programs;
use crate::{Error, Result};

/// Versions of the sample application that exist as images, oldest first.
pub const WEB_VERSIONS: [&str; 2] = ["1.0", "2.0"];

/// Name of the pause image, which holds a pod's namespaces.
#[must_use]
pub fn pause_reference() -> String {
    format!("shipmate.local/pause:{}", env!("CARGO_PKG_VERSION"))
}

/// Name of the sample application at a version.
#[must_use]
pub fn web_reference(version: &str) -> String {
    format!("shipmate.local/web:{version}")
}

/// Names of all images that a node gets by itself.
#[must_use]
pub fn built_in_references() -> Vec<String> {
    std::iter::once(pause_reference()).chain(WEB_VERSIONS.map(web_reference)).collect()
}

/// Makes all images that a node gets by itself.
pub fn built_in() -> Result<ImageSource> {
    let mut images = pause()?;
    for version in WEB_VERSIONS {
        images.extend(web(version)?);
    }
    Ok(images)
}

fn pause() -> Result<ImageSource> {
    Ok(ImageBuilder::new()
        .file("/pause", 0o755, programs::PAUSE.as_slice())
        .config("Entrypoint", vec!["/pause"])
        .config("User", "65535:65535")
        .build(vec![name(&pause_reference())?]))
}

fn web(version: &str) -> Result<ImageSource> {
    Ok(ImageBuilder::new()
        .file("/bin/web", 0o755, programs::WEB.as_slice())
        .file("/etc/passwd", 0o644, "root:x:0:0:root:/:/bin/web\nweb:x:65532:65532:web:/:/bin/web\n")
        .file("/etc/group", 0o644, "root:x:0:\nweb:x:65532:\n")
        .directory("/tmp", 0o1777)
        .config("Entrypoint", vec!["/bin/web"])
        .config("Env", vec!["PATH=/bin".to_owned(), "PORT=8080".to_owned(), format!("VERSION={version}")])
        .config("ExposedPorts", serde_json::json!({"8080/tcp": {}}))
        .config("User", "65532:65532")
        .build(vec![name(&web_reference(version))?]))
}

/// An image of one program file, or of everything below a directory. A program
/// becomes the entrypoint; it must be static, for there is nothing else in the image.
pub fn of_files(path: &Path, reference: &str) -> Result<ImageSource> {
    let name = name(reference)?;
    let meta = fs::metadata(path).map_err(Error::file("read", path))?;
    if meta.is_dir() {
        return Ok(add_tree(ImageBuilder::new(), path)?.build(vec![name]));
    }
    let file = path.file_name().and_then(|file| file.to_str()).unwrap_or("program");
    let inside = format!("/bin/{file}");
    let bytes = fs::read(path).map_err(Error::file("read", path))?;
    Ok(ImageBuilder::new().file(&inside, 0o755, bytes).config("Entrypoint", vec![inside.clone()]).build(vec![name]))
}

/// Adds all files, directories and symbolic links. Devices, sockets and FIFOs
/// are left out: runtimes make their own.
fn add_tree(mut builder: ImageBuilder, root: &Path) -> Result<ImageBuilder> {
    let mut pending = vec![(root.to_owned(), String::new())];
    while let Some((directory, prefix)) = pending.pop() {
        for item in fs::read_dir(&directory).map_err(Error::file("read", &directory))? {
            let path = item.map_err(Error::file("read", &directory))?.path();
            let file = path
                .file_name()
                .and_then(|file| file.to_str())
                .ok_or_else(|| Error::refused(format!("{} has a name that is not UTF-8: rename it", path.display())))?;
            let inside = format!("{prefix}/{file}");
            let meta = fs::symlink_metadata(&path).map_err(Error::file("read", &path))?;
            let mode = meta.permissions().mode() & 0o7777;
            if meta.is_dir() {
                builder = builder.directory(&inside, mode);
                pending.push((path, inside));
            } else if meta.is_symlink() {
                let target = fs::read_link(&path).map_err(Error::file("read", &path))?;
                builder = builder.link(&inside, &target.to_string_lossy());
            } else if meta.is_file() {
                builder = builder.file(&inside, mode, fs::read(&path).map_err(Error::file("read", &path))?);
            }
        }
    }
    Ok(builder)
}

fn name(reference: &str) -> Result<ImageName> {
    reference.parse().map_err(|error: cri::import::NameError| Error::refused(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(source: &ImageSource) -> Vec<(String, String)> {
        let image =
            |image: &cri::import::SourceImage| (image.names[0].to_string(), image.target.digest.as_str().to_owned());
        source.images().iter().map(image).collect()
    }

    #[test]
    fn the_images_have_their_names_and_the_same_digests_each_time() {
        let (first, second) = (ids(&built_in().unwrap()), ids(&built_in().unwrap()));
        assert_eq!(first, second);
        let names: Vec<String> = first.iter().map(|(name, _)| name.clone()).collect();
        assert_eq!(names, built_in_references());
        assert_ne!(first[1].1, first[2].1);
    }

    #[test]
    fn a_directory_becomes_an_image() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("bin/deep")).unwrap();
        fs::write(dir.path().join("bin/deep/tool"), b"x").unwrap();
        std::os::unix::fs::symlink("deep/tool", dir.path().join("bin/tool")).unwrap();
        let one = ids(&of_files(dir.path(), "team/tools:1").unwrap());
        assert_eq!(one[0].0, "docker.io/team/tools:1");
        fs::write(dir.path().join("bin/deep/tool"), b"y").unwrap();
        assert_ne!(one, ids(&of_files(dir.path(), "team/tools:1").unwrap()));
        assert!(of_files(Path::new("/nonexistent"), "a:1").is_err());
        assert!(of_files(dir.path(), "A B").unwrap_err().to_string().contains("not an image name"));
    }
}
