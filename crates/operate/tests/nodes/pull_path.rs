//! The way that is told is the way that containerd goes: the same URLs in the same order, and the same words where it asks
//! nobody. With another containerd first in `PATH` it is that one's way; those of 1.6 to 2.4 were tried.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use cri::import::ImageName;
use cri::v1;
use operate::access::Local;
use operate::pull_path::{Files, Found, Known, Secret, Source, gather, probe, resolve};
use operate::registry::Credentials;

use crate::support::{Containerd, Registry, Sshd, image, store};

const REGISTRY: &str = "[plugins.\"io.containerd.grpc.v1.cri\".registry";
const NEW_REGISTRY: &str = "[plugins.\"io.containerd.cri.v1.images\".registry";

/// Two ports that write down what is asked, and have nothing.
struct Doors {
    ports: [u16; 2],
    asked: Arc<Mutex<Vec<String>>>,
}

impl Doors {
    fn open() -> Self {
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let ports = [0, 1].map(|_| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            let asked = asked.clone();
            // Ends with the test's process.
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    answer(stream, port, &asked);
                }
            });
            port
        });
        Self { ports, asked }
    }

    fn fill(&self, text: &str) -> String {
        text.replace("{A}", &format!("127.0.0.1:{}", self.ports[0]))
            .replace("{B}", &format!("127.0.0.1:{}", self.ports[1]))
    }
}

fn answer(mut stream: TcpStream, port: u16, asked: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = Vec::new();
    let Ok(first) = reader.fill_buf() else { return };
    if first.first() == Some(&0x16) {
        // Somebody who begins with TLS gets the answer of those who speak none.
        let _ = stream.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\n");
        return;
    }
    let Ok(_) = reader.read_until(b'\n', &mut line) else { return };
    let Ok(line) = String::from_utf8(line) else { return };
    if let [method, path, _] = line.split_whitespace().collect::<Vec<_>>()[..] {
        asked.lock().unwrap().push(format!("{method} http://127.0.0.1:{port}{path}"));
    }
    for line in reader.lines() {
        if line.map_or(true, |line| line.is_empty()) {
            break;
        }
    }
    let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

struct Case {
    name: &'static str,
    config: &'static str,
    hosts: &'static [(&'static str, &'static str)],
    image: &'static str,
    /// A file that is imported.
    import: &'static str,
    /// containerd 2 only.
    new: bool,
}

const NONE: Case = Case { name: "", config: "", hosts: &[], image: IMAGE, import: "", new: false };

const IMAGE: &str = "registry.example:5000/team/app:1";

fn mirrors(name: &'static str, config: &'static str, image: &'static str) -> Case {
    Case { name, config, image, ..NONE }
}

const fn hosts(name: &'static str, hosts: &'static [(&'static str, &'static str)], image: &'static str) -> Case {
    Case { name, config: "config_path", hosts, image, ..NONE }
}

fn cases() -> Vec<Case> {
    vec![
        mirrors("nothing at all, this machine", "", "{A}/team/app:1"),
        mirrors(
            "nothing at all, localhost by digest",
            "",
            "{A}/team/app@sha256:2cbc7352df08b5cf6a3e4c7a85547f946bec045c01cdefbe40e148c629cd78b1",
        ),
        mirrors("a mirror", ".mirrors.\"registry.example:5000\"]\n endpoint = [\"http://{A}\"]", IMAGE),
        mirrors(
            "two mirrors",
            ".mirrors.\"registry.example:5000\"]\n endpoint = [\"http://{B}\", \"http://{A}\"]",
            IMAGE,
        ),
        mirrors("any", ".mirrors.\"*\"]\n endpoint = [\"http://{A}\"]", IMAGE),
        mirrors(
            "its own before any",
            ".mirrors.\"*\"]\n endpoint = [\"http://{A}\"]\n{R}.mirrors.\"registry.example:5000\"]\n endpoint = [\"http://{B}\"]",
            IMAGE,
        ),
        mirrors(
            "the registry itself among its mirrors",
            ".mirrors.\"{A}\"]\n endpoint = [\"http://{A}\", \"http://{B}\"]",
            "{A}/team/app:1",
        ),
        mirrors("without a scheme", ".mirrors.\"registry.example:5000\"]\n endpoint = [\"{A}\"]", IMAGE),
        mirrors(
            "with a path",
            ".mirrors.\"registry.example:5000\"]\n endpoint = [\"http://{A}/proxy/v2\", \"http://{B}/\"]",
            IMAGE,
        ),
        mirrors("the hub", ".mirrors.\"docker.io\"]\n endpoint = [\"http://{A}\"]", "nginx"),
        mirrors(
            "a blank in front",
            ".mirrors.\"registry.example:5000\"]\n endpoint = [\" http://{A}\", \"http://{B}\"]",
            IMAGE,
        ),
        mirrors("a blank behind", ".mirrors.\"registry.example:5000\"]\n endpoint = [\"http://{A} \"]", IMAGE),
        mirrors("a tab", ".mirrors.\"registry.example:5000\"]\n endpoint = [\"\\thttp://{A}\"]", IMAGE),
        mirrors(
            "good and then a blank",
            ".mirrors.\"{A}\"]\n endpoint = [\"http://{A}\", \" http://{B}\"]",
            "{A}/team/app:1",
        ),
        mirrors("one slash", ".mirrors.\"registry.example:5000\"]\n endpoint = [\"http:/{A}\"]", IMAGE),
        mirrors(
            "a key with a scheme",
            ".mirrors.\"http://registry.example:5000\"]\n endpoint = [\"http://{A}\"]",
            IMAGE,
        ),
        hosts("hosts.toml", &[("registry.example:5000", "server = \"http://{B}\"\n[host.\"http://{A}\"]\n")], IMAGE),
        hosts(
            "in the order of the file",
            &[("registry.example:5000", "[host.\"http://{B}\"]\n[host.\"http://{A}\"]\n")],
            IMAGE,
        ),
        hosts(
            "the directory with underscores first",
            &[
                ("registry.example_5000_", "[host.\"http://{A}\"]\n"),
                ("registry.example:5000", "[host.\"http://{B}\"]\n"),
            ],
            IMAGE,
        ),
        hosts("the default directory", &[("_default", "[host.\"http://{A}\"]\n")], IMAGE),
        hosts("another registry's directory", &[("registry.example", "[host.\"http://{A}\"]\n")], IMAGE),
        hosts("no host table", &[("registry.example:5000", "server = \"http://{A}\"\n")], IMAGE),
        hosts(
            "a capability that is none",
            &[("registry.example:5000", "[host.\"http://{A}\"]\n capabilities = [\"pul\"]\n")],
            IMAGE,
        ),
        hosts(
            "a blank in a host",
            &[("registry.example:5000", "[host.\" http://{A}\"]\n[host.\"http://{B}\"]\n")],
            IMAGE,
        ),
        hosts(
            "only resolve",
            &[(
                "registry.example:5000",
                "[host.\"http://{A}\"]\n capabilities = [\"resolve\"]\n[host.\"http://{B}\"]\n",
            )],
            IMAGE,
        ),
        hosts(
            "only pull",
            &[("registry.example:5000", "[host.\"http://{A}\"]\n capabilities = [\"pull\"]\n[host.\"http://{B}\"]\n")],
            IMAGE,
        ),
        hosts("paths", &[("registry.example:5000", "[host.\"http://{A}/x\"]\n[host.\"http://{B}/y/v2\"]\n")], IMAGE),
        hosts(
            "a path that is kept",
            &[("registry.example:5000", "[host.\"http://{A}/x\"]\n override_path = true\n")],
            IMAGE,
        ),
        hosts("no TOML", &[("registry.example:5000", "server = \"http://{A}\n")], IMAGE),
        hosts(
            "a flag that is none",
            &[("registry.example:5000", "[host.\"http://{A}\"]\n skip_verify = \"yes\"\n")],
            IMAGE,
        ),
        hosts(
            "a capability that is no list",
            &[("registry.example:5000", "[host.\"http://{A}\"]\n capabilities = \"pull\"\n")],
            IMAGE,
        ),
        hosts("an empty file", &[("registry.example:5000", "")], IMAGE),
        hosts(
            "a missing authority",
            &[("registry.example:5000", "[host.\"http://{A}\"]\n ca = \"none.crt\"\n")],
            IMAGE,
        ),
        hosts("this machine without a directory", &[], "{A}/team/app:1"),
        hosts(
            "http with settings for TLS",
            &[("registry.example:5000", "[host.\"http://{A}\"]\n skip_verify = true\n[host.\"http://{B}\"]\n")],
            IMAGE,
        ),
        hosts(
            "headers",
            &[(
                "registry.example:5000",
                "[host.\"http://{B}\"]\n[host.\"http://{B}\".header]\n x-a = \"b\"\n[host.\"http://{A}\"]\n",
            )],
            IMAGE,
        ),
        hosts(
            "a client without a file",
            &[("registry.example:5000", "[host.\"http://{A}\"]\n client = [[\"none.pem\", \"none.key\"]]\n")],
            IMAGE,
        ),
        hosts(
            "a client that is no pair",
            &[("registry.example:5000", "[host.\"http://{A}\"]\n client = [[\"none.pem\"]]\n")],
            IMAGE,
        ),
        hosts(
            "a newer capability",
            &[(
                "registry.example:5000",
                "[host.\"http://{A}\"]\n capabilities = [\"pull\", \"resolve\", \"referrers\"]\n",
            )],
            IMAGE,
        ),
        Case {
            name: "two directories",
            config: "config_paths",
            hosts: &[("registry.example:5000", "[host.\"http://{A}\"]\n")],
            ..NONE
        },
        Case {
            name: "a drop-in with another registry",
            config: ".mirrors.\"registry.example:5000\"]\n endpoint = [\"http://{A}\"]",
            import: "version = 2\n{R}.mirrors.\"other.example\"]\n endpoint = [\"http://{B}\"]\n",
            ..NONE
        },
        Case {
            name: "a drop-in with the same registry",
            config: ".mirrors.\"registry.example:5000\"]\n endpoint = [\"http://{A}\"]",
            import: "version = 2\n{R}.mirrors.\"registry.example:5000\"]\n endpoint = [\"http://{B}\"]\n",
            ..NONE
        },
        Case {
            name: "a drop-in without a version",
            config: ".mirrors.\"registry.example:5000\"]\n endpoint = [\"http://{A}\"]",
            import: "{R}.mirrors.\"registry.example:5000\"]\n endpoint = [\"http://{B}\"]\n",
            ..NONE
        },
        Case {
            name: "a drop-in of version 3",
            config: ".mirrors.\"registry.example:5000\"]\n endpoint = [\"http://{A}\"]",
            import: "version = 3\n{N}.mirrors.\"other.example\"]\n endpoint = [\"http://{B}\"]\n",
            new: true,
            ..NONE
        },
        Case {
            name: "the new name in an old file",
            config: ".mirrors.\"other.example\"]\n endpoint = [\"http://{A}\"]",
            import: "version = 2\n{N}.mirrors.\"registry.example:5000\"]\n endpoint = [\"http://{B}\"]\n",
            new: true,
            ..NONE
        },
        Case {
            name: "settings that the transfer service does not know",
            config: "config_paths",
            hosts: &[("registry.example:5000", "[host.\"http://{A}\"]\n")],
            import: "version = 3\n[plugins.\"io.containerd.cri.v1.images\"]\n use_local_image_pull = true\n",
            new: true,
            ..NONE
        },
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_that_is_told_is_the_way_that_containerd_goes() {
    let mut containerd = Containerd::start("").await;
    let doors = Doors::open();
    let mut wrong = Vec::new();
    let mut n_asked = 0;
    let version = containerd.runtime.containerd_version().await.unwrap();
    let old = version.trim_start_matches('v').starts_with("1.");
    for case in cases().iter().filter(|case| !(old && case.new)) {
        match one(&mut containerd, &doors, case).await {
            Ok(n) => n_asked += n,
            Err(difference) => wrong.push(format!("{}: {difference}", case.name)),
        }
    }
    assert!(n_asked >= 20, "only {n_asked} requests were seen: that proves little");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The number of requests that were seen, or what differs.
async fn one(containerd: &mut Containerd, doors: &Doors, case: &Case) -> Result<usize, String> {
    let certs = containerd.path("certs.d");
    let _ = fs::remove_dir_all(&certs);
    for (host, text) in case.hosts {
        let directory = certs.join(doors.fill(host));
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("hosts.toml"), doors.fill(text)).unwrap();
    }
    let named = |text: &str| doors.fill(text).replace("{R}", REGISTRY).replace("{N}", NEW_REGISTRY);
    let config = match case.config {
        "" => String::new(),
        "config_path" => format!("{REGISTRY}]\n config_path = {:?}", certs.display().to_string()),
        "config_paths" => format!("{REGISTRY}]\n config_path = \"{}:/none\"", certs.display()),
        config => format!("{REGISTRY}{config}"),
    };
    let more = containerd.path("conf.d");
    fs::create_dir_all(&more).unwrap();
    fs::write(more.join("10-more.toml"), named(case.import)).unwrap();
    // Absolute, but for one case: 1.6 takes a relative pattern from where it was started.
    let relative = case.import.starts_with("{R}");
    let pattern = if relative { "conf.d/*.toml".to_owned() } else { format!("{}/*.toml", more.display()) };
    let imports = if case.import.is_empty() { String::new() } else { format!("imports = [{pattern:?}]\n") };
    containerd.restart_with(&format!("version = 2\n{imports}"), &named(&config)).await;
    let image: ImageName = doors.fill(case.image).parse().unwrap();
    doors.asked.lock().unwrap().clear();
    let request = v1::PullImageRequest {
        image: Some(v1::ImageSpec { image: image.to_string(), ..Default::default() }),
        ..Default::default()
    };
    let error = containerd.runtime.pull_image(request).await.unwrap_err().to_string();
    let mut asked = doors.asked.lock().unwrap().clone();
    // By digest it asks for a blob too; the way is told for the manifest.
    asked.retain(|line| line.contains("/manifests/"));

    let access = Local::new("here");
    let main = containerd.config().display().to_string();
    let version = containerd.runtime.containerd_version().await.unwrap();
    let path = with_main(&access, &image, &main, &version).await;
    let told: Vec<String> = match &path.refused {
        Some(refused) if error.contains(&refused.words) => Vec::new(),
        Some(refused) => return Err(format!("told {:?}, containerd says {error}", refused.words)),
        None => path
            .endpoints
            .iter()
            .filter(|endpoint| endpoint.left_out.is_none())
            .map(|endpoint| match endpoint.falls_back_to_http {
                // The doors speak no TLS.
                true => endpoint.url.replacen("https://", "http://", 1),
                false => endpoint.url.clone(),
            })
            .filter(|url| url.starts_with("http://127.0.0.1:"))
            .map(|url| format!("HEAD {url}"))
            .collect(),
    };
    if told != asked {
        return Err(format!("told {told:?}, containerd asked {asked:?} and says {error}"));
    }
    // What it says it ignores is what containerd says it could not decode.
    let bypassed = path.notes.iter().any(|note| note.bypassed && matches!(path.source, Source::Certificates { .. }));
    let log = containerd.log();
    if bypassed && !log.contains("failed to decode ") {
        return Err(format!("told {:?}, containerd's log has nothing of it", path.notes));
    }
    Ok(asked.len())
}

/// As `gather`, for a configuration at another place.
async fn with_main(access: &Local, image: &ImageName, main: &str, version: &str) -> operate::pull_path::PullPath {
    let mut files = Files::default();
    loop {
        let path = resolve(image, &mut files, main, version);
        let wanted = files.take_wanted();
        if wanted.is_empty() {
            return path;
        }
        for path in wanted {
            let found = match fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() => Found::Directory(
                    fs::read_dir(&path)
                        .unwrap()
                        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                        .collect(),
                ),
                Ok(_) => Found::File(fs::read_to_string(&path).unwrap()),
                Err(_) => Found::Missing,
            };
            files.set(path, found);
        }
        let _ = access;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_are_tried_to_the_end() {
    let storage = tempfile::tempdir().unwrap();
    store(storage.path(), "team/app", "1", &image("x.example/app:1", 1 << 10));
    let registry = Registry::start(storage.path(), "");
    let name: ImageName = format!("{}/team/app:1", registry.host).parse().unwrap();
    let access = Local::new("here");
    let platform = cri::import::Platform::here();
    let trace = |name: ImageName, platform: &cri::import::Platform| {
        let known = Known { platform: Some(platform.clone()), secrets: Vec::new() };
        let access = &access;
        async move {
            let path = resolve(&name, &mut Files::default(), "/none", "1.6.20");
            probe(access, "1.6.20", "/none", path, &known).await
        }
    };
    let good = trace(name.clone(), &platform).await;
    assert_eq!(good.stops, None, "{good}");
    assert!(good.to_string().contains("nothing stops it"), "{good}");
    let other = trace(name.clone(), &cri::import::Platform::linux("s390x")).await;
    assert!(other.stops.as_ref().unwrap().contains("exec format error"), "{other}");
    let missing: ImageName = format!("{}/team/app:2", registry.host).parse().unwrap();
    let missing = trace(missing, &platform).await;
    assert!(missing.stops.as_ref().unwrap().contains("does not have this repository or tag"), "{missing}");
    let nobody: ImageName = format!("127.0.0.1:{}/x:1", crate::support::free_port()).parse().unwrap();
    let nobody = trace(nobody, &platform).await;
    assert!(nobody.stops.as_ref().unwrap().contains("refused"), "{nobody}");
    // On this machine as it is, whatever its configuration says, there is a way.
    let gathered = gather(&access, &name, "1.6.20").await.unwrap();
    assert_eq!(gathered.path.reference, name.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_and_passwords_are_tried_too() {
    let storage = tempfile::tempdir().unwrap();
    store(storage.path(), "team/app", "1", &image("x.example/app:1", 1 << 10));
    let (registry, authority) = Registry::start_closed(storage.path());
    let trusted = storage.path().join("authority.crt").display().to_string();
    fs::write(&trusted, &authority).unwrap();
    // The registry is a mirror: of this machine itself containerd would check no certificate.
    let name: ImageName = "registry.invalid/team/app:1".parse().unwrap();
    let trace = |hosts: String, secret: Option<(&'static str, &'static str)>| {
        let (name, host) = (name.clone(), registry.host.clone());
        async move {
            let mut files = Files::default();
            let main = format!("version = 2\n{REGISTRY}]\n config_path = \"/certs\"\n");
            files.set("/main", Found::File(main));
            files.set("/certs/registry.invalid", Found::Directory(vec!["hosts.toml".to_owned()]));
            let hosts = format!("server = \"https://{host}\"\n[host.\"https://{host}\"]\n{hosts}\n");
            files.set("/certs/registry.invalid/hosts.toml", Found::File(hosts));
            for path in ["/nowhere.crt", "authority.crt"] {
                files.set(path, Found::Missing);
            }
            let mut path = resolve(&name, &mut files, "/main", "1.6.20");
            for wanted in files.take_wanted() {
                files.set(&wanted, Found::File(fs::read_to_string(&wanted).unwrap()));
                path = resolve(&name, &mut files, "/main", "1.6.20");
            }
            let secrets = secret.map(|(user, password)| Secret {
                name: "default/pull".to_owned(),
                words: "applies".to_owned(),
                credentials: Some(Credentials::new(user, password)),
            });
            let known = Known { platform: Some(cri::import::Platform::here()), secrets: secrets.into_iter().collect() };
            probe(&Local::new("here"), "1.6.20", "/main", path, &known).await
        }
    };
    let with_ca = format!(" ca = {trusted:?}");
    let stops = |trace: &operate::pull_path::NodeTrace| trace.stops.clone().unwrap_or_default();
    let untrusted = trace(String::new(), None).await;
    assert!(stops(&untrusted).contains("not trusted here: CN=the test's own authority"), "{untrusted}");
    let nobody = trace(with_ca.clone(), None).await;
    assert!(stops(&nobody).contains("no pull secret applies"), "{nobody}");
    let wrong = trace(with_ca.clone(), Some(("alice", "wr0ng"))).await;
    assert!(stops(&wrong).contains("these credentials are refused"), "{wrong}");
    assert!(!wrong.to_string().contains("wr0ng"));
    let good = trace(with_ca, Some(("alice", "s3cret"))).await;
    assert_eq!(good.stops, None, "{good}");
    assert!(good.to_string().contains("certificate for 127.0.0.1, until "), "{good}");
    let unchecked = trace(" skip_verify = true".to_owned(), Some(("alice", "s3cret"))).await;
    assert!(unchecked.to_string().contains("not checked: skip_verify"), "{unchecked}");
    let missing = trace(" ca = \"/nowhere.crt\"".to_owned(), None).await;
    assert!(stops(&missing).contains("unable to read CA cert \"/nowhere.crt\""), "{missing}");
    // Without the mirror there is only the registry itself, which nobody knows.
    let path = resolve(&name, &mut Files::default(), "/none", "1.6.20");
    let unknown = probe(&Local::new("here"), "1.6.20", "/none", path, &Known::default()).await;
    assert!(stops(&unknown).contains("registry.invalid has no address"), "{unknown}");
}

/// The way of a reference with these files, which stand for the node's.
async fn tried(
    access: &dyn operate::access::Access,
    name: &ImageName,
    given: &[(&str, String)],
) -> operate::pull_path::NodeTrace {
    let mut files = Files::default();
    let path = loop {
        let path = resolve(name, &mut files, "/main", "2.4.2");
        let wanted = files.take_wanted();
        if wanted.is_empty() {
            break path;
        }
        for wanted in wanted {
            let file = given.iter().find(|(path, _)| *path == wanted).map(|(_, text)| Found::File(text.clone()));
            let there = given.iter().any(|(path, _)| path.starts_with(&format!("{wanted}/")));
            let other = if there { Found::Directory(vec!["hosts.toml".to_owned()]) } else { Found::Missing };
            let here = fs::read_to_string(&wanted).map(Found::File);
            files.set(&wanted, file.or(here.ok()).unwrap_or(other));
        }
    };
    let known = Known { platform: Some(cri::import::Platform::here()), secrets: Vec::new() };
    probe(access, "2.4.2", "/main", path, &known).await
}

const NEW_MAIN: &str = "version = 3\n[plugins.\"io.containerd.cri.v1.images\".registry]\n config_path = \"/certs\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_node_shows_its_certificate_and_uses_its_own_password() {
    let storage = tempfile::tempdir().unwrap();
    store(storage.path(), "team/app", "1", &image("x.example/app:1", 1 << 10));
    let name: ImageName = "registry.invalid/team/app:1".parse().unwrap();
    let file = |name: &str| storage.path().join(name).display().to_string();
    let hosts = |host: &str, more: &str| {
        let authority = file("authority.pem");
        let text = format!("server = \"https://{host}\"\n[host.\"https://{host}\"]\n ca = {authority:?}\n{more}\n");
        ("/certs/registry.invalid/hosts.toml", text)
    };
    let here = Local::new("here");
    let (registry, _) = Registry::start_for_clients(storage.path());
    let client = format!(" client = [[{:?}, {:?}]]", file("client.pem"), file("client.key"));
    let main = ("/main", NEW_MAIN.to_owned());
    let shown = tried(&here, &name, &[main.clone(), hosts(&registry.host, &client)]).await;
    assert_eq!(shown.stops, None, "{shown}");
    let unknown = tried(&here, &name, &[main.clone(), hosts(&registry.host, "")]).await;
    assert!(
        unknown.stops.as_ref().is_some_and(|stops| stops.contains("may want a certificate of the client")),
        "{unknown}"
    );
    drop(registry);

    let (registry, _) = Registry::start_closed(storage.path());
    let auth = format!(
        "[plugins.\"io.containerd.cri.v1.images\".registry.configs.{:?}.auth]\nusername = \"alice\"\npassword = \"s3cret\"\n",
        registry.host
    );
    let main = ("/main", format!("{NEW_MAIN}{auth}"));
    let own = tried(&here, &name, &[main, hosts(&registry.host, "")]).await;
    assert_eq!(own.stops, None, "{own}");
    assert!(own.to_string().contains("as containerd's own configuration says"), "{own}");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_ssh_connections_begin_on_the_node_also_where_sshd_forwards_none() {
    let storage = tempfile::tempdir().unwrap();
    store(storage.path(), "team/app", "1", &image("x.example/app:1", 1 << 10));
    let registry = Registry::start(storage.path(), "");
    let name: ImageName = format!("{}/team/app:1", registry.host).parse().unwrap();
    let nobody: ImageName = format!("127.0.0.1:{}/x:1", crate::support::free_port()).parse().unwrap();
    for setting in ["", "AllowTcpForwarding no"] {
        let sshd = Sshd::start(setting);
        let node = sshd.access("n1");
        let good = tried(&node, &name, &[]).await;
        assert_eq!(good.stops, None, "{setting}: {good}");
        let refused = tried(&node, &nobody, &[]).await;
        assert!(
            refused.stops.as_ref().is_some_and(|stops| stops.contains("at tcp") && stops.contains("refused")),
            "{refused}"
        );
    }
}
