//! `shipmate image`: images on the nodes, without a registry.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use cri::Runtime;
use cri::import::{ImageSource, Imported};
use sandbox::Cluster;
use sandbox::node::Node;
use serde_json::{Value, json};

use super::launch::Progress;
use super::{NotRunning, find_running, seed};
use crate::cli::{Format, Image, ImageList, ImageLoad, ImageRemove};
use crate::output;

pub(crate) fn run(image: &Image) -> anyhow::Result<ExitCode> {
    match image {
        Image::Load(arguments) => load(arguments),
        Image::Ls(arguments) => list(arguments),
        Image::Rm(arguments) => remove(arguments),
        Image::Seed(arguments) => return seed::seed(arguments),
        Image::Seeded(arguments) => return seed::seeded(arguments),
        Image::Unseed(arguments) => return seed::unseed(arguments),
    }?;
    Ok(ExitCode::SUCCESS)
}

fn load(arguments: &ImageLoad) -> anyhow::Result<()> {
    let cluster = find_running(&arguments.which)?;
    let nodes = nodes(&cluster, arguments.node.as_deref())?;
    let spooled = Spooled::of(&arguments.archive)?;
    let source =
        ImageSource::open(spooled.path(), None).with_context(|| format!("read {}", arguments.archive.display()))?;
    let progress = Progress::new("loading images");
    let mut loaded = Vec::new();
    for node in &nodes {
        progress.step(&format!("loading images into {}", node.config().name));
        let images = on_runtime(node, async |runtime| Ok(runtime.import(&source).await?))?;
        loaded.extend(images.into_iter().map(|image| (node.config().name.to_string(), image)));
    }
    progress.done(&format!("loaded into {} node(s)", nodes.len()));
    match arguments.output.output {
        Format::Json => {
            let one = |(node, image): &(String, Imported)| json!({"node": node, "names": names(image), "digest": image.digest.to_string()});
            output::print_json(&loaded.iter().map(one).collect::<Vec<Value>>())
        }
        Format::Text => {
            let names: std::collections::BTreeSet<String> =
                loaded.iter().flat_map(|(_, image)| names(image)).map(|name| format!("{name}\n")).collect();
            output::print(&names.into_iter().collect::<String>())
        }
    }
}

fn names(image: &Imported) -> Vec<String> {
    image.names.iter().map(ToString::to_string).collect()
}

/// An archive as a file: standard input is copied to one, since images are read out of order.
enum Spooled {
    Given(PathBuf),
    Copy(tempfile::NamedTempFile),
}

impl Spooled {
    fn of(archive: &Path) -> anyhow::Result<Self> {
        if archive != Path::new("-") {
            return Ok(Self::Given(archive.to_owned()));
        }
        let mut file = tempfile::NamedTempFile::new().context("make a temporary file for the archive")?;
        io::copy(&mut io::stdin().lock(), &mut file).context("copy the archive from standard input")?;
        Ok(Self::Copy(file))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Given(path) => path,
            Self::Copy(file) => file.path(),
        }
    }
}

fn list(arguments: &ImageList) -> anyhow::Result<()> {
    let cluster = find_running(&arguments.which)?;
    let nodes = nodes(&cluster, None)?;
    let mut found: BTreeMap<(String, String, u64), Vec<String>> = BTreeMap::new();
    for node in &nodes {
        for image in on_runtime(node, async |runtime| Ok(runtime.list_images().await?))? {
            for name in image.repo_tags {
                found.entry((name, image.id.clone(), image.size)).or_default().push(node.config().name.to_string());
            }
        }
    }
    if arguments.output.output == Format::Json {
        let one = |((name, id, size), nodes): (&(String, String, u64), &Vec<String>)| json!({"name": name, "id": id, "sizeBytes": size, "nodes": nodes});
        return output::print_json(&found.iter().map(one).collect::<Vec<Value>>());
    }
    let row = |((name, id, size), nodes): (&(String, String, u64), &Vec<String>)| {
        let short: String = id.trim_start_matches("sha256:").chars().take(12).collect();
        vec![name.clone(), short, format!("{:.1} MB", *size as f64 / 1e6), nodes.join(",")]
    };
    output::print_table(&["IMAGE", "ID", "SIZE", "NODES"], &found.iter().map(row).collect::<Vec<_>>())
}

fn remove(arguments: &ImageRemove) -> anyhow::Result<()> {
    let cluster = find_running(&arguments.which)?;
    let nodes = nodes(&cluster, None)?;
    let mut removed = 0;
    for node in &nodes {
        removed += on_runtime(node, async |runtime| {
            let Some(image) = runtime.image_status(&arguments.reference).await? else { return Ok(0) };
            runtime.remove_image(&image.id).await?;
            Ok(1)
        })?;
    }
    if removed == 0 {
        bail!("no node has an image {}: `shipmate image ls` lists them", arguments.reference);
    }
    eprintln!("removed from {removed} node(s)");
    Ok(())
}

/// The nodes asked for; their containerds must run.
fn nodes(cluster: &Cluster, only: Option<&str>) -> anyhow::Result<Vec<Node>> {
    let config = cluster.config();
    let mut nodes = cluster.nodes();
    if nodes.is_empty() {
        bail!("the nodes of cluster {} are simulated: they have no images", config.name);
    }
    if let Some(name) = only {
        nodes.retain(|node| node.config().name.as_str() == name);
        if nodes.is_empty() {
            bail!("cluster {} has no node {name}: `kubectl get nodes` lists them", config.name);
        }
    }
    if nodes.iter().any(|node| node.containerd().is_none()) {
        return Err(NotRunning::Stopped(config.name.clone()).into());
    }
    Ok(nodes)
}

fn on_runtime<T, F>(node: &Node, work: impl FnOnce(Runtime) -> F) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<T>>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(async { work(Runtime::new(node.dir().cri_socket())?).await });
    done.with_context(|| format!("node {}", node.config().name))
}
