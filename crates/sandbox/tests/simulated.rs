//! A cluster without containers: needs no root, makes nothing outside its home.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use sandbox::layout::Home;
use sandbox::node::Node;
use sandbox::{Cluster, Error, Launch, NewNodes, Result, Sandbox, programs};

struct Web(PathBuf);

impl Launch for Web {
    fn server(&self, cluster: &Cluster) -> Result<Command> {
        let mut command = Command::new(&self.0);
        command.args(["--port", &cluster.config().api_port.to_string()]);
        Ok(command)
    }

    fn server_ready(&self, cluster: &Cluster, alive: &dyn Fn() -> bool) -> Result<()> {
        while TcpStream::connect(("127.0.0.1", cluster.config().api_port)).is_err() {
            if !alive() {
                return Err(Error::Refused("the server ended".to_owned()));
            }
            std::thread::yield_now();
        }
        Ok(())
    }

    fn kubelet(&self, _cluster: &Cluster, _node: &Node) -> Result<Command> {
        Err(Error::Refused("there are no nodes".to_owned()))
    }
}

#[test]
fn a_simulated_cluster_lives_in_its_home_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (program, config) = (dir.path().join("web"), dir.path().join("kubeconfig"));
    fs::write(&program, programs::WEB.as_slice()).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let home = Home::at(dir.path().join("home"));
    let name = "fake".parse().unwrap();
    let launch = Web(program);

    let sandbox = Sandbox::create(&home, &name, NewNodes::Simulated(100)).unwrap();
    assert!(sandbox.cluster().status().stopped());
    sandbox.ensure_running(&launch).unwrap();
    assert!(sandbox.cluster().status().complete());
    assert_eq!(sandbox.write_kubeconfig(std::slice::from_ref(&config)).unwrap(), config);
    // Looking at it needs no lock.
    let cluster = Cluster::find(&home, &name).unwrap().unwrap();
    assert_eq!(cluster.status(), sandbox.cluster().status());
    let server = cluster.status().server.unwrap();
    sandbox.stop(Duration::ZERO).unwrap();
    assert!(!server.alive() && cluster.status().stopped());
    sandbox.ensure_running(&launch).unwrap();
    drop(sandbox);

    let sandbox = Sandbox::open(&home, &name).unwrap().unwrap();
    sandbox.delete(std::slice::from_ref(&config)).unwrap();
    assert!(!home.path().exists() && !config.exists());
    assert!(Sandbox::open(&home, &name).unwrap().is_none());
}
