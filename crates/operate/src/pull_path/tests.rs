//! Configurations of all versions, and texts that are none.

use super::*;

const MAIN: &str = "/etc/containerd/config.toml";

/// The way with these files; directories are those of the files.
fn way(image: &str, version: &str, given: &[(&str, &str)]) -> PullPath {
    let mut files = Files::default();
    let image: ImageName = image.parse().unwrap();
    loop {
        let path = resolve(&image, &mut files, MAIN, version);
        let wanted = files.take_wanted();
        if wanted.is_empty() {
            return path;
        }
        for wanted in wanted {
            let below: Vec<String> = given
                .iter()
                .filter_map(|(path, _)| path.strip_prefix(&format!("{wanted}/")))
                .filter_map(|rest| rest.split('/').next().map(str::to_owned))
                .collect();
            let found = match given.iter().find(|(path, _)| *path == wanted) {
                Some((_, text)) => Found::File((*text).to_owned()),
                None if below.is_empty() => Found::Missing,
                None => Found::Directory(below),
            };
            files.set(wanted, found);
        }
    }
}

fn urls(path: &PullPath) -> Vec<&str> {
    path.endpoints.iter().map(|endpoint| endpoint.url.as_str()).collect()
}

fn mirror(plugin: &str, url: &str) -> String {
    format!("[plugins.\"{plugin}\".registry.mirrors.\"r.example\"]\nendpoint = [\"{url}\"]\n")
}

#[test]
fn each_version_has_its_own_name_for_the_plugin() {
    let uses = |version: &str, text: String| urls(&way("r.example/a:1", version, &[(MAIN, &text)])).len() == 2;
    let (short, long, new) = ("cri", "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images");
    assert!(uses("1.6.20", mirror(short, "http://m")));
    assert!(uses("1.6.20", format!("version = 2\n{}", mirror(long, "http://m"))));
    assert!(uses("2.1.0", format!("version = 2\n{}", mirror(long, "http://m"))));
    assert!(uses("2.1.0", format!("version = 3\n{}", mirror(new, "http://m"))));
    assert!(!uses("1.6.20", format!("version = 2\n{}", mirror("io.containerd.grpc.v1.cry", "http://m"))));
    assert!(!uses("1.7.0", format!("version = 3\n{}", mirror(new, "http://m"))));
    assert!(!uses("1.6.20", mirror(long, "http://m")));
}

#[test]
fn a_later_file_replaces_the_plugins_table() {
    let main = format!(
        "version = 2\nimports = [\"/etc/containerd/conf.d/*.toml\", \"more.toml\"]\n{}",
        mirror("io.containerd.grpc.v1.cri", "http://one")
    );
    let two = format!("version = 2\n{}", mirror("io.containerd.grpc.v1.cri", "http://two"));
    let three = format!("version = 2\n{}", mirror("io.containerd.grpc.v1.cri", "http://three"));
    let files = [
        (MAIN, main.as_str()),
        ("/etc/containerd/conf.d/a.toml", two.as_str()),
        ("/etc/containerd/more.toml", three.as_str()),
    ];
    let path = way("r.example/a:1", "1.6.20", &files);
    assert_eq!(urls(&path), ["http://three/v2/a/manifests/1?ns=r.example", "https://r.example/v2/a/manifests/1"]);
    // What is left aside is told, with its line.
    let lost = path.notes.iter().find(|note| note.words.contains("replaced as a whole")).unwrap();
    assert_eq!((lost.bypassed, lost.place.as_ref().unwrap().path.as_str()), (true, MAIN));
    let missing = way("r.example/a:1", "1.6.20", &files[..2]);
    assert!(missing.refused.unwrap().words.contains("/etc/containerd/more.toml, which is not there"));
}

#[test]
fn containerd_2_merges_tables_and_replaces_values() {
    let (long, new) = ("io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images");
    let main = format!("version = 2\nimports = [\"more.toml\"]\n{}", mirror(long, "http://one"));
    let more = "/etc/containerd/more.toml";
    let asked = |version: &str, text: &str| {
        let path = way("r.example/a:1", version, &[(MAIN, &main), (more, text)]);
        let hosts: Vec<String> = urls(&path).iter().map(|url| url.split('/').nth(2).unwrap().to_owned()).collect();
        hosts[..hosts.len() - 1].join(" ")
    };
    let other = format!("version = 2\n{}", mirror(long, "http://two").replace("r.example", "o.example"));
    assert_eq!(asked("1.7.24", &other), "");
    assert_eq!(asked("2.1.9", &other), "one");
    let same = format!("version = 2\n{}", mirror(long, "http://two"));
    assert_eq!((asked("1.7.24", &same), asked("2.4.2", &same)), ("two".to_owned(), "two".to_owned()));
    // A newer file makes the older one's names count for nothing, until 2.3 brings each file forward by itself.
    let newer = format!("version = 3\n{}", mirror(new, "http://two").replace("r.example", "o.example"));
    assert_eq!((asked("2.2.9", &newer), asked("2.4.2", &newer)), (String::new(), "one".to_owned()));
    let refused = |version: &str, text: &str| way("r.example/a:1", version, &[(MAIN, text)]).refused;
    assert!(refused("1.7.24", "version = 3\n").unwrap().words.contains("unsupported config version `3`"));
    assert!(refused("2.2.9", "version = 4\n").unwrap().words.contains("equal to or less than `3`, got `4`"));
    assert_eq!((refused("1.6.20", "version = 3\n"), refused("2.3.4", "version = 4\n")), (None, None));
    // Without a version line 2.0 to 2.2 read the plugin's settings under no name at all.
    let first = mirror("cri", "http://one");
    let n = |version: &str| urls(&way("r.example/a:1", version, &[(MAIN, &first)])).len();
    assert_eq!((n("1.7.24"), n("2.1.9"), n("2.4.2")), (2, 1, 2));
}

#[test]
fn of_several_directories_the_transfer_service_finds_none() {
    let main = "version = 3\n[plugins.\"io.containerd.cri.v1.images\".registry]\nconfig_path = \"/certs:/more\"\n";
    let hosts = ("/more/r.example/hosts.toml", "[host.\"http://m\"]\n");
    let path = way("r.example/a:1", "2.2.9", &[(MAIN, main), hosts]);
    assert_eq!(urls(&path), ["https://r.example/v2/a/manifests/1"]);
    let [note] = &path.notes[..] else { panic!("{path:?}") };
    assert!(note.bypassed && note.words.starts_with("/more/r.example/hosts.toml is not used"), "{note:?}");
    // Before 2.1, or with a setting that the transfer service does not know, each is looked at.
    let local = format!("{main}[plugins.\"io.containerd.cri.v1.images\"]\nmax_concurrent_downloads = 5\n");
    for (version, main) in [("2.0.14", main), ("2.2.9", &local)] {
        assert_eq!(urls(&way("r.example/a:1", version, &[(MAIN, main), hosts])).len(), 2, "{version}");
    }
}

#[test]
fn what_a_host_is_shown_and_told_is_read_and_never_printed() {
    let main = "version = 3\n[plugins.\"io.containerd.cri.v1.images\".registry]\nconfig_path = \"/certs\"\n\
        [plugins.\"io.containerd.cri.v1.images\".registry.configs.\"m:1\".auth]\nusername = \"bob\"\npassword = \"s3cret\"\n";
    let hosts = "[host.\"https://m:1\"]\nclient = [[\"c.pem\", \"c.key\"]]\n[host.\"https://m:1\".header]\nx-token = \"t0ken\"\n\
        [host.\"http://m:2\"]\nskip_verify = true\n[host.\"http://m:80\"]\nskip_verify = true\n";
    let given = [
        (MAIN, main),
        ("/certs/r.example/hosts.toml", hosts),
        ("/certs/r.example/c.pem", "x"),
        ("/certs/r.example/c.key", "x"),
    ];
    let path = way("r.example/a:1", "2.4.2", &given);
    let [first, second, third, _] = &path.endpoints[..] else { panic!("{path:?}") };
    let pair = ("/certs/r.example/c.pem".to_owned(), Some("/certs/r.example/c.key".to_owned()));
    assert_eq!(first.client_certificates, [pair]);
    assert!(first.own_credentials && first.credentials.is_some());
    let printed = format!("{path:?}{}", serde_json::to_string(&path).unwrap());
    assert!(printed.contains("x-token") && !printed.contains("t0ken") && !printed.contains("s3cret"), "{printed}");
    assert!(second.falls_back_to_http && second.url.starts_with("https://m:2/"), "{second:?}");
    assert!(!third.falls_back_to_http && third.url.starts_with("http://m:80/"), "{third:?}");
    let older =
        way("r.example/a:1", "1.6.20", &[(MAIN, &main.replace("= 3", "= 2").replace("cri.v1.images", "grpc.v1.cri"))]);
    assert_eq!(older.endpoints.len(), 1);
    let missing = way("r.example/a:1", "2.4.2", &given[..3]).refused.unwrap();
    assert!(missing.words.contains("unable to read CERT file \"/certs/r.example/c.key\""), "{missing:?}");
}

#[test]
fn what_keeps_the_plugin_from_loading_is_told() {
    let both = format!(
        "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\nconfig_path = \"/certs\"\n{}",
        mirror("io.containerd.grpc.v1.cri", "http://m")
    );
    let path = way("r.example/a:1", "1.6.20", &[(MAIN, &both)]);
    let refused = path.refused.unwrap();
    assert!(refused.words.contains("`mirrors` cannot be set when `config_path` is provided"), "{refused:?}");
    assert_eq!(refused.place.unwrap().position.unwrap().line, 3);
    let broken = way("r.example/a:1", "1.6.20", &[(MAIN, "version = = 2")]).refused.unwrap();
    assert!(broken.words.contains("does not start"), "{broken:?}");
}

#[test]
fn a_mirror_that_is_bypassed_is_told_with_its_line() {
    let main = "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\nconfig_path = \"/certs\"\n";
    let hosts = "server = \"https://r.example\"\n\n[host.\" http://m\"]\n";
    let path = way("r.example/a:1", "1.6.20", &[(MAIN, main), ("/certs/r.example/hosts.toml", hosts)]);
    assert_eq!(urls(&path), ["https://r.example/v2/a/manifests/1"]);
    let note = &path.notes[0];
    assert!(note.bypassed && note.words.contains("invalid character \" \" in host name"), "{note:?}");
    assert_eq!(note.place.as_ref().unwrap().position.unwrap().line, 3);
    // `server` alone is enough from 2.0 on.
    let server = [(MAIN, main), ("/certs/r.example/hosts.toml", "server = \"http://m\"\n")];
    assert_eq!(urls(&way("r.example/a:1", "2.0.0", &server)), ["http://m/v2/a/manifests/1?ns=r.example"]);
    assert_eq!(urls(&way("r.example/a:1", "1.6.20", &server)), ["https://r.example/v2/a/manifests/1"]);
}

#[test]
fn a_key_that_never_matches_is_told() {
    let text = format!(
        "version = 2\n{}",
        mirror("io.containerd.grpc.v1.cri", "http://m").replace("r.example", "https://R.example/")
    );
    let path = way("r.example/a:1", "1.6.20", &[(MAIN, &text)]);
    assert!(path.notes[0].words.contains("never matches"), "{:?}", path.notes);
}

#[test]
fn the_hub_is_asked_where_it_lives() {
    assert_eq!(urls(&way("nginx", "1.6.20", &[])), ["https://registry-1.docker.io/v2/library/nginx/manifests/latest"]);
}

/// Any bytes, in any of the files: an answer, and no panic.
#[test]
fn any_text_is_taken() {
    let main = "version = 2\nimports = [\"/x/*.toml\"]\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\nconfig_path = \"/certs\"\n";
    let legacy = format!("version = 2\n{}", mirror("io.containerd.grpc.v1.cri", "http://[::1]:5/a%20b"));
    let hosts = "server = \"https://r\"\n[host.\"http://m:1/x\"]\ncapabilities = [\"pull\"]\nca = [\"a\"]\noverride_path = true\n";
    let mut seed: u64 = 1;
    let mut next = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap()
    };
    let odd = [0, b'\n', b'"', b'[', b']', b'=', b'%', b':', b'/', b' ', 0xc2, 0xff, b'{', b'\\'];
    for _ in 0..4000 {
        let mut texts = [main.to_owned(), legacy.clone(), hosts.to_owned()].map(String::into_bytes);
        for text in &mut texts {
            for _ in 0..next() % 4 {
                let at = next() % text.len();
                match next() % 3 {
                    0 => text[at] = odd[next() % odd.len()],
                    1 => drop(text.drain(at..(at + next() % 8).min(text.len()))),
                    _ => text.insert(at, odd[next() % odd.len()]),
                }
                text.push(b'\n');
            }
        }
        let [main, legacy, hosts] = texts.map(|text| String::from_utf8_lossy(&text).into_owned());
        for first in [&main, &legacy] {
            let path =
                way("r:5/a:1", "1.6.20", &[(MAIN, first), ("/certs/r:5/hosts.toml", &hosts), ("/x/a.toml", &legacy)]);
            assert!(path.refused.is_some() || !path.endpoints.is_empty());
        }
    }
}
