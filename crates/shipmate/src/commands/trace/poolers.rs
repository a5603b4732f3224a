//! The consoles of poolers: opened once, asked at each look.

use anyhow::Context as _;
use operate::trace::pooler::{CONSOLE, Console, Pooler};
use operate::trace::postgres::{Dsn, Surroundings};

use super::postgres::logged_in;

/// Consoles of poolers.
pub(super) struct Consoles(Vec<(Dsn, Option<Console>)>);

impl Consoles {
    /// Opens them all: one that can't be opened is said at once, before anything is looked at.
    pub(super) async fn open(strings: &[String]) -> anyhow::Result<Self> {
        let surroundings = Surroundings { database: Some(CONSOLE.to_owned()), ..Surroundings::from_environment() };
        let mut consoles = Vec::new();
        for text in strings {
            let mut dsn = Dsn::read(text, &surroundings)?;
            if dsn.with_password {
                eprintln!("warning: others on this machine can read the password in --pgbouncer: use ~/.pgpass");
            }
            // What it tells at all, it tells now: a role that may not ask is told so before the first look.
            let place = dsn.place();
            let opened = async |dsn: &Dsn| {
                let console = Console::open(dsn).await?;
                console.ask().await.map(|_| console)
            };
            let console = logged_in(&mut dsn, opened).await.with_context(|| {
                format!(
                    "ask the pooler at {place}: the role has to be in stats_users or admin_users of its configuration"
                )
            })?;
            consoles.push((dsn, Some(console)));
        }
        Ok(Self(consoles))
    }

    /// What they tell, and which do not answer any more. Those are opened again at the next look.
    pub(super) async fn ask(&mut self) -> (Vec<Pooler>, Vec<String>) {
        let (mut told, mut missing) = (Vec::new(), Vec::new());
        for (dsn, console) in &mut self.0 {
            if console.is_none() {
                *console = Console::open(dsn).await.ok();
            }
            let answer = match console {
                Some(console) => console.ask().await.map_err(|error| error.to_string()),
                None => Err("it can't be reached".to_owned()),
            };
            match answer {
                Ok(pooler) => told.push(pooler),
                Err(why) => {
                    *console = None;
                    missing.push(format!("the pooler at {} does not tell who is behind it: {why}", dsn.place()));
                }
            }
        }
        (told, missing)
    }
}
