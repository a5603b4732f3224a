//! What is on disk: one redb file with the current objects and the newest revision.
//!
//! Format 1. Table `objects`: key `group/kind NUL namespace NUL name`, value 8 bytes of revision (big endian) and the
//! object's JSON. Table `meta`: `format` and `revision`, both u64. History is not kept on disk: after a restart,
//! watches from older revisions are answered 410 and clients list again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use api::{Catalogue, Key, Kind, Object, Revision, View};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

const OBJECTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("objects");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const FORMAT: u64 = 1;
/// Page cache in bytes. Objects are read once, at start, and live in views afterwards.
const CACHE_BYTES: usize = 4 << 20;

/// Why the log can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file is held by another process.
    #[error("the cluster's log {} is in use by another shipmate process; stop that one first", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file can't be opened or made.
    #[error("open the cluster's log {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<redb::Error>,
    },
    /// The file was written by another version.
    #[error("the cluster's log has format {found}, this shipmate reads format {FORMAT}: use the version that wrote it")]
    Format {
        /// The format found.
        found: u64,
    },
    /// The file can't be read.
    #[error("read the cluster's log")]
    Read(#[source] Box<redb::Error>),
    /// A record makes no sense.
    #[error("the cluster's log has a damaged record {key:?}")]
    Damaged {
        /// Its key, as far as it is text.
        key: String,
    },
    /// No thread could be started.
    #[error("start the store's committer")]
    Thread(#[source] std::io::Error),
}

/// One record to write: the object, or `None` to take the record out.
pub(crate) struct Put<'a> {
    pub(crate) kind: &'a Kind,
    pub(crate) key: &'a Key,
    pub(crate) object: Option<&'a Object>,
}

/// The file, open or to be opened again.
pub(crate) struct Disk {
    /// `None` after a failed write: redb refuses all work on a database that once failed, until it is opened anew.
    database: Option<Database>,
    reopen: Box<dyn Fn() -> Result<Database, redb::DatabaseError> + Send>,
}

impl Disk {
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        let path = path.to_owned();
        let file = path.clone();
        let reopen = move || builder().create(&file);
        match reopen() {
            Ok(database) => Ok(Self { database: Some(database), reopen: Box::new(reopen) }),
            Err(redb::DatabaseError::DatabaseAlreadyOpen) => Err(OpenError::InUse { path }),
            Err(error) => Err(OpenError::Open { path, source: Box::new(error.into()) }),
        }
    }

    pub(crate) fn in_memory() -> Result<Self, OpenError> {
        let reopen = || builder().create_with_backend(redb::backends::InMemoryBackend::new());
        let database = reopen().map_err(|error| OpenError::Read(Box::new(error.into())))?;
        Ok(Self { database: Some(database), reopen: Box::new(reopen) })
    }

    fn database(&mut self) -> Result<&Database, redb::Error> {
        let database = match self.database.take() {
            Some(database) => database,
            None => (self.reopen)()?,
        };
        Ok(self.database.insert(database))
    }

    /// Reads everything. Records of kinds that the catalogue does not have stay on disk, unseen.
    pub(crate) fn load(&mut self, catalogue: Arc<Catalogue>) -> Result<View, OpenError> {
        let read = |error: redb::Error| OpenError::Read(Box::new(error));
        let database = self.database().map_err(read)?;
        let revision = prepare(database).map_err(read)??;
        let mut view = View::empty(catalogue.clone());
        let transaction = database.begin_read().map_err(|error| read(error.into()))?;
        let objects = transaction.open_table(OBJECTS).map_err(|error| read(error.into()))?;
        let mut unknown = 0_usize;
        for record in objects.iter().map_err(|error| read(error.into()))? {
            let (key, bytes) = record.map_err(|error| read(error.into()))?;
            let damaged = || OpenError::Damaged { key: String::from_utf8_lossy(key.value()).into_owned() };
            let (group, name) = kind_of(key.value()).ok_or_else(damaged)?;
            let Some(kind) = catalogue.by_kind(group, name) else {
                unknown += 1;
                continue;
            };
            let (at, json) = bytes.value().split_first_chunk::<8>().ok_or_else(damaged)?;
            let json = bytes::Bytes::copy_from_slice(json);
            let object = Object::unseal(kind, json, Revision::from_be_bytes(*at)).map_err(|_| damaged())?;
            view.insert(Arc::new(object));
        }
        if unknown > 0 {
            tracing::warn!(unknown, "objects of kinds that this version does not know are kept on disk, unseen");
        }
        view.advance(revision);
        Ok(view)
    }

    /// Makes a batch durable; on an error nothing of it is kept.
    pub(crate) fn write<'a>(
        &mut self,
        puts: impl Iterator<Item = Put<'a>>,
        revision: Revision,
    ) -> Result<(), redb::Error> {
        let written = write(self.database()?, puts, revision);
        if written.is_err() {
            self.database = None;
        }
        written
    }
}

/// The builder of every database: how much it may cache.
fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn write<'a>(database: &Database, puts: impl Iterator<Item = Put<'a>>, revision: Revision) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    // A crash then costs no repair scan at the next start.
    transaction.set_quick_repair(true);
    {
        let mut objects = transaction.open_table(OBJECTS)?;
        let mut bytes = Vec::new();
        for put in puts {
            let key = record_key(put.kind, put.key);
            match put.object {
                Some(object) => {
                    bytes.clear();
                    bytes.extend_from_slice(&object.header.revision.to_be_bytes());
                    bytes.extend_from_slice(&object.json);
                    objects.insert(key.as_slice(), bytes.as_slice())?;
                }
                None => {
                    objects.remove(key.as_slice())?;
                }
            }
        }
        transaction.open_table(META)?.insert("revision", revision)?;
    }
    transaction.commit()?;
    Ok(())
}

/// Makes the tables, checks the format and gives the newest revision.
fn prepare(database: &Database) -> Result<Result<Revision, OpenError>, redb::Error> {
    let transaction = database.begin_write()?;
    let revision = {
        transaction.open_table(OBJECTS)?;
        let mut meta = transaction.open_table(META)?;
        let found = meta.get("format")?.map(|format| format.value());
        match found {
            Some(FORMAT) => {}
            Some(found) => return Ok(Err(OpenError::Format { found })),
            None => {
                meta.insert("format", FORMAT)?;
                meta.insert("revision", 1)?;
            }
        }
        meta.get("revision")?.map_or(1, |revision| revision.value())
    };
    transaction.commit()?;
    Ok(Ok(revision))
}

fn record_key(kind: &Kind, key: &Key) -> Vec<u8> {
    format!("{}/{}\0{}\0{}", kind.group, kind.kind, key.namespace, key.name).into_bytes()
}

fn kind_of(key: &[u8]) -> Option<(&str, &str)> {
    let end = key.iter().position(|byte| *byte == 0)?;
    std::str::from_utf8(&key[..end]).ok()?.split_once('/')
}
