//! Which request means what.

use std::collections::HashMap;
use std::time::Duration;

use http::Method;
use jiff::Timestamp;
use percent_encoding::percent_decode_str;

use super::exec::Wanted;
use super::logs;

/// A request, understood.
#[derive(Debug, PartialEq)]
pub(super) enum Route {
    Healthz,
    Logs { namespace: String, pod: String, container: String, options: Box<logs::Options> },
    Exec { namespace: String, pod: String, container: String, wanted: Wanted },
    Attach { namespace: String, pod: String, container: String, wanted: Wanted },
    PortForward { namespace: String, pod: String },
    Stats,
}

/// Why a request is not understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    NotFound,
    Method,
    Query(String),
}

/// Understands a request line.
pub(super) fn route(method: &Method, path: &str, query: Option<&str>, now: Timestamp) -> Result<Route, Refused> {
    let segments: Vec<String> = path.trim_matches('/').split('/').map(decoded).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let get = || if method == Method::GET { Ok(()) } else { Err(Refused::Method) };
    let stream = || if method == Method::GET || method == Method::POST { Ok(()) } else { Err(Refused::Method) };
    let query = Query::parse(query.unwrap_or_default());
    match segments.as_slice() {
        ["healthz"] => get().map(|()| Route::Healthz),
        ["stats", "summary"] => get().map(|()| Route::Stats),
        ["containerLogs", namespace, pod, container] => {
            get()?;
            let options = Box::new(query.log_options(now)?);
            Ok(Route::Logs {
                namespace: (*namespace).into(),
                pod: (*pod).into(),
                container: (*container).into(),
                options,
            })
        }
        // A uid may stand between pod and container, as in the real kubelet's API.
        ["exec", namespace, pod, container] | ["exec", namespace, pod, _, container] => {
            stream()?;
            let wanted = query.wanted();
            if wanted.command.is_empty() {
                return Err(Refused::Query("no command is given".to_owned()));
            }
            Ok(Route::Exec {
                namespace: (*namespace).into(),
                pod: (*pod).into(),
                container: (*container).into(),
                wanted,
            })
        }
        ["attach", namespace, pod, container] | ["attach", namespace, pod, _, container] => {
            stream()?;
            let wanted = query.wanted();
            Ok(Route::Attach {
                namespace: (*namespace).into(),
                pod: (*pod).into(),
                container: (*container).into(),
                wanted,
            })
        }
        ["portForward", namespace, pod] | ["portForward", namespace, pod, _] => {
            stream()?;
            Ok(Route::PortForward { namespace: (*namespace).into(), pod: (*pod).into() })
        }
        _ => Err(Refused::NotFound),
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Query parameters; some may stand several times.
struct Query(HashMap<String, Vec<String>>);

impl Query {
    fn parse(text: &str) -> Self {
        let mut found: HashMap<String, Vec<String>> = HashMap::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            found.entry(decoded(&name.replace('+', " "))).or_default().push(decoded(&value.replace('+', " ")));
        }
        Self(found)
    }

    fn first(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.first().map(String::as_str).filter(|value| !value.is_empty())
    }

    fn flag(&self, name: &str) -> bool {
        matches!(self.first(name), Some("true" | "1"))
    }

    fn number<N: std::str::FromStr>(&self, name: &str) -> Result<Option<N>, Refused> {
        let parse = |text: &str| text.parse().map_err(|_| Refused::Query(format!("{name}={text} is not a number")));
        self.first(name).map(parse).transpose()
    }

    /// Which streams are asked for: by the API's names, or by the kubelet's older ones.
    fn wanted(&self) -> Wanted {
        let either = |name, old| self.flag(name) || self.flag(old);
        Wanted {
            command: self.0.get("command").cloned().unwrap_or_default(),
            stdin: either("stdin", "input"),
            stdout: either("stdout", "output"),
            stderr: either("stderr", "error"),
            tty: self.flag("tty"),
        }
    }

    fn log_options(&self, now: Timestamp) -> Result<logs::Options, Refused> {
        let seconds: Option<u64> = self.number("sinceSeconds")?;
        let since = match (seconds, self.first("sinceTime")) {
            (Some(seconds), _) => now.checked_sub(Duration::from_secs(seconds)).ok(),
            (None, Some(time)) => {
                let wrong = |_| Refused::Query(format!("sinceTime={time} is not a time"));
                Some(time.parse().map_err(wrong)?)
            }
            (None, None) => None,
        };
        let stream = self.first("stream").map(str::to_lowercase).filter(|stream| stream != "all");
        Ok(logs::Options {
            follow: self.flag("follow"),
            previous: self.flag("previous"),
            timestamps: self.flag("timestamps"),
            tail: self.number("tailLines")?,
            since,
            limit: self.number("limitBytes")?,
            stream,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(text: &str) -> Result<Route, Refused> {
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        route(&Method::GET, path, Some(query), "2026-11-23T10:00:00Z".parse().unwrap())
    }

    #[test]
    fn requests_are_understood() {
        let Ok(Route::Exec { namespace, pod, container, wanted }) =
            get("/exec/a/web/app?command=sh&command=-c&command=echo%20a%2Bb&stdout=true&input=1&tty=false")
        else {
            panic!("an exec")
        };
        assert_eq!((namespace.as_str(), pod.as_str(), container.as_str()), ("a", "web", "app"));
        assert_eq!(wanted.command, ["sh", "-c", "echo a+b"]);
        assert_eq!((wanted.stdin, wanted.stdout, wanted.stderr, wanted.tty), (true, true, false, false));

        let Ok(Route::Logs { options, .. }) =
            get("/containerLogs/a/web/app?tailLines=5&sinceSeconds=60&follow=true&stream=All")
        else {
            panic!("logs")
        };
        assert_eq!((options.tail, options.follow, options.stream.as_deref()), (Some(5), true, None));
        assert_eq!(options.since.unwrap().to_string(), "2026-11-23T09:59:00Z");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert_eq!(get("/"), Err(Refused::NotFound));
        assert_eq!(get("/exec/a/web"), Err(Refused::NotFound));
        for query in ["/exec/a/web/app", "/containerLogs/a/b/c?tailLines=-1", "/containerLogs/a/b/c?sinceTime=never"] {
            assert!(matches!(get(query), Err(Refused::Query(_))), "{query}");
        }
        let post = route(&Method::POST, "/containerLogs/a/b/c", None, Timestamp::UNIX_EPOCH);
        assert_eq!(post, Err(Refused::Method));
    }
}
