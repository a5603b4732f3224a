//! `shipmate logs`.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::find;
use crate::cli::Logs;
use crate::output;

/// How often a followed log is looked at.
const LOOK: Duration = Duration::from_millis(200);

pub(crate) fn run(arguments: &Logs) -> anyhow::Result<()> {
    let cluster = find(&arguments.which)?;
    let path = match &arguments.node {
        None => cluster.dir().log(sandbox::SERVER),
        Some(name) => {
            let nodes = cluster.nodes();
            let Some(node) = nodes.iter().find(|node| node.config().name.as_str() == name) else {
                bail!("cluster {} has no node {name}: `kubectl get nodes` lists them", cluster.config().name);
            };
            node.dir().log(if arguments.containerd { "containerd" } else { sandbox::KUBELET })
        }
    };
    print(&path, arguments).with_context(|| format!("read {}", path.display()))
}

fn print(path: &Path, arguments: &Logs) -> anyhow::Result<()> {
    let mut reader = BufReader::new(File::open(path)?);
    let mut kept = std::collections::VecDeque::new();
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        kept.push_back(std::mem::take(&mut line));
        if kept.len() > arguments.tail {
            kept.pop_front();
        }
    }
    let text: Vec<u8> = kept.into_iter().flatten().collect();
    output::print(&String::from_utf8_lossy(&text))?;
    if !arguments.follow {
        return Ok(());
    }
    loop {
        std::thread::sleep(LOOK);
        let mut more = Vec::new();
        if reader.get_ref().metadata()?.len() < reader.stream_position()? {
            reader.seek(SeekFrom::Start(0))?; // Cut while we read it.
        }
        reader.read_to_end(&mut more)?;
        output::print(&String::from_utf8_lossy(&more))?;
    }
}
