//! Where a PostgreSQL server is and how one logs in, as libpq says it: a connection string, the environment, `.pgpass`.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use crate::registry::Trust;

/// PostgreSQL's usual port.
const PORT: u16 = 5432;

/// How long it may take to find out what a name means.
const LOOKUP: Duration = Duration::from_secs(5);

/// How a server is reached.
pub struct Dsn {
    pub(super) config: Config,
    /// Whether the server's certificate must be good: `sslmode=verify-ca`, `verify-full`, or an `sslrootcert`.
    pub(super) verified: bool,
    root: Option<PathBuf>,
    /// Whether the string itself held a password.
    pub with_password: bool,
}

/// Why a connection string is of no use.
#[derive(Debug, thiserror::Error)]
pub enum DsnError {
    /// It can't be read. What it holds is not repeated: there may be a password in it.
    #[error("the connection string makes no sense: {0} (such as `host=db.example port=5432 user=app dbname=app`)")]
    Senseless(String),
    /// It names no server.
    #[error("the connection string names no server: write `host=…` into it, or set PGHOST")]
    NoHost,
    /// The authorities can't be read.
    #[error("the authorities in {} can't be used: {why}", path.display())]
    Root {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

/// The parts of the environment that libpq knows and that count here.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// `$PGHOST`.
    pub host: Option<String>,
    /// `$PGPORT`.
    pub port: Option<u16>,
    /// `$PGUSER`, else the name of the user of this machine.
    pub user: Option<String>,
    /// `$PGDATABASE`.
    pub database: Option<String>,
    /// `$PGPASSWORD`.
    pub password: Option<String>,
    /// `$PGPASSFILE`, else `~/.pgpass`.
    pub passfile: Option<PathBuf>,
}

impl Surroundings {
    /// As the environment says.
    pub fn from_environment() -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            host: variable("PGHOST"),
            port: variable("PGPORT").and_then(|port| port.parse().ok()),
            user: variable("PGUSER").or_else(|| variable("USER")).or_else(|| variable("LOGNAME")),
            database: variable("PGDATABASE"),
            password: variable("PGPASSWORD"),
            passfile: variable("PGPASSFILE")
                .map(PathBuf::from)
                .or_else(|| variable("HOME").map(|home| Path::new(&home).join(".pgpass"))),
        }
    }
}

impl Dsn {
    /// Reads a connection string, and fills in what the surroundings say.
    ///
    /// # Errors
    /// When it makes no sense or names no server.
    pub fn read(text: &str, surroundings: &Surroundings) -> Result<Self, DsnError> {
        let (text, mode, root) = without_verification(text.trim());
        let mut config = Config::from_str(&text).map_err(|error| DsnError::Senseless(reason(&error)))?;
        let root = root.map(PathBuf::from);
        let verified = root.is_some() || mode.is_some();
        if verified {
            config.ssl_mode(SslMode::Require);
        }
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            config.host(surroundings.host.as_ref().ok_or(DsnError::NoHost)?);
        }
        if config.get_ports().is_empty() {
            config.port(surroundings.port.unwrap_or(PORT));
        }
        if let (None, Some(user)) = (config.get_user(), &surroundings.user) {
            config.user(user);
        }
        if let (None, Some(database)) = (config.get_dbname(), &surroundings.database) {
            config.dbname(database);
        }
        let mut dsn = Self { with_password: config.get_password().is_some(), config, verified, root };
        if !dsn.with_password
            && let Some(password) = surroundings.password.clone().or_else(|| dsn.passfile_password(surroundings))
        {
            dsn.config.password(password);
        }
        Ok(dsn)
    }

    /// The server's names and ports, for people.
    pub fn place(&self) -> String {
        let ports = self.config.get_ports();
        let named = self.config.get_hosts().iter().enumerate().map(|(number, host)| {
            let port = ports.get(number).or(ports.first()).copied().unwrap_or(PORT);
            match host {
                Host::Tcp(host) => format!("{host}:{port}"),
                Host::Unix(path) => path.display().to_string(),
            }
        });
        let named: Vec<String> = named.collect();
        if named.is_empty() {
            return self.config.get_hostaddrs().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        }
        named.join(", ")
    }

    /// The addresses that its names mean here.
    pub async fn addresses(&self) -> Vec<IpAddr> {
        let mut found = self.config.get_hostaddrs().to_vec();
        for host in self.config.get_hosts() {
            let Host::Tcp(host) = host else { continue };
            // The connection told already what is wrong with a name.
            if let Ok(Ok(addresses)) =
                tokio::time::timeout(LOOKUP, tokio::net::lookup_host((host.as_str(), PORT))).await
            {
                found.extend(addresses.map(|address| address.ip().to_canonical()));
            }
        }
        found
    }

    /// The port, of the first server if there are several.
    pub fn port(&self) -> u16 {
        self.config.get_ports().first().copied().unwrap_or(PORT)
    }

    /// Uses this password.
    pub fn set_password(&mut self, password: &str) {
        self.config.password(password);
    }

    pub(super) fn trust(&self) -> Result<Trust, DsnError> {
        if !self.verified {
            return Ok(Trust::anything());
        }
        let Some(path) = &self.root else {
            return Trust::of_this_machine(None)
                .map_err(|why| DsnError::Root { path: "the machine's own store".into(), why });
        };
        let failed = |why: String| DsnError::Root { path: path.clone(), why };
        let pem = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
        Trust::only(&[pem]).map_err(failed)
    }

    /// As libpq does it, also that files which others may read are passed over.
    fn passfile_password(&self, surroundings: &Surroundings) -> Option<String> {
        use std::os::unix::fs::MetadataExt as _;
        let path = surroundings.passfile.as_ref()?;
        let file = std::fs::metadata(path).ok()?;
        if !file.is_file() || file.mode() & 0o077 != 0 {
            return None;
        }
        let text = std::fs::read_to_string(path).ok()?;
        let host = match self.config.get_hosts().first() {
            Some(Host::Tcp(host)) => host.clone(),
            Some(Host::Unix(_)) => "localhost".to_owned(),
            None => self.config.get_hostaddrs().first()?.to_string(),
        };
        let port = self.config.get_ports().first().copied().unwrap_or(PORT).to_string();
        let user = self.config.get_user().unwrap_or_default();
        let database = self.config.get_dbname().unwrap_or(user);
        in_passfile(&text, [&host, &port, database, user])
    }
}

/// The library's words, without what it may have read.
fn reason(error: &tokio_postgres::Error) -> String {
    let text = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    text.split('`').step_by(2).collect::<Vec<_>>().join("…").split(": ").next().unwrap_or_default().trim().to_owned()
}

/// Takes `sslmode=verify-…` and `sslrootcert=…` out, which the library does not know.
fn without_verification(text: &str) -> (String, Option<String>, Option<String>) {
    let (mut mode, mut root) = (None, None);
    let mut keep = |word: &&str| {
        if let Some(value) = word.strip_prefix("sslmode=").filter(|value| value.starts_with("verify-")) {
            mode = Some(value.to_owned());
            return false;
        }
        if let Some(value) = word.strip_prefix("sslrootcert=") {
            root = Some(value.trim_matches('\'').to_owned()).filter(|value| value != "system");
            mode = mode.take().or(Some("verify-full".to_owned()));
            return false;
        }
        true
    };
    let text = match text.split_once('?') {
        Some((before, query)) if text.contains("://") => {
            let rest: Vec<&str> = query.split('&').filter(&mut keep).collect();
            if rest.is_empty() { before.to_owned() } else { format!("{before}?{}", rest.join("&")) }
        }
        _ if text.contains("://") => text.to_owned(),
        _ if text.contains("sslmode=verify-") || text.contains("sslrootcert=") => {
            text.split(' ').filter(&mut keep).collect::<Vec<_>>().join(" ")
        }
        _ => text.to_owned(),
    };
    (text, mode, root)
}

/// The password of the first line that fits: `host:port:database:user:password`, with `*` and backslashes.
fn in_passfile(text: &str, wanted: [&str; 4]) -> Option<String> {
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let mut fields = vec![String::new()];
        let mut marks = line.chars();
        while let Some(mark) = marks.next() {
            match mark {
                // The password keeps its colons.
                ':' if fields.len() < 5 => fields.push(String::new()),
                '\\' => fields.last_mut()?.extend(marks.next()),
                mark => fields.last_mut()?.push(mark),
            }
        }
        let fits = fields.len() == 5 && fields.iter().zip(wanted).all(|(field, want)| field == "*" || field == want);
        fits.then(|| fields.pop()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_come_from_files_that_nobody_else_reads() {
        let lines = "# no\ndb:5432:app:app:wro\\:ng\n*:*:*:app:se:cr\\\\et\n";
        let found = |host, database| in_passfile(lines, [host, "5432", database, "app"]);
        assert_eq!(found("db", "app").as_deref(), Some("wro:ng"));
        assert_eq!(found("other", "x").as_deref(), Some("se:cr\\et"));
        assert_eq!(in_passfile(lines, ["db", "5432", "app", "nobody"]), None);

        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "*:*:*:*:hidden\n").unwrap();
        let surroundings = Surroundings { passfile: Some(file.path().to_owned()), ..Surroundings::default() };
        let password = || {
            let dsn = Dsn::read("host=db user=app", &surroundings).unwrap();
            dsn.config.get_password().map(<[u8]>::to_vec)
        };
        assert_eq!(password().as_deref(), Some(b"hidden".as_slice()));
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        std::fs::set_permissions(file.path(), open).unwrap();
        assert_eq!(password(), None);
    }

    #[test]
    fn strings_and_surroundings() {
        let surroundings = Surroundings {
            host: Some("elsewhere".to_owned()),
            user: Some("me".to_owned()),
            password: Some("word".to_owned()),
            ..Surroundings::default()
        };
        let dsn = Dsn::read("", &surroundings).unwrap();
        assert_eq!(
            (dsn.place().as_str(), dsn.config.get_user(), dsn.with_password),
            ("elsewhere:5432", Some("me"), false)
        );
        let dsn =
            Dsn::read("postgres://app:pw@db:6000/x?sslmode=verify-full&application_name=a", &surroundings).unwrap();
        assert_eq!((dsn.place().as_str(), dsn.verified, dsn.with_password), ("db:6000", true, true));
        assert_eq!(dsn.config.get_password(), Some(b"pw".as_slice()));
        let dsn = Dsn::read("host=db sslrootcert=/ca.pem", &surroundings).unwrap();
        assert_eq!(dsn.root.as_deref(), Some(Path::new("/ca.pem")));
        assert!(matches!(Dsn::read("", &Surroundings::default()), Err(DsnError::NoHost)));
    }

    #[test]
    fn errors_repeat_no_password() {
        for text in ["postgres://app:hunter2@db:port/x", "password=hunter2 port=hunter2", "host=db hunter2", "hunter2"]
        {
            let Err(error) = Dsn::read(text, &Surroundings::default()) else { panic!("{text} was understood") };
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
