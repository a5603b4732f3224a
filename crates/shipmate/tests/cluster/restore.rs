//! A restore that is killed, one with few rights, one beside what is there: on simulated nodes, with the real kubectl.

use std::fmt::Write as _;
use std::fs;

use nix::sys::signal::Signal;

use crate::export::{dir, exported, limited};
use crate::support::{Cluster, has, lacks};

const MAPS: usize = 150;

#[test]
fn a_restore_goes_on_whatever_happens() {
    let cluster = Cluster::simulated("rst", 1);
    fill(&cluster);
    let before = exported(&cluster, "");
    killed_and_taken_up(&cluster);
    assert!(exported(&cluster, "") == before, "it is what it was");
    few_rights(&cluster);
    beside(&cluster);
}

fn fill(cluster: &Cluster) {
    let mut text = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n".to_owned();
    for number in 0..MAPS {
        let metadata = format!("{{name: m{number}, namespace: shop, labels: {{part: maps}}}}");
        writeln!(text, "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {metadata}\ndata: {{k: v{number}}}").unwrap();
    }
    text.push_str(
        "---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: worker, namespace: shop}\n\
         ---\napiVersion: v1\nkind: Secret\ntype: kubernetes.io/service-account-token\n\
         metadata: {name: token, namespace: shop, annotations: {kubernetes.io/service-account.name: worker}}\n\
         ---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: workers-look}\n\
         roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}\n\
         subjects: [{kind: ServiceAccount, name: worker, namespace: shop}]\n\
         ---\napiVersion: batch/v1\nkind: Job\nmetadata: {name: once, namespace: shop}\nspec: {template: {spec: \
         {restartPolicy: Never, containers: [{name: once, image: shipmate.local/web:1.0}]}}}\n",
    );
    cluster.fed("create -f -", text).ok();
}

/// `kill -9` in the middle: the next one makes the rest, and the receipt of the first tells what that made.
fn killed_and_taken_up(cluster: &Cluster) {
    cluster.kubectl("delete --raw /api/v1/namespaces/shop/configmaps?labelSelector=part%3Dmaps");
    let restore = format!("restore {} --yes", dir(cluster).display());
    let mut running = cluster.spawn(&restore);
    running.until_so("a tenth is created", |_, err| err.matches("created shop/configmap/").count() > MAPS / 10);
    running.signal(Signal::SIGKILL);
    let killed = running.finish();
    assert_eq!(killed.code, 128 + 9, "{killed}");
    let count = || cluster.kubectl("get configmaps -n shop -l part=maps -o name").lines().count();
    let first = count();
    assert!((MAPS / 10..MAPS).contains(&first), "{first} were made");
    let again = cluster.shipmate(&restore);
    assert_eq!(again.code, 0, "{again}");
    has(&again.err, &format!("{} to create, 0 to change", MAPS - first));
    assert_eq!(count(), MAPS);
    let id = killed.err.split("receipt ").nth(1).unwrap().split(':').next().unwrap();
    cluster.shipmate(&format!("doctor undo {id} --yes")).ok();
    // What was on its way when the program ended may be missing in the receipt.
    let undone = count();
    assert!((MAPS - first..MAPS - first + 6).contains(&undone), "{undone} are left of {MAPS}, {first} were made first");
    cluster.shipmate(&restore).ok();
}

/// Who has rights in one namespace restores that one; what may not even be looked at is named.
fn few_rights(cluster: &Cluster) {
    cluster.kubectl("create serviceaccount mate");
    cluster.kubectl("create rolebinding mates -n shop --clusterrole=admin --serviceaccount=default:mate");
    exported(cluster, "");
    let config = limited(cluster, "mate");
    let restore = format!("restore {} -n shop --yes --kubeconfig {config}", dir(cluster).display());
    cluster.kubectl("delete configmap m1 m2 -n shop");
    cluster.kubectl("patch configmap m3 -n shop --type merge -p '{\"data\":{\"k\":\"other\"}}'");
    let answer = cluster.shipmate(&restore);
    assert_eq!(answer.code, 4, "{answer}");
    has(&answer.err, "2 to create, 1 to change");
    has(&answer.out, "! _cluster/clusterrolebinding/workers-look: ");
    lacks(&answer.out, "! shop/");
    assert_eq!(cluster.field("-n shop configmap/m3", ".data.k"), "v3");
    let elsewhere = format!("restore {} --into shop=other --yes --kubeconfig {config}", dir(cluster).display());
    let answer = cluster.shipmate(&elsewhere);
    assert_eq!(answer.code, 4, "{answer}");
    has(&answer.out, "! other/configmap/m1: ");
    has(&cluster.refused("get namespace other"), "NotFound");
    assert_eq!(cluster.shipmate(&format!("diff {}", dir(cluster).display())).ok(), "");
}

/// A copy has the rights that the first one has, which keeps them.
fn beside(cluster: &Cluster) {
    let copy = format!("restore {} --into shop=copy --yes", dir(cluster).display());
    let answer = cluster.shipmate(&copy);
    assert_eq!(answer.code, 0, "{answer}");
    has(&answer.out, "~ _cluster/clusterrolebinding/workers-look");
    has(&answer.out, "it will run, also if it had run to its end before");
    for namespace in ["shop", "copy"] {
        let may = format!("auth can-i list pods -A --as system:serviceaccount:{namespace}:worker");
        assert_eq!(cluster.kubectl(&may), "yes", "{namespace}");
        cluster.wait(&format!("--for=jsonpath='{{.status.active}}'=1 -n {namespace} job/once"));
    }
    has(&cluster.shipmate(&copy).fails(0), "0 to create, 0 to change, 0 can't");
    let twice = cluster.shipmate(&format!("restore {} -n copy --into shop=copy --dry-run", dir(cluster).display()));
    has(&twice.fails(1), "namespace copy is not in the files");
    let page = cluster.dir().join("page.html");
    fs::remove_file(&page).unwrap_or_default();
    cluster.shipmate(&format!("diff {} --html {}", dir(cluster).display(), page.display())).fails(1);
    has(&fs::read_to_string(&page).unwrap(), "<h2>copy</h2>");
}
