//! A tar archive as a table of its regular files; nothing is ever unpacked.
//!
//! Invariant: every entry in the table lies within the file and has a path without `..`, so what comes
//! after need not think about truncation or traversal.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use tar::EntryType;

use super::ImportError;
use super::source::Bytestore;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// More than any image, and less than it takes to hold the table's memory hostage.
const MAX_ENTRIES: usize = 200_000;
/// What a compressed archive may unpack to; larger is a mistake or an attack.
const MAX_UNPACKED: u64 = 64 << 30;
/// How often a link may lead to a link.
const MAX_LINKS: usize = 8;

/// The regular files of an archive, or of a directory that has an archive's layout.
pub(super) enum Archive {
    Tar { file: Arc<File>, entries: BTreeMap<String, Entry> },
    Directory(PathBuf),
}

pub(super) enum Entry {
    File {
        offset: u64,
        size: u64,
    },
    /// `docker save` stores a layer that two images share once and links to it.
    Link(String),
}

impl Archive {
    /// An archive, or a directory that one was unpacked to.
    pub(super) fn open(path: &Path) -> Result<Self, ImportError> {
        if path.is_dir() {
            return Ok(Self::Directory(path.to_owned()));
        }
        Self::from_file(File::open(path).map_err(|source| read_error(&path.display().to_string(), source))?)
    }

    pub(super) fn from_file(mut file: File) -> Result<Self, ImportError> {
        let mut magic = Vec::new();
        let read = (&mut file).take(4).read_to_end(&mut magic);
        read.and_then(|_| file.rewind()).map_err(|err| read_error("the start", err))?;
        if magic.starts_with(&GZIP) {
            return Self::index(spool(MultiGzDecoder::new(file))?);
        }
        if magic == ZSTD {
            return Err(ImportError::Unsupported {
                what: "an archive compressed by zstd".to_owned(),
                instead: "unpack it with `zstd -d` first",
            });
        }
        Self::index(file)
    }

    pub(super) fn from_reader(reader: impl Read) -> Result<Self, ImportError> {
        Self::from_file(spool(reader)?)
    }

    fn index(mut file: File) -> Result<Self, ImportError> {
        let end = file
            .seek(SeekFrom::End(0))
            .and_then(|end| file.rewind().map(|()| end))
            .map_err(|err| read_error("the length", err))?;
        let mut entries = BTreeMap::new();
        let mut archive = tar::Archive::new(&file);
        for entry in archive.entries_with_seek().map_err(|err| read_error("the first header", err))? {
            let entry = entry.map_err(|err| header_error(&entries, err))?;
            let path = entry.path_bytes();
            let path = clean_path(&path)?;
            let kind = entry.header().entry_type();
            let found = match kind {
                EntryType::Regular | EntryType::Continuous => {
                    let offset = entry.raw_file_position();
                    let size = entry.size();
                    if offset.checked_add(size).is_none_or(|last| last > end) {
                        return Err(ImportError::Truncated { entry: path });
                    }
                    Entry::File { offset, size }
                }
                EntryType::Symlink | EntryType::Link => {
                    let target = entry.link_name_bytes().unwrap_or_default();
                    let target = String::from_utf8_lossy(&target).into_owned();
                    Entry::Link(link_target(&path, &target, kind)?)
                }
                EntryType::Directory | EntryType::XGlobalHeader => continue,
                EntryType::GNUSparse => {
                    return Err(ImportError::Unsupported {
                        what: format!("the sparse file {path} in the archive"),
                        instead: "make the archive without --sparse",
                    });
                }
                _ => return Err(ImportError::invalid(path, "is neither a file nor a directory")),
            };
            // As for tar itself, the last entry of a name counts.
            entries.insert(path, found);
            if entries.len() > MAX_ENTRIES {
                return Err(ImportError::invalid("the list of files", "has too many entries"));
            }
        }
        Ok(Self::Tar { file: Arc::new(file), entries })
    }

    /// The bytes of a file, following links.
    pub(super) fn get(&self, path: &str) -> Option<Bytestore> {
        let (archive, entries) = match self {
            Self::Tar { file, entries } => (file, entries),
            Self::Directory(root) => {
                let file = File::open(root.join(resolve("", path)?)).ok()?;
                let size = file.metadata().ok().filter(std::fs::Metadata::is_file)?.len();
                return Some(Bytestore::File { file: Arc::new(file), offset: 0, size });
            }
        };
        let mut path = path;
        for _ in 0..=MAX_LINKS {
            match entries.get(path)? {
                Entry::Link(target) => path = target,
                Entry::File { offset, size } => {
                    return Some(Bytestore::File { file: archive.clone(), offset: *offset, size: *size });
                }
            }
        }
        None
    }
}

fn read_error(what: &str, source: io::Error) -> ImportError {
    ImportError::Read { what: what.to_owned(), source }
}

/// A header that cannot be read: the file ended within it, or it is no tar archive.
fn header_error(entries: &BTreeMap<String, Entry>, source: io::Error) -> ImportError {
    match source.kind() {
        _ if entries.is_empty() => read_error("the first header (is it a tar file?)", source),
        io::ErrorKind::UnexpectedEof => ImportError::Truncated { entry: "a header".to_owned() },
        _ => read_error("a header", source),
    }
}

/// `./a/b/` becomes `a/b`; a path that leads out of the archive is refused.
fn clean_path(path: &[u8]) -> Result<String, ImportError> {
    let unsafe_path = || ImportError::UnsafePath { entry: String::from_utf8_lossy(path).into_owned() };
    let text = std::str::from_utf8(path).map_err(|_| unsafe_path())?;
    if text.starts_with('/') || text.split('/').any(|part| part == "..") {
        return Err(unsafe_path());
    }
    resolve("", text).ok_or_else(unsafe_path)
}

/// A symbolic link counts from its own directory, a hard link from the archive's root.
fn link_target(path: &str, target: &str, kind: EntryType) -> Result<String, ImportError> {
    let parent = match (kind, path.rsplit_once('/')) {
        (EntryType::Symlink, Some((parent, _))) => parent,
        _ => "",
    };
    let resolved = match target.starts_with('/') {
        true => None,
        false => resolve(parent, target),
    };
    resolved.ok_or_else(|| ImportError::UnsafePath { entry: format!("{path} -> {target}") })
}

/// Joins two paths; `None` if the result would leave the root.
fn resolve(parent: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = parent.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Copies a stream to an unnamed temporary file, which vanishes with its last user.
fn spool(reader: impl Read) -> Result<File, ImportError> {
    let spool = "the temporary copy";
    let mut file = tempfile::tempfile().map_err(|err| read_error(spool, err))?;
    let copied = io::copy(&mut reader.take(MAX_UNPACKED + 1), &mut file);
    match copied {
        Ok(n_bytes) if n_bytes > MAX_UNPACKED => Err(ImportError::Unsupported {
            what: "an archive of more than 64 GiB".to_owned(),
            instead: "split it into one archive for each image",
        }),
        Ok(_) => {
            let rewound = file.flush().and_then(|()| file.rewind());
            rewound.map_err(|err| read_error(spool, err))?;
            Ok(file)
        }
        Err(err) if err.kind() == io::ErrorKind::UnexpectedEof => {
            Err(ImportError::Truncated { entry: "its compressed data".to_owned() })
        }
        Err(err) => Err(read_error("the data", err)),
    }
}
