//! What `kubeadm init` and `join` check before they begin, checked without kubeadm and told in its words: those are what
//! people search for, and what rules know.

use doctor::ItemKind;

use super::sources::Question;

/// The checks, each a line of kubeadm's when it fails.
const CHECKS: &str = r#"echo '[preflight] Running pre-flight checks'
fails() { printf '\t[ERROR %s]: %s\n' "$1" "$2"; }
[ "$(id -u)" = 0 ] || fails IsPrivilegedUser 'user is not running as root'
cpus=$(nproc 2>/dev/null || echo 2)
[ "$cpus" -ge 2 ] || fails NumCPU "the number of available CPUs $cpus is less than the required 2"
memory=$(sed -n 's/^MemTotal: *\([0-9]*\)[0-9][0-9][0-9] kB/\1/p' /proc/meminfo)
[ "${memory:-1700}" -ge 1700 ] || fails Mem "the system RAM ($memory MB) is less than the minimum 1700 MB"
for port in 6443 10250 10257 10259 2379 2380; do
  hex=$(printf '%04X' $port)
  grep -qE ":$hex 0+:0000 0A" /proc/net/tcp /proc/net/tcp6 2>/dev/null && fails "Port-$port" "Port $port is in use"
done
for file in manifests/kube-apiserver manifests/kube-controller-manager manifests/kube-scheduler manifests/etcd; do
  path=/etc/kubernetes/$file.yaml
  [ -e $path ] && fails "FileAvailable-$(echo $path | tr / -)" "$path already exists"
done
[ -e /etc/kubernetes/kubelet.conf ] && fails FileAvailable--etc-kubernetes-kubelet.conf '/etc/kubernetes/kubelet.conf already exists'
[ -n "$(ls -A /var/lib/etcd 2>/dev/null)" ] && fails DirAvailable--var-lib-etcd '/var/lib/etcd is not empty'
for key in net/bridge/bridge-nf-call-iptables net/ipv4/ip_forward; do
  path=/proc/sys/$key
  name=FileContent-$(echo $path | tr / -)
  if [ ! -e $path ]; then fails $name "$path does not exist"
  elif [ "$(cat $path)" != 1 ]; then fails $name "$path contents are not set to 1"; fi
done
for program in conntrack ip iptables mount nsenter; do
  command -v $program >/dev/null 2>&1 || fails FileExisting-$program "$program not found in system path"
done
true"#;

/// The checks, and what explains them.
pub(super) fn questions() -> Vec<Question> {
    let facts = ["which -a crictl", "ss -ltnp", "hostname"];
    let mut questions: Vec<Question> =
        facts.into_iter().map(|command| Question::command(command).if_it_succeeds()).collect();
    questions.push(Question::named("kubeadm init phase preflight", ItemKind::KubeadmOutput, CHECKS));
    questions
}

#[cfg(test)]
mod tests {
    use crate::access::Local;
    use crate::collect::node;

    #[tokio::test]
    async fn a_port_that_is_taken_is_told_as_kubeadm_tells_it() {
        // One of the ports that it looks at, if nobody has it; else the one who has it is as good.
        let held = std::net::TcpListener::bind("127.0.0.1:10259");
        let items = node::preflight(&Local::new("here")).await;
        drop(held);
        let checks = items.iter().find(|item| item.origin.0 == "here: kubeadm init phase preflight").unwrap();
        assert!(checks.text.starts_with("[preflight] Running pre-flight checks\n"), "{}", checks.text);
        assert!(checks.text.contains("\t[ERROR Port-10259]: Port 10259 is in use\n"), "{}", checks.text);
        assert!(!checks.text.contains("mount not found"), "{}", checks.text);
    }
}
