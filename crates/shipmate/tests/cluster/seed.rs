//! The field note's story: one worker's configuration has a blank in a mirror's endpoint, and only there pulls fail.
//!
//! A real registry on port 5000, real containerds. The image is staged, the pod runs, the image is taken out again, and
//! nothing else is touched. Then bad luck: a registry that dies in the middle, a kill in the middle, two at once.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use cri::import::Digest;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{Cluster, IMAGE, PATIENCE, Running, eventually, has, lacks, pod, until, with};

const PORT: u16 = 5000;

#[test]
fn a_blank_in_one_workers_endpoint() {
    let cluster = Cluster::start("seed", 2);
    let registry = Registry::start(&cluster);
    let image = registry.push(IMAGE, "myapp/app_uat:latest");
    mirror(&cluster, "node-1", &registry.host, "http://");
    mirror(&cluster, "node-2", &registry.host, " http://");
    cluster.apply_all(&[on("left", "node-1", &image), on("right", "node-2", &image)]);
    cluster.ready("pod/left");
    until("first path segment in URL cannot contain colon", || cluster.kubectl("describe pod right"));
    the_way_is_shown(&cluster, &image);
    staged_and_taken_out(&cluster, &image);
    mended(&cluster, &registry, &image);
}

/// `doctor image` shows where the way of each node leads, and the line that is wrong.
fn the_way_is_shown(cluster: &Cluster, image: &str) {
    let answer = cluster.shipmate(&format!("doctor image {image}"));
    assert_eq!(answer.code, 1, "{answer}");
    has(&answer.out, &format!("node-1 pulls {image}"));
    has(&answer.out, &format!("node-2 does not pull {image}"));
    has(&answer.out, "endpoint = [\" http://");
    has(&answer.out, "first path segment in URL cannot contain colon");
    let good = cluster.shipmate(&format!("doctor image {image} --node node-1 -o json")).ok();
    let good: Value = serde_json::from_str(&good).unwrap();
    assert_eq!((&good[0]["stops"], &good[0]["path"]["source"]["kind"]), (&Value::Null, &json!("mirrors")));
}

fn staged_and_taken_out(cluster: &Cluster, image: &str) {
    let seeded = cluster.shipmate(&format!("image seed {image} --plain-http"));
    assert_eq!(seeded.code, 0, "{seeded}");
    has(&seeded.out, "there before, verified and pinned");
    has(&seeded.out, "staged, verified");
    cluster.ready("pod/right");
    let listed = cluster.shipmate("image seeded -o json").ok();
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let rows: Vec<(&str, &str)> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["onNode"].as_str().unwrap(), row["upstream"].as_str().unwrap()))
        .collect();
    assert_eq!(rows, [("there, pinned", "same"), ("there, pinned", "same")]);
    let refused = cluster.shipmate(&format!("image unseed {image}"));
    assert_eq!(refused.code, 1, "{refused}");
    has(&refused.out, "in use by default/right (main)");
    cluster.kubectl("delete pod right --now");
    eventually("containers of the pod are gone", PATIENCE, || {
        let answer = cluster.shipmate(&format!("image unseed {image}"));
        (answer.code == 0).then(|| has(&answer.out, &format!("removed {image}")))
    });
    // On the first node it was before.
    let images = cluster.shipmate(&format!("image ls --name {} -o json", cluster.name)).ok();
    let images: Value = serde_json::from_str(&images).unwrap();
    let of =
        |name: &str| images.as_array().unwrap().iter().find(|one| one["name"] == name).map(|one| one["nodes"].clone());
    assert_eq!(of(image), Some(json!(["node-1"])));
    assert_eq!(of(IMAGE), Some(json!(["node-1", "node-2"])), "what was there before stays");
    cluster.ready("pod/left");
    has(&cluster.shipmate(&format!("image unseed {image}")).fails(1), "was not seeded into this cluster");
}

/// A password by standard input or by a pull secret: neither is in arguments, receipts or output.
fn passwords(cluster: &Cluster, registry: &Registry, image: &str) {
    let secret = "s3cret-of-the-story";
    cluster.kubectl(&format!(
        "create secret docker-registry pull --docker-server={} --docker-username=alice --docker-password={secret}",
        registry.host
    ));
    cluster.kubectl(
        "create secret docker-registry other --docker-server=elsewhere.example --docker-username=a --docker-password=b",
    );
    let by_secret = cluster.shipmate(&format!("image seed {image} --plain-http --pull-secret default/pull"));
    assert_eq!(by_secret.code, 0, "{by_secret}");
    let wrong = cluster.shipmate(&format!("image seed {image} --plain-http --pull-secret default/other"));
    has(&wrong.clone().fails(1), "is for elsewhere.example, not for");
    let mut typed = cluster.spawn(&format!("image seed {image} --plain-http -u alice --password-stdin"));
    typed.send(format!("{secret}\n").as_bytes());
    let typed = typed.finish();
    assert_eq!(typed.code, 0, "{typed}");
    for answer in [&by_secret, &wrong, &typed] {
        lacks(&format!("{}{}", answer.out, answer.err), secret);
    }
    let seeds = cluster.home().join(format!("clusters/{}/seeds", cluster.name));
    for entry in fs::read_dir(seeds).unwrap() {
        lacks(&fs::read_to_string(entry.unwrap().path()).unwrap(), secret);
    }
    has(&cluster.shipmate(&format!("image seed {image} -u alice")).fails(2), "--password-stdin");
}

/// Without the blank the second worker pulls by itself.
fn mended(cluster: &Cluster, registry: &Registry, image: &str) {
    let file = config(cluster, "node-2");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("[\" http://", "[\"http://")).unwrap();
    cluster.shipmate(&format!("restart --name {} node-2", cluster.name)).ok();
    cluster.apply(on("right", "node-2", image));
    cluster.ready("pod/right");
    has(&cluster.shipmate(&format!("doctor image {image}")).ok(), &format!("node-2 pulls {image}"));
    passwords(cluster, registry, image);
    // A tag that has moved since is told.
    cluster.shipmate(&format!("image seed {image} --plain-http")).ok();
    registry.push("shipmate.local/web:1.0", "myapp/app_uat:latest");
    has(&cluster.shipmate("image seeded").ok(), "moved to");
}

#[test]
fn bad_luck_while_seeding() {
    let cluster = Cluster::start("luck", 2);
    broken_off(&cluster);
    killed(&cluster);
    twice_at_once(&cluster);
    what_would_still_pull(&cluster);
    archives(&cluster);
}

/// The registry ends the connection in the middle of a layer, once: the pull goes on from there.
fn broken_off(cluster: &Cluster) {
    let fake = FakeRegistry::start(1, false);
    let image = fake.image("torn/app:1");
    let seeded = cluster.shipmate(&format!("image seed {image} --plain-http -o json"));
    assert_eq!(seeded.code, 0, "{seeded}");
    assert!(fake.ranges.load(Ordering::SeqCst) > 0, "it began anew instead of going on");
    has(&cluster.shipmate("image seeded").ok(), &image);
    cluster.shipmate(&format!("image unseed {image}")).ok();
    assert!(!cluster.shipmate(&format!("image ls --name {}", cluster.name)).ok().contains("torn/app"));
}

/// Killed while the registry sends nothing; run again, it goes on.
fn killed(cluster: &Cluster) {
    let fake = FakeRegistry::start(1, true);
    let image = fake.image("slow/app:1");
    let seed = cluster.spawn(&format!("image seed {image} --plain-http"));
    eventually("half of the layer is here", PATIENCE, || (fake.stuck.load(Ordering::SeqCst) > 0).then_some(()));
    seed.signal(Signal::SIGKILL);
    drop(seed);
    cluster.shipmate(&format!("image seed {image} --plain-http")).ok();
    assert!(fake.ranges.load(Ordering::SeqCst) > 0, "it began anew instead of going on");
    cluster.shipmate(&format!("image unseed {image}")).ok();
}

fn twice_at_once(cluster: &Cluster) {
    let fake = FakeRegistry::start(0, false);
    let image = fake.image("twice/app:1");
    let line = format!("image seed {image} --plain-http");
    let both = [cluster.spawn(&line), cluster.spawn(&line)].map(Running::finish);
    for one in both {
        has(&one.ok(), "verified");
    }
    // The second one found what the first had brought, and knows that it was not there before them.
    has(&cluster.shipmate(&format!("image unseed {image}")).ok(), &format!("removed {image}"));
}

fn what_would_still_pull(cluster: &Cluster) {
    let fake = FakeRegistry::start(0, false);
    let image = fake.image("policy/app:latest");
    let labels = json!({"app": "policy"});
    cluster.apply(json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "policy"},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "main", "image": image}]},
        }},
    }));
    let told = cluster.shipmate(&format!("image seed {image} --plain-http"));
    has(&told.err, "Deployment default/policy, container main, would still pull");
    has(&told.err, "kubectl -n default patch deployment policy");
    assert_eq!(cluster.field("deployment/policy", ".spec.template.spec.containers[0].imagePullPolicy"), "Always");
    cluster.shipmate(&format!("image seed {image} --plain-http --patch-policy --yes")).ok();
    assert_eq!(cluster.field("deployment/policy", ".spec.template.spec.containers[0].imagePullPolicy"), "IfNotPresent");
    has(&cluster.shipmate(&format!("image unseed {image}")).err, "its policy before was Always");
}

/// From an archive, under another name; and what is no archive.
fn archives(cluster: &Cluster) {
    let archive = cluster.dir().join("busybox.tar");
    let line = format!("image seed private.example/tools:1 --from {}", archive.display());
    has(&cluster.shipmate(&line).ok(), "staged, verified");
    cluster.apply(with(
        pod("tools", &[json!({"name": "main", "image": "private.example/tools:1", "command": ["sleep", "1000"]})]),
        json!({"spec": {"nodeName": "node-2"}}),
    ));
    cluster.ready("pod/tools");
    cluster.kubectl("delete pod tools --now");
    eventually("containers of the pod are gone", PATIENCE, || {
        (cluster.shipmate("image unseed private.example/tools:1").code == 0).then_some(())
    });
    let odd = cluster.write("odd.tar", "no archive");
    has(&cluster.shipmate(&format!("image seed x.example/y:1 --from {odd}")).fails(1), "is it a tar file?");
    has(&cluster.shipmate("image unseed never.example/seen:1").fails(1), "was not seeded into this cluster");
    let nobody = cluster.shipmate("image seed 127.0.0.1:1/x:1 --plain-http --nodes nobody=here");
    has(&nobody.fails(1), "no node has the labels nobody=here");
}

fn on(name: &str, node: &str, image: &str) -> Value {
    let container =
        json!({"name": "main", "image": image, "imagePullPolicy": "IfNotPresent", "command": ["sleep", "1000"]});
    with(pod(name, &[container]), json!({"spec": {"nodeName": node}}))
}

fn config(cluster: &Cluster, node: &str) -> PathBuf {
    cluster.home().join(format!("clusters/{}/nodes/{node}/etc/containerd/config.toml", cluster.name))
}

/// Gives a node a mirrors table, as it was written before there was `config_path`.
fn mirror(cluster: &Cluster, node: &str, host: &str, scheme: &str) {
    let file = config(cluster, node);
    let text = fs::read_to_string(&file).unwrap();
    let text = text.replace("config_path = \"/etc/containerd/certs.d\"", "config_path = \"\"");
    let table = format!(
        "\n[plugins.\"io.containerd.grpc.v1.cri\".registry.mirrors.\"{host}\"]\n  endpoint = [\"{scheme}{host}\"]\n"
    );
    fs::write(&file, text + &table).unwrap();
    cluster.shipmate(&format!("restart --name {} {node}", cluster.name)).ok();
}

/// A registry on the first node.
struct Registry<'a> {
    cluster: &'a Cluster,
    host: String,
    process: Option<Running>,
}

impl Drop for Registry<'_> {
    /// With its standard input, the registry ends too.
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            process.finish();
        }
    }
}

impl<'a> Registry<'a> {
    fn start(cluster: &'a Cluster) -> Self {
        let ip = cluster.shipmate(&format!("ip --name {} node-1", cluster.name)).ok();
        let host = format!("{}:{PORT}", ip.trim());
        let data = cluster.dir().join("registry");
        let settings = format!(
            "version: 0.1\nlog: {{level: warn}}\nstorage: {{filesystem: {{rootdirectory: {:?}}}}}\nhttp: {{addr: {host:?}}}\n",
            data.display().to_string()
        );
        let settings = cluster.write("registry.yml", settings);
        let script = format!("docker-registry serve {settings} & cat; kill $!");
        let process = cluster.spawn(&format!("shell --name {} node-1 sh -c '{script}'", cluster.name));
        eventually("the registry answers", PATIENCE, || TcpStream::connect(&host).ok());
        Self { cluster, host, process: Some(process) }
    }

    /// Pushes an image that the first node has; its name in the registry.
    fn push(&self, image: &str, name: &str) -> String {
        let target = format!("{}/{name}", self.host);
        let ctr = |line: &str| {
            self.cluster
                .shipmate(&format!("shell --name {} node-1 ctr -n k8s.io images {line}", self.cluster.name))
                .ok()
        };
        // Under a name of its own: what is pulled is then a new name on both nodes.
        let scratch = format!("scratch.example/{}", name.replace(['/', ':'], "-"));
        ctr(&format!("tag --force {image} {scratch}"));
        ctr(&format!("push --plain-http {target} {scratch}"));
        ctr(&format!("rm {scratch}"));
        target
    }
}

/// A registry of one image that sends its layer as told.
struct FakeRegistry {
    port: u16,
    /// Requests that began in the middle.
    ranges: Arc<AtomicU32>,
    /// Answers that stopped in the middle and are still open.
    stuck: Arc<AtomicU32>,
}

impl FakeRegistry {
    /// The first `torn` answers with the layer stop in the middle; the connection is closed, or stays open.
    fn start(torn: u32, stays: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (ranges, stuck) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let serving = Arc::new(Serving {
            image: FakeImage::new(port),
            torn: AtomicU32::new(torn),
            stays,
            ranges: ranges.clone(),
            stuck: stuck.clone(),
        });
        // Ends with the test's process, as its connections do.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = serving.clone();
                std::thread::spawn(move || serving.answer(stream));
            }
        });
        Self { port, ranges, stuck }
    }

    fn image(&self, name: &str) -> String {
        format!("127.0.0.1:{}/{name}", self.port)
    }
}

/// Manifest, configuration and one layer.
struct FakeImage {
    manifest: Vec<u8>,
    blobs: Vec<(String, Vec<u8>)>,
}

impl FakeImage {
    fn new(salt: u16) -> Self {
        let digest = |bytes: &[u8]| Digest::of(bytes).to_string();
        let mut tar = Vec::new();
        let content = vec![salt as u8; 3 << 20];
        let mut header = [0u8; 512];
        header[..4].copy_from_slice(b"data");
        header[100..107].copy_from_slice(b"0000644");
        header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
        header[136..147].copy_from_slice(format!("{salt:011o}").as_bytes());
        header[148..156].fill(b' ');
        header[156] = b'0';
        header[257..263].copy_from_slice(b"ustar\0");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        tar.extend(header);
        tar.extend(content);
        tar.extend([0; 1024]);
        let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
        let config = json!({"os": "linux", "architecture": architecture, "config": {},
            "rootfs": {"type": "layers", "diff_ids": [digest(&tar)]}})
        .to_string()
        .into_bytes();
        let manifest = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(&config), "size": config.len()},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest(&tar), "size": tar.len()}]})
        .to_string()
        .into_bytes();
        let blobs = vec![(digest(&config), config), (digest(&tar), tar)];
        Self { manifest, blobs }
    }
}

struct Serving {
    image: FakeImage,
    torn: AtomicU32,
    stays: bool,
    ranges: Arc<AtomicU32>,
    stuck: Arc<AtomicU32>,
}

impl Serving {
    fn answer(&self, mut stream: TcpStream) {
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
        let first = lines.next().unwrap_or_default();
        let mut from = 0;
        for line in lines.take_while(|line| !line.is_empty()) {
            if let Some(range) = line.to_lowercase().strip_prefix("range: bytes=") {
                from = range.trim_end_matches('-').parse().unwrap();
                self.ranges.fetch_add(1, Ordering::SeqCst);
            }
        }
        let path = first.split(' ').nth(1).unwrap_or_default();
        let blob = self.image.blobs.iter().find(|(digest, _)| path.ends_with(digest.as_str()));
        let (body, media_type): (&[u8], &str) = match blob {
            Some((_, bytes)) => (&bytes[from..], "application/octet-stream"),
            None => (&self.image.manifest, "application/vnd.oci.image.manifest.v1+json"),
        };
        let status = if from > 0 { "206 Partial Content" } else { "200 OK" };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        // Who does not read on has what it wants.
        let _ = stream.write_all(head.as_bytes());
        let is_layer = body.len() > 1 << 20;
        let tear = is_layer && self.torn.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok();
        if !tear {
            let _ = stream.write_all(body);
            return;
        }
        let _ = stream.write_all(&body[..body.len() / 2]);
        if self.stays {
            self.stuck.fetch_add(1, Ordering::SeqCst);
            // Until the other side goes.
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        }
    }
}
