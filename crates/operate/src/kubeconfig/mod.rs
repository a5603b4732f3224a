//! Which kubeconfig applies, what it chooses, and what of it becomes evidence.
//!
//! Files are chosen and merged as kubectl does it. Nothing here needs a cluster. Invariant: no item holds a token, key
//! or password; what such things tell of themselves (dates, an issuer) does.

mod facts;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use doctor::{Item, ItemKind, Origin};
use kube::config::{KubeConfigOptions, Kubeconfig};

/// Larger than any kubeconfig, and small enough to read.
const MAX_BYTES: u64 = 16 << 20;

/// What decides which kubeconfig applies.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// `--kubeconfig`.
    pub explicit: Option<PathBuf>,
    /// `--context`.
    pub context: Option<String>,
    /// `$KUBECONFIG`.
    pub variable: Option<OsString>,
    /// `$HOME`.
    pub home: Option<PathBuf>,
    /// `$PATH`, in which plugins are looked up.
    pub path: Option<OsString>,
}

/// A cluster that a kubeconfig chooses.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// Name of the context.
    pub context: String,
    /// How it is reached, and as whom.
    pub config: kube::Config,
}

/// Why no cluster is chosen. The words are kubectl's, which users search for and rules know.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotChosen(pub String);

impl Choice {
    /// What the options and the environment say.
    pub fn from_environment(explicit: Option<PathBuf>, context: Option<String>) -> Self {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        Self {
            explicit,
            context,
            variable: variable("KUBECONFIG"),
            home: variable("HOME").or_else(|| variable("USERPROFILE")).map(PathBuf::from),
            path: variable("PATH"),
        }
    }

    /// The files that apply, whether they exist or not.
    pub fn files(&self) -> Vec<PathBuf> {
        if let Some(file) = &self.explicit {
            return vec![file.clone()];
        }
        let listed = self.variable.iter().flat_map(std::env::split_paths);
        let listed: Vec<PathBuf> = listed.filter(|file| !file.as_os_str().is_empty()).collect();
        if !listed.is_empty() {
            return listed;
        }
        self.home.iter().map(|home| home.join(".kube/config")).collect()
    }

    /// Chooses the cluster.
    ///
    /// # Errors
    /// When no file, context or cluster is there, or a file can't be read.
    pub async fn choose(&self) -> Result<Chosen, NotChosen> {
        let kubeconfig = self.merged()?;
        let named = self.context.clone().or_else(|| kubeconfig.current_context.clone());
        let Some(context) = named.filter(|name| !name.is_empty()) else {
            return Err(nothing_chosen());
        };
        if !kubeconfig.contexts.iter().any(|one| one.name == context) {
            return Err(NotChosen(match self.context {
                Some(_) => format!("error: context \"{context}\" does not exist"),
                None => format!("Error in configuration: context was not found for specified context: {context}"),
            }));
        }
        let options = KubeConfigOptions { context: Some(context.clone()), ..KubeConfigOptions::default() };
        match kube::Config::from_custom_kubeconfig(kubeconfig, &options).await {
            Ok(mut config) => {
                // Who looks for faults wants to see the first one, and soon.
                config.default_retry = false;
                Ok(Chosen { context, config })
            }
            Err(
                kube::config::KubeconfigError::LoadClusterOfContext(_)
                | kube::config::KubeconfigError::MissingClusterUrl,
            ) => Err(nothing_chosen()),
            Err(error) => Err(NotChosen(format!("error: {error}"))),
        }
    }

    /// All files as one, as kubectl merges them; missing files of several are skipped.
    fn merged(&self) -> Result<Kubeconfig, NotChosen> {
        let mut merged = Kubeconfig::default();
        for file in self.files() {
            match read(&file) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    if self.explicit.is_some() {
                        return Err(NotChosen(format!("error: stat {}: no such file or directory", file.display())));
                    }
                    continue;
                }
                Err(error) => return Err(NotChosen(unreadable(&file, &error))),
                Ok(_) => {}
            }
            let refused = |error: kube::config::KubeconfigError| {
                NotChosen(format!("error: error loading config file \"{}\": {error}", file.display()))
            };
            merged = Kubeconfig::read_from(&file).and_then(|next| merged.merge(next)).map_err(refused)?;
        }
        Ok(merged)
    }

    /// Everything that can be told of the kubeconfig without a cluster.
    pub fn evidence(&self) -> Vec<Item> {
        let mut items = Vec::new();
        if self.explicit.is_none() {
            items.push(fact("echo $KUBECONFIG; ls ~/.kube", self.places()));
        }
        items.push(fact("date -u", today()));
        for file in self.files() {
            match read(&file) {
                Ok(text) => {
                    let origin = self.shown(&file);
                    items.extend(facts::of(&origin, &file, &text));
                    let item = Item { kind: ItemKind::Kubeconfig, origin: Origin(origin), text };
                    items.push(doctor::redact::item(item));
                }
                // What does not exist is seen from the variable and the directory beside it.
                Err(error) if error.kind() == io::ErrorKind::NotFound && self.explicit.is_none() => {}
                Err(error) => items.push(said("kubectl config view", unreadable(&file, &error))),
            }
        }
        if let Ok(kubeconfig) = self.merged() {
            items.extend(facts::missing_plugin(&kubeconfig, self.context.as_deref(), self.path.as_ref()));
        }
        items
    }

    fn places(&self) -> String {
        let variable = self.variable.as_ref().map(|value| value.to_string_lossy().into_owned()).unwrap_or_default();
        let listing = self.home.as_ref().and_then(|home| std::fs::read_dir(home.join(".kube")).ok());
        let mut names: Vec<String> =
            listing.into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        names.sort();
        let names = if names.is_empty() { String::new() } else { format!("{}\n", names.join("  ")) };
        format!("{variable}\n{names}")
    }

    /// The path as people write it.
    fn shown(&self, file: &Path) -> String {
        let inside = self.home.as_ref().and_then(|home| file.strip_prefix(home).ok());
        inside.map_or_else(|| file.display().to_string(), |inside| format!("~/{}", inside.display()))
    }
}

/// An item with what kubectl would say.
pub(crate) fn said(command: &str, words: String) -> Item {
    Item { kind: ItemKind::KubectlOutput, origin: Origin(command.to_owned()), text: format!("{words}\n") }
}

fn fact(command: &str, text: String) -> Item {
    Item { kind: ItemKind::NodeFacts, origin: Origin(command.to_owned()), text }
}

/// Without a cluster kubectl tries the port that API servers had long ago.
fn nothing_chosen() -> NotChosen {
    NotChosen(
        "The connection to the server localhost:8080 was refused - did you specify the right host or port?".to_owned(),
    )
}

fn unreadable(file: &Path, error: &io::Error) -> String {
    let why = match error.kind() {
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        io::ErrorKind::IsADirectory => "is a directory".to_owned(),
        _ => error.to_string(),
    };
    let file = file.display();
    format!("error: error loading config file \"{file}\": open {file}: {why}")
}

fn read(file: &Path) -> io::Result<String> {
    let meta = std::fs::metadata(file)?;
    if meta.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !meta.is_file() || meta.len() > MAX_BYTES {
        return Err(io::Error::other("it is no file of a kubeconfig's size"));
    }
    Ok(String::from_utf8_lossy(&std::fs::read(file)?).into_owned())
}

/// As `date -u` prints it.
fn today() -> String {
    jiff::Timestamp::now().strftime("%a %b %e %H:%M:%S UTC %Y\n").to_string()
}

#[cfg(test)]
mod tests;
