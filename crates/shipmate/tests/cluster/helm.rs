//! Helm's everyday, with a chart written here.

use crate::support::{Answer, Cluster, Running, has, tool, words};

#[test]
fn a_release_comes_changes_and_goes() {
    let cluster = Cluster::simulated("helm", 1);
    let chart = chart(&cluster);
    let helm = |line: &str| helm(&cluster, line);
    let installed = helm(&format!("install site {chart} --wait --timeout 60s")).ok();
    has(&installed, "STATUS: deployed");
    has(&installed, "Ahoy from site");
    assert_eq!(cluster.field("deployment/site", ".status.readyReplicas"), "1");
    assert_eq!(cluster.field("cm/site", ".data.colour"), "blue");

    has(&helm(&format!("upgrade site {chart} --set replicas=2,colour=red --wait --timeout 60s")).ok(), "REVISION: 2");
    assert_eq!(cluster.field("deployment/site", ".status.readyReplicas"), "2");
    assert_eq!(cluster.field("cm/site", ".data.colour"), "red");
    has(&helm("list").ok(), "site");
    has(&helm("get values site").ok(), "colour: red");
    has(&helm("status site").ok(), "STATUS: deployed");
    has(&helm("rollback site 1 --wait --timeout 60s").ok(), "Rollback was a success");
    assert_eq!(cluster.field("cm/site", ".data.colour"), "blue");
    has(&helm("history site").ok(), "Rollback to 1");
    has(&helm(&format!("install site {chart}")).fails(1), "cannot reuse a name that is still in use");

    has(&helm("uninstall site --wait").ok(), r#"release "site" uninstalled"#);
    assert_eq!(cluster.kubectl("get deployment,cm,secret -l app=site -o name"), "");
    assert_eq!(cluster.kubectl("get secret -o name"), "");
}

pub fn helm(cluster: &Cluster, line: &str) -> Answer {
    let mut command = cluster.command(tool("helm"));
    command.args(words(line));
    Running::start(command).finish()
}

/// A chart of two templates and notes; its directory.
pub fn chart(cluster: &Cluster) -> String {
    cluster.write("site/Chart.yaml", "apiVersion: v2\nname: site\nversion: 0.1.0\n");
    cluster.write("site/values.yaml", "replicas: 1\ncolour: blue\n");
    cluster.write("site/templates/NOTES.txt", "Ahoy from {{ .Release.Name }}\n");
    cluster.write("site/templates/settings.yaml", SETTINGS);
    cluster.write("site/templates/deployment.yaml", DEPLOYMENT);
    cluster.dir().join("site").to_str().unwrap().to_owned()
}

const SETTINGS: &str = "
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
  labels: {app: {{ .Release.Name }}}
data:
  colour: {{ .Values.colour }}
";

const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
  labels: {app: {{ .Release.Name }}}
spec:
  replicas: {{ .Values.replicas }}
  selector:
    matchLabels: {app: {{ .Release.Name }}}
  template:
    metadata:
      labels: {app: {{ .Release.Name }}}
    spec:
      containers:
        - name: web
          image: shipmate.local/web:1.0
";
