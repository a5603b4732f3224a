//! Every drill: broken, named by the doctor, mended, healthy again.

use std::time::Duration;

use serde_json::Value;

use crate::support::{Place, eventually, has};

/// A pull that failed is tried again after a back-off that grows to some minutes.
const MENDED: Duration = Duration::from_secs(240);

/// How a drill is looked at and mended.
struct Rehearsal {
    drill: &'static str,
    /// The rule that names the cause.
    cause: &'static str,
    /// What of the place must be named.
    place: &'static str,
    /// What is asked of the doctor; `FILE` is the file that the drill speaks of.
    doctor: &'static str,
    /// Mended by `doctor --fix`, and not by the drill's own steps.
    fix: bool,
}

const BY_HAND: Rehearsal = Rehearsal { drill: "", cause: "", place: "", doctor: "doctor", fix: false };

#[test]
fn a_blank_in_an_endpoint() {
    rehearse(&Rehearsal {
        drill: "blank-in-endpoint",
        cause: "endpoint-surrounding-whitespace",
        place: "node-2 /etc/containerd/config.toml",
        fix: true,
        ..BY_HAND
    });
}

#[test]
fn a_root_on_an_old_file_system() {
    rehearse(&Rehearsal { drill: "old-file-system", cause: "xfs-ftype-0", place: "node-2", ..BY_HAND });
}

#[test]
fn a_runtime_that_is_switched_off() {
    rehearse(&Rehearsal {
        drill: "cri-disabled",
        cause: "cri-plugin-disabled",
        place: "node-2 /etc/containerd/config.toml",
        fix: true,
        ..BY_HAND
    });
}

#[test]
fn a_configuration_of_another_version() {
    rehearse(&Rehearsal {
        drill: "other-version",
        cause: "containerd-config-version-mismatch",
        place: "node-2 /etc/containerd/config.toml",
        ..BY_HAND
    });
}

#[test]
fn a_registry_that_speaks_plain_http() {
    rehearse(&Rehearsal { drill: "plain-http", cause: "http-registry-not-declared", place: ":5000", ..BY_HAND });
}

#[test]
fn an_authority_that_is_not_trusted() {
    rehearse(&Rehearsal { drill: "untrusted-ca", cause: "registry-ca-untrusted", place: ":5000", ..BY_HAND });
}

#[test]
fn a_clock_that_is_off() {
    rehearse(&Rehearsal { drill: "clock-off", cause: "node-clock-skew", place: "", ..BY_HAND });
}

#[test]
fn a_pull_secret_elsewhere() {
    rehearse(&Rehearsal {
        drill: "pull-secret-missing",
        cause: "image-pull-secret-wrong-namespace",
        place: "shop",
        ..BY_HAND
    });
}

#[test]
fn a_pull_secret_for_another_host() {
    rehearse(&Rehearsal { drill: "pull-secret-wrong", cause: "pull-secret-wrong-host", place: "", ..BY_HAND });
}

#[test]
fn a_limit_that_is_too_low() {
    rehearse(&Rehearsal { drill: "out-of-memory", cause: "oom-killed", place: "shop", ..BY_HAND });
}

#[test]
fn a_probe_that_cannot_pass() {
    rehearse(&Rehearsal { drill: "probe-wrong", cause: "liveness-probe-failing", place: "shop", ..BY_HAND });
}

#[test]
fn a_full_disk() {
    rehearse(&Rehearsal { drill: "disk-full", cause: "node-disk-full", place: "node-2", ..BY_HAND });
}

#[test]
fn a_manifest_of_2018() {
    rehearse(&Rehearsal {
        drill: "old-manifest",
        cause: "api-version-removed",
        place: "shop.yaml",
        doctor: "doctor manifests FILE",
        fix: true,
    });
}

#[test]
fn a_kubeconfig_that_points_nowhere() {
    rehearse(&Rehearsal {
        drill: "lost-kubeconfig",
        cause: "kubeconfig-context-cluster-mismatch",
        place: "kubeconfig",
        doctor: "doctor kubeconfig --kubeconfig FILE",
        ..BY_HAND
    });
}

/// Here the machine itself may have more that stands in the way of an upgrade: only the drill's own finding must go.
#[test]
fn an_upgrade_that_would_break() {
    let place = Place::new("upgrade");
    let name = place.name("");
    let drill = |command: &str| place.shipmate(&format!("drill --name {name} {command}"));
    let found = || {
        let report = place.shipmate("doctor upgrade --to 1.37 -o json");
        let report: Value = serde_json::from_str(&report.out).unwrap();
        let findings = report["findings"].as_array().unwrap().clone();
        findings.into_iter().find(|finding| finding["key"] == "upgrade-removed-api-applied")
    };
    drill("start upgrade-breaks").ok();
    assert_eq!(drill("check").code, 1);
    has(&found().unwrap()["place"].to_string(), "shop");
    drill("solve").ok();
    has(&drill("check").ok(), "Mended");
    assert_eq!(found(), None);
    drill("reset").ok();
}

fn rehearse(rehearsal: &Rehearsal) {
    let place = Place::new(rehearsal.drill);
    let name = place.name("");
    let drill = |command: &str| place.shipmate(&format!("drill --name {name} {command}"));
    let begun = drill(&format!("start {}", rehearsal.drill));
    let file = begun.err.lines().find_map(|line| line.split_once(" is /").map(|(_, path)| format!("/{path}")));
    begun.ok();
    let checked = drill("check");
    assert_eq!(checked.code, 1, "{checked}");
    has(&checked.out, "Not yet");
    has(&drill("hint").ok(), "Hint 1");

    let doctor = rehearsal.doctor.replace("FILE", file.as_deref().unwrap_or("no file was named"));
    let report = place.shipmate(&format!("{doctor} -o json"));
    assert_eq!(report.code, 1, "{report}");
    let report: Value = serde_json::from_str(&report.out).unwrap();
    let first = &report["findings"][0];
    assert_eq!(first["key"], rehearsal.cause, "{report:#}");
    has(&first["place"].to_string(), rehearsal.place);

    if rehearsal.fix {
        let mended = place.shipmate(&format!("{doctor} --fix --yes"));
        has(&(mended.out + &mended.err), "receipt");
    } else {
        drill("solve").ok();
    }
    eventually("the drill is mended", MENDED, || {
        let answer = drill("check");
        (answer.code == 0).then_some(())
    });
    eventually("the doctor finds nothing more", MENDED, || {
        let answer = place.shipmate(&doctor);
        (answer.code == 0).then_some(())
    });
    drill("reset").ok();
    assert_eq!(place.leftovers(), Vec::<String>::new());
}
