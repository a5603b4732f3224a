//! Why a server can't be asked, and what to do then.

use tokio_postgres::error::SqlState;

use super::DsnError;
use super::session::LIMIT;

/// Which slots are taken when a server lets nobody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slots {
    /// Those of ordinary roles; reserved ones are left.
    Ordinary,
    /// Those of this role.
    Role,
    /// Those of this database.
    Database,
    /// All, also the reserved ones.
    All,
}

impl Slots {
    /// By the function of the server that refused: its words may be in any language.
    fn of(routine: &str, why: &str) -> Self {
        match routine {
            "InitializeSessionUserId" => Self::Role,
            "CheckMyDatabase" => Self::Database,
            _ if routine == "InitPostgres" || why.contains("reserved") => Self::Ordinary,
            _ => Self::All,
        }
    }

    fn advice(self) -> &'static str {
        match self {
            Self::Ordinary => {
                "a superuser still gets in, and from version 16 on a role with pg_use_reserved_connections: trace as one of them"
            }
            Self::Role => "the limit is the role's own: trace as another role with pg_monitor",
            Self::Database => "the limit is the database's own: trace by another one, such as dbname=postgres",
            Self::All => {
                "the reserved slots are taken too, so nobody gets in: end a client, or on the server's machine a backend \
                 (kill -TERM its process, never -KILL)"
            }
        }
    }
}

/// Why a server can't be asked.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// The way there makes no sense.
    #[error(transparent)]
    Dsn(#[from] DsnError),
    /// There is no TLS.
    #[error("TLS for PostgreSQL can't be set up: {0}")]
    Tls(String),
    /// It wants a password, and there is none.
    #[error(
        "PostgreSQL at {0} wants a password: set PGPASSWORD or PGPASSFILE, or put it into ~/.pgpass (mode 0600) or a --dsn-file"
    )]
    NoPassword(String),
    /// All slots that we may have are taken.
    #[error("PostgreSQL at {place} takes no more connections ({why}): {}", slots.advice())]
    Full {
        /// Where.
        place: String,
        /// Its own words.
        why: String,
        /// Which slots.
        slots: Slots,
    },
    /// It is too old.
    #[error("PostgreSQL at {place} is {version}, whose pg_stat_activity has other columns: trace needs 10 or newer")]
    Old {
        /// Where.
        place: String,
        /// Its version.
        version: String,
    },
    /// It is a pooler's console.
    #[error(
        "{place} is the console of a pooler and no PostgreSQL: give it with --pgbouncer, and the server with --dsn"
    )]
    Console {
        /// Where.
        place: String,
    },
    /// It can't be reached, or refuses.
    #[error("PostgreSQL at {place} can't be asked: {why}{}", hint(why))]
    Refused {
        /// Where.
        place: String,
        /// Its own words.
        why: String,
    },
    /// It takes too long.
    #[error("PostgreSQL at {place} did not answer within {} s", LIMIT.as_secs())]
    TooSlow {
        /// Where.
        place: String,
    },
}

/// What to do about a refusal, where that can be told from the words.
fn hint(why: &str) -> &'static str {
    if why.contains("no encryption") {
        return "; it may want TLS from there: leave out sslmode=disable";
    }
    if why.contains("does not support TLS") {
        return "; without TLS it is sslmode=disable or sslmode=prefer";
    }
    if why.contains("certificate") || why.contains("UnknownIssuer") || why.contains("NotValidForName") {
        return "; its authority is given with sslrootcert=FILE, and the certificate must name the host of the DSN";
    }
    if why.contains("password authentication failed") {
        return "; see where the password came from: the DSN, PGPASSWORD, or a line of ~/.pgpass";
    }
    ""
}

impl PostgresError {
    pub(super) fn of(place: &str, error: &tokio_postgres::Error) -> Self {
        let place = place.to_owned();
        let routine = error.as_db_error().and_then(|told| told.routine()).unwrap_or_default();
        let why = match error.as_db_error() {
            Some(told) => told.message().to_owned(),
            None => std::error::Error::source(error)
                .map_or_else(|| error.to_string(), |source| format!("{error}: {source}")),
        };
        match error.code() {
            Some(&SqlState::TOO_MANY_CONNECTIONS) => Self::Full { place, slots: Slots::of(routine, &why), why },
            None if why.contains("password missing") => Self::NoPassword(place),
            _ if why.contains("SHOW HELP") => Self::Console { place },
            _ => Self::Refused { place, why },
        }
    }

    /// Whether the same may well be answered a moment later.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self, Self::Full { slots: Slots::All | Slots::Ordinary, .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_slots_are_taken_is_told_in_any_language() {
        assert_eq!(Slots::of("InitPostgres", "die verbleibenden Verbindungen sind …"), Slots::Ordinary);
        assert_eq!(Slots::of("InitializeSessionUserId", "zu viele"), Slots::Role);
        assert_eq!(Slots::of("CheckMyDatabase", "zu viele"), Slots::Database);
        assert_eq!(Slots::of("ProcessStartupPacket", "sorry, too many clients already"), Slots::All);
        assert!(hint("password authentication failed for user \"x\"").contains("PGPASSWORD"));
        assert_eq!(hint("some other words"), "");
    }
}
