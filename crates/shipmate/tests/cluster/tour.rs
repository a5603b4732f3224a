//! The tour of a first day: manifests, a deployment behind a port of the node, new versions and back.

use std::collections::BTreeSet;

use crate::support::{Cluster, PATIENCE, eventually, get, has, lacks, until};

const WEB: &str = "shipmate.local/web:1.0";
const NEXT: &str = "shipmate.local/web:2.0";

#[test]
fn a_first_day_with_kubectl() {
    let cluster = Cluster::start("tour", 1);
    manifests(&cluster);
    deployment_behind_a_node_port(&cluster);
    names(&cluster);
    rollouts(&cluster);
    a_version_that_does_not_exist(&cluster);
    deletion(&cluster);
}

fn manifests(cluster: &Cluster) {
    let nodes = cluster.rows("get nodes");
    assert_eq!((nodes.len(), nodes[0]["NAME"].as_str(), nodes[0]["STATUS"].as_str()), (1, "node-1", "Ready"));

    let namespace =
        cluster.write("namespace.yaml", "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: sendmailtest\n");
    let pod = cluster.write("pod.yaml", POD);
    let deployment =
        cluster.write("deployment.yaml", deployment_yaml("apps/v1", "  selector: {matchLabels: {app: sendmail}}\n"));
    let service = cluster.write("service.yaml", SERVICE);
    let created = cluster.kubectl(&format!("create -f {namespace} -f {pod} -f {deployment} -f {service}"));
    assert_eq!(
        created.lines().collect::<Vec<_>>(),
        [
            "namespace/sendmailtest created",
            "pod/sendmail created",
            "deployment.apps/sendmail created",
            "service/sendmail-service created"
        ]
    );
    let old = cluster.write("old.yaml", deployment_yaml("v1beta1", ""));
    let refused = cluster.refused(&format!("create -f {old}"));
    has(&refused, r#"no matches for kind "Deployment" in version "v1beta1""#);
    has(&refused, "ensure CRDs are installed first");
    has(&cluster.refused(&format!("create -f {pod}")), r#"(AlreadyExists): error when creating"#);

    has(&cluster.kubectl("get ns"), "sendmailtest");
    cluster.ready("pod/sendmail -n sendmailtest");
    has(&cluster.kubectl("rollout status deployment/sendmail --timeout=60s"), r#""sendmail" successfully rolled out"#);
    let row = &cluster.rows("get deployment sendmail")[0];
    assert_eq!((row["READY"].as_str(), row["UP-TO-DATE"].as_str(), row["AVAILABLE"].as_str()), ("4/4", "4", "4"));
    let described = until("+ 1 more...", || cluster.kubectl("describe service sendmail-service"));
    has(&described, ":25,");
    let answer = cluster.kubectl(&format!(
        "run client --image={WEB} --rm -i --restart=Never --command -- /bin/web get http://sendmail-service:25/hostname"
    ));
    has(&answer, "sendmail-");
    has(&answer, r#"pod "client" deleted"#);
    cluster.kubectl(&format!("delete -f {namespace} -f {deployment} -f {service}"));
}

fn deployment_behind_a_node_port(cluster: &Cluster) {
    assert_eq!(
        cluster.kubectl(&format!("create deployment web --image={WEB} --replicas=2")),
        "deployment.apps/web created"
    );
    assert_eq!(
        cluster.kubectl("expose deployment web --type=NodePort --port=80 --target-port=8080"),
        "service/web exposed"
    );
    rolled_out(cluster);
    assert_eq!(cluster.kubectl("scale deployment web --replicas=3"), "deployment.apps/web scaled");
    rolled_out(cluster);
    let pods: BTreeSet<String> =
        cluster.rows("get pods -l app=web").into_iter().map(|row| row["NAME"].clone()).collect();
    assert_eq!(pods.len(), 3);
    let described = cluster.kubectl("describe service web");
    let endpoints = described.lines().find(|line| line.starts_with("Endpoints:")).unwrap();
    assert_eq!(endpoints.matches(":8080").count(), 3, "{described}");
    has(&cluster.kubectl("get endpointslices -l kubernetes.io/service-name=web"), "8080");

    let url = url(cluster);
    let ip = cluster.shipmate(&format!("ip --name {}", cluster.name)).ok();
    let port = cluster.field("service/web", ".spec.ports[0].nodePort");
    assert_eq!(url, format!("http://{}:{port}", ip.trim()));
    let mut seen = BTreeSet::new();
    eventually("an answer of every pod", PATIENCE, || {
        seen.insert(get(&format!("{url}/hostname")).unwrap().trim().to_owned());
        (seen == pods).then_some(())
    });
    has(&get(&url).unwrap(), "Hello from Shipmate");
    has(&cluster.kubectl("logs -l app=web --prefix --tail=-1"), "GET /hostname 200");
}

fn names(cluster: &Cluster) {
    let address = cluster.field("service/web", ".spec.clusterIP");
    for name in ["web", "web.default", "web.default.svc", "web.default.svc.cluster.local"] {
        assert_eq!(cluster.kubectl(&format!("exec deploy/web -- /bin/web lookup {name}")), address, "{name}");
    }
    assert_eq!(cluster.kubectl("exec deploy/web -- /bin/web lookup kubernetes.default"), "10.96.0.1");
    has(&cluster.kubectl("exec deploy/web -- /bin/web get http://web/hostname"), "web-");
    let missing = cluster.refused("exec deploy/web -- /bin/web lookup nothing.default.svc.cluster.local");
    has(&missing, "look up nothing.default.svc.cluster.local");
}

fn rollouts(cluster: &Cluster) {
    let url = url(cluster);
    // Old pods may end before the nodes' rules are without them, as in any cluster.
    let answers = |version: &str| {
        eventually(&format!("an answer of version {version}"), PATIENCE, || {
            get(&format!("{url}/version")).is_ok_and(|answer| answer.trim() == version).then_some(())
        });
    };
    let set_image = format!("set image deployment/web web={NEXT}");
    assert_eq!(cluster.kubectl(&set_image), "deployment.apps/web image updated");
    rolled_out(cluster);
    answers("2.0");
    let history = cluster.kubectl("rollout history deployment/web");
    assert_eq!(revisions(&history), ["1", "2"], "{history}");
    has(&cluster.kubectl("rollout history deployment/web --revision=2"), NEXT);

    assert_eq!(cluster.kubectl("rollout undo deployment/web"), "deployment.apps/web rolled back");
    rolled_out(cluster);
    answers("1.0");
    assert_eq!(revisions(&cluster.kubectl("rollout history deployment/web")), ["2", "3"]);

    let before = cluster.kubectl("get pods -l app=web -o name");
    assert_eq!(cluster.kubectl("rollout restart deployment/web"), "deployment.apps/web restarted");
    rolled_out(cluster);
    let after = cluster.kubectl("get pods -l app=web -o name --field-selector=status.phase=Running");
    assert!(before.lines().any(|pod| !after.contains(pod)), "{before}\n{after}");

    assert_eq!(cluster.kubectl("rollout pause deployment/web"), "deployment.apps/web paused");
    cluster.kubectl(&set_image);
    let generation = cluster.field("deployment/web", ".metadata.generation");
    cluster.wait(&format!("--for=jsonpath={{.status.observedGeneration}}={generation} deployment/web"));
    assert_eq!(cluster.kubectl("get rs -l app=web -o name").lines().count(), 3, "a paused rollout makes no set");
    has(&cluster.refused("rollout restart deployment/web"), "can't restart paused deployment");
    assert_eq!(cluster.kubectl("rollout resume deployment/web"), "deployment.apps/web resumed");
    rolled_out(cluster);
    answers("2.0");
}

fn a_version_that_does_not_exist(cluster: &Cluster) {
    let url = url(cluster);
    cluster.kubectl("set image deployment/web web=shipmate.local/web:9.9");
    until("ImagePull", || cluster.kubectl("get pods -l app=web"));
    let waiting = cluster.answer("rollout status deployment/web --timeout=1s");
    has(&waiting.out, "1 out of 3 new replicas have been updated");
    has(&waiting.fails(1), "timed out waiting for the condition");
    assert_eq!(get(&format!("{url}/version")).unwrap().trim(), "2.0");
    let row = &cluster.rows("get deployment web")[0];
    assert_eq!((row["READY"].as_str(), row["UP-TO-DATE"].as_str()), ("3/3", "1"));
    let first = cluster.kubectl("rollout history deployment/web");
    let oldest = revisions(&first)[0].to_owned();
    cluster.kubectl(&format!("rollout undo deployment/web --to-revision={oldest}"));
    rolled_out(cluster);
    lacks(&cluster.kubectl("get pods -l app=web --field-selector=status.phase=Pending"), "ImagePull");
}

fn deletion(cluster: &Cluster) {
    assert_eq!(cluster.kubectl("delete service web"), r#"service "web" deleted from default namespace"#);
    has(&cluster.kubectl("delete deployment web"), r#"deployment.apps "web" deleted"#);
    cluster.wait("--for=delete pod -l app=web");
    cluster.wait("--for=delete pod -l app=sendmail");
    has(&cluster.answer("get all -l app=web").err, "No resources found in default namespace.");
}

fn rolled_out(cluster: &Cluster) {
    has(&cluster.kubectl("rollout status deployment/web --timeout=60s"), r#"deployment "web" successfully rolled out"#);
}

fn url(cluster: &Cluster) -> String {
    cluster.shipmate(&format!("service --name {} web --url", cluster.name)).ok().trim().to_owned()
}

fn revisions(history: &str) -> Vec<&str> {
    let numbers = history.lines().filter_map(|line| line.split_whitespace().next());
    numbers.filter(|word| word.parse::<u32>().is_ok()).collect()
}

const POD: &str = "
apiVersion: v1
kind: Pod
metadata:
  name: sendmail
  namespace: sendmailtest
  labels:
    app: sendmail
spec:
  containers:
    - name: sendmail
      image: shipmate.local/web:1.0
      ports:
        - containerPort: 25
";

/// As in the notes; the notes' own version has neither of today's group nor a selector.
fn deployment_yaml(version: &str, selector: &str) -> String {
    format!(
        "
apiVersion: {version}
kind: Deployment
metadata:
  name: sendmail
spec:
  replicas: 4
{selector}  template:
    metadata:
      labels:
        app: sendmail
    spec:
      containers:
        - name: sendmail
          image: 'shipmate.local/web:1.0'
          env: [{{name: PORT, value: '25'}}]
          securityContext: {{runAsUser: 0}}
          ports:
            - containerPort: 25
"
    )
}

const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata:
  name: sendmail-service
  labels:
    name: sendmail-service
spec:
  ports:
    - port: 25
      targetPort: 25
      protocol: TCP
      name: smtp
  selector:
    app: sendmail
  type: ClusterIP
";
