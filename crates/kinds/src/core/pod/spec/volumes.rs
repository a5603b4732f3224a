//! Volumes of a pod and where its containers mount them.

use std::collections::{BTreeMap, BTreeSet};

use api::{FieldErrors, Path, Quantity};
use k8s_openapi::api::core::v1::{
    Container, DownwardAPIVolumeFile, KeyToPath, PodSpec, ProjectedVolumeSource, Volume, VolumeMount, VolumeProjection,
};

use super::{Whole, env};
use crate::checks;

/// Reports what is wrong with volumes, and hands out the good ones by name.
pub fn validate<'a>(spec: &'a PodSpec, path: &Path, errors: &mut FieldErrors) -> BTreeMap<&'a str, &'a Volume> {
    let mut good: BTreeMap<&str, &Volume> = BTreeMap::new();
    for (index, volume) in spec.volumes.iter().flatten().enumerate() {
        let path = path.index(index);
        let before = errors.0.len();
        source(volume, &path, errors);
        checks::required_name(errors, &path.child("name"), Some(&volume.name), checks::LABEL);
        if good.contains_key(volume.name.as_str()) {
            errors.duplicate(&path.child("name"), volume.name.as_str());
        }
        if errors.0.len() == before {
            good.insert(&volume.name, volume);
        }
    }
    good
}

/// The sources that a volume has, by their fields, in the order of Kubernetes' checks.
fn sources(volume: &Volume) -> Vec<&'static str> {
    [
        ("emptyDir", volume.empty_dir.is_some()),
        ("hostPath", volume.host_path.is_some()),
        ("gitRepo", volume.git_repo.is_some()),
        ("gcePersistentDisk", volume.gce_persistent_disk.is_some()),
        ("awsElasticBlockStore", volume.aws_elastic_block_store.is_some()),
        ("secret", volume.secret.is_some()),
        ("nfs", volume.nfs.is_some()),
        ("iscsi", volume.iscsi.is_some()),
        ("glusterfs", volume.glusterfs.is_some()),
        ("flocker", volume.flocker.is_some()),
        ("persistentVolumeClaim", volume.persistent_volume_claim.is_some()),
        ("rbd", volume.rbd.is_some()),
        ("cinder", volume.cinder.is_some()),
        ("cephFS", volume.cephfs.is_some()),
        ("quobyte", volume.quobyte.is_some()),
        ("downwarAPI", volume.downward_api.is_some()),
        ("fc", volume.fc.is_some()),
        ("flexVolume", volume.flex_volume.is_some()),
        ("configMap", volume.config_map.is_some()),
        ("azureFile", volume.azure_file.is_some()),
        ("vsphereVolume", volume.vsphere_volume.is_some()),
        ("photonPersistentDisk", volume.photon_persistent_disk.is_some()),
        ("portworxVolume", volume.portworx_volume.is_some()),
        ("azureDisk", volume.azure_disk.is_some()),
        ("storageos", volume.storageos.is_some()),
        ("projected", volume.projected.is_some()),
        ("scaleIO", volume.scale_io.is_some()),
        ("csi", volume.csi.is_some()),
        ("ephemeral", volume.ephemeral.is_some()),
        ("image", volume.image.is_some()),
    ]
    .into_iter()
    .filter(|(_, present)| *present)
    .map(|(field, _)| field)
    .collect()
}

fn source(volume: &Volume, path: &Path, errors: &mut FieldErrors) {
    let given = sources(volume);
    let Some((first, others)) = given.split_first() else {
        return errors.required(path, "must specify a volume type");
    };
    match *first {
        "emptyDir" => {
            let limit = volume.empty_dir.as_ref().and_then(|source| source.size_limit.as_ref());
            if limit.and_then(|limit| Quantity::parse(&limit.0).ok()).is_some_and(Quantity::negative) {
                let why = "SizeLimit field must be a valid resource quantity";
                errors.forbidden(&path.child("emptyDir").child("sizeLimit"), why);
            }
        }
        "hostPath" => host_path(volume, &path.child("hostPath"), errors),
        "secret" => volume.secret.iter().for_each(|source| {
            let path = path.child("secret");
            checks::required_name(errors, &path.child("secretName"), source.secret_name.as_deref(), |_| Vec::new());
            file_mode(source.default_mode, &path.child("defaultMode"), errors);
            key_paths(source.items.as_deref(), &path.child("items"), errors);
        }),
        "configMap" => volume.config_map.iter().for_each(|source| {
            let path = path.child("configMap");
            checks::required_name(errors, &path.child("name"), Some(&source.name), |_| Vec::new());
            file_mode(source.default_mode, &path.child("defaultMode"), errors);
            key_paths(source.items.as_deref(), &path.child("items"), errors);
        }),
        "downwardAPI" | "downwarAPI" => volume.downward_api.iter().for_each(|source| {
            let path = path.child("downwardAPI");
            file_mode(source.default_mode, &path.child("defaultMode"), errors);
            for file in source.items.iter().flatten() {
                downward_file(file, &path, errors);
            }
        }),
        "projected" => volume.projected.iter().for_each(|source| projected(source, &path.child("projected"), errors)),
        "persistentVolumeClaim" => volume.persistent_volume_claim.iter().for_each(|source| {
            if source.claim_name.is_empty() {
                errors.required(&path.child("persistentVolumeClaim").child("claimName"), "");
            }
        }),
        "nfs" => volume.nfs.iter().for_each(|source| {
            let path = path.child("nfs");
            for (field, value) in [("server", &source.server), ("path", &source.path)] {
                if value.is_empty() {
                    errors.required(&path.child(field), "");
                }
            }
            if !source.path.is_empty() && !source.path.starts_with('/') {
                errors.invalid(&path.child("path"), source.path.as_str(), "must be an absolute path");
            }
        }),
        "csi" => volume.csi.iter().for_each(|source| {
            if source.driver.is_empty() {
                errors.required(&path.child("csi").child("driver"), "");
            }
        }),
        "image" => volume.image.iter().for_each(|source| {
            let path = path.child("image");
            if source.reference.as_deref().unwrap_or_default().is_empty() {
                errors.required(&path.child("reference"), "");
            }
            let known = ["Always", "IfNotPresent", "Never"];
            checks::one_of(errors, &path.child("pullPolicy"), source.pull_policy.as_deref(), &known);
        }),
        _ => {}
    }
    for field in others {
        errors.forbidden(&path.child(field), "may not specify more than 1 volume type");
    }
}

fn host_path(volume: &Volume, path: &Path, errors: &mut FieldErrors) {
    const TYPES: &[&str] =
        &["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];
    let Some(source) = &volume.host_path else { return };
    if source.path.is_empty() {
        return errors.required(&path.child("path"), "");
    }
    no_backsteps(&source.path, &path.child("path"), errors);
    if let Some(kind) = source.type_.as_deref().filter(|kind| !TYPES.contains(kind)) {
        errors.not_supported(&path.child("type"), kind, TYPES);
    }
}

fn file_mode(mode: Option<i32>, path: &Path, errors: &mut FieldErrors) {
    if let Some(mode) = mode.filter(|mode| !(0..=0o777).contains(mode)) {
        errors.invalid(path, mode, "must be a number between 0 and 0777 (octal), both inclusive");
    }
}

fn key_paths(items: Option<&[KeyToPath]>, path: &Path, errors: &mut FieldErrors) {
    for (index, item) in items.into_iter().flatten().enumerate() {
        let path = path.index(index);
        if item.key.is_empty() {
            errors.required(&path.child("key"), "");
        }
        if item.path.is_empty() {
            errors.required(&path.child("path"), "");
        }
        local_file(&item.path, &path.child("path"), errors);
        file_mode(item.mode, &path.child("mode"), errors);
    }
}

fn downward_file(file: &DownwardAPIVolumeFile, path: &Path, errors: &mut FieldErrors) {
    if file.path.is_empty() {
        errors.required(&path.child("path"), "");
    }
    local_file(&file.path, &path.child("path"), errors);
    match (&file.field_ref, &file.resource_field_ref) {
        (Some(field), resource) => {
            env::field_selector(field, env::VOLUME_FIELDS, &path.child("fieldRef"), errors);
            if resource.is_some() {
                let why = "fieldRef and resourceFieldRef can not be specified simultaneously";
                errors.invalid(path, "resource", why);
            }
        }
        (None, Some(resource)) => env::resource_selector(resource, true, &path.child("resourceFieldRef"), errors),
        (None, None) => errors.required(&path.child("fieldRef"), "one of fieldRef and resourceFieldRef is required"),
    }
    file_mode(file.mode, &path.child("mode"), errors);
}

fn projected(source: &ProjectedVolumeSource, path: &Path, errors: &mut FieldErrors) {
    file_mode(source.default_mode, &path.child("defaultMode"), errors);
    for (index, part) in source.sources.iter().flatten().enumerate() {
        projection(part, &path.child("sources").index(index), errors);
    }
}

fn projection(part: &VolumeProjection, path: &Path, errors: &mut FieldErrors) {
    let given = [
        part.secret.is_some(),
        part.config_map.is_some(),
        part.downward_api.is_some(),
        part.service_account_token.is_some(),
        part.cluster_trust_bundle.is_some(),
        part.pod_certificate.is_some(),
    ];
    if given.iter().filter(|given| **given).count() > 1 {
        errors.forbidden(path, "may not specify more than 1 volume type per source");
    }
    if let Some(source) = &part.secret {
        checks::required_name(errors, &path.child("secret").child("name"), Some(&source.name), |_| Vec::new());
        key_paths(source.items.as_deref(), &path.child("secret").child("items"), errors);
    }
    if let Some(source) = &part.config_map {
        checks::required_name(errors, &path.child("configMap").child("name"), Some(&source.name), |_| Vec::new());
        key_paths(source.items.as_deref(), &path.child("configMap").child("items"), errors);
    }
    for file in part.downward_api.iter().flat_map(|source| source.items.iter().flatten()) {
        downward_file(file, &path.child("downwardAPI"), errors);
    }
    if let Some(token) = &part.service_account_token {
        let path = path.child("serviceAccountToken");
        if let Some(seconds) = token.expiration_seconds {
            if seconds < 600 {
                let why = "may not specify a duration less than 10 minutes";
                errors.invalid(&path.child("expirationSeconds"), seconds, why);
            }
            if seconds > 1 << 32 {
                let why = "may not specify a duration larger than 2^32 seconds";
                errors.invalid(&path.child("expirationSeconds"), seconds, why);
            }
        }
        if token.path.is_empty() {
            errors.required(&path.child("path"), "");
        } else {
            local_file(&token.path, &path.child("path"), errors);
        }
    }
}

/// A relative path that stays below where it starts.
pub fn local_path(text: &str, path: &Path, errors: &mut FieldErrors) {
    if text.starts_with('/') {
        errors.invalid(path, text, "must be a relative path");
    }
    no_backsteps(text, path, errors);
}

/// A file of a projected volume: `..` at the start is how the volume itself names its files.
fn local_file(text: &str, path: &Path, errors: &mut FieldErrors) {
    local_path(text, path, errors);
    if text.starts_with("..") && !text.starts_with("../") && text != ".." {
        errors.invalid(path, text, "must not start with '..'");
    }
}

fn no_backsteps(text: &str, path: &Path, errors: &mut FieldErrors) {
    if text.split('/').any(|step| step == "..") {
        errors.invalid(path, text, "must not contain '..'");
    }
}

/// Reports what is wrong with mounts and devices of a container.
pub fn mounts(whole: &Whole<'_>, container: &Container, path: &Path, errors: &mut FieldErrors) {
    let devices = container.volume_devices.as_deref().unwrap_or_default();
    let mounts = container.volume_mounts.as_deref().unwrap_or_default();
    let mut places = BTreeSet::new();
    for (index, mount) in mounts.iter().enumerate() {
        let path = path.child("volumeMounts").index(index);
        self::mount(whole, container, mount, &path, errors);
        if !places.insert(&mount.mount_path) {
            errors.invalid(&path.child("mountPath"), mount.mount_path.as_str(), "must be unique");
        }
        if devices.iter().any(|device| device.name == mount.name) {
            errors.invalid(&path.child("name"), mount.name.as_str(), "must not already exist in volumeDevices");
        }
        if devices.iter().any(|device| device.device_path == mount.mount_path) {
            let why = "must not already exist as a path in volumeDevices";
            errors.invalid(&path.child("mountPath"), mount.mount_path.as_str(), why);
        }
    }
    let (mut seen_names, mut seen_paths) = (BTreeSet::new(), BTreeSet::new());
    for (index, device) in devices.iter().enumerate() {
        let path = path.child("volumeDevices").index(index);
        match whole.volumes.get(device.name.as_str()) {
            _ if device.name.is_empty() => errors.required(&path.child("name"), ""),
            None => errors.not_found(&path.child("name"), device.name.as_str()),
            Some(volume) if volume.persistent_volume_claim.is_none() && volume.ephemeral.is_none() => {
                let why = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode";
                errors.invalid(&path.child("name"), device.name.as_str(), why);
            }
            Some(_) => {}
        }
        if !seen_names.insert(&device.name) {
            errors.invalid(&path.child("name"), device.name.as_str(), "must be unique");
        }
        if device.device_path.is_empty() {
            errors.required(&path.child("devicePath"), "");
        }
        if !seen_paths.insert(&device.device_path) {
            errors.invalid(&path.child("devicePath"), device.device_path.as_str(), "must be unique");
        }
        if device.device_path.split('/').any(|step| step == "..") {
            let why = "can not contain backsteps ('..')";
            errors.invalid(&path.child("devicePath"), device.device_path.as_str(), why);
        }
    }
}

fn mount(whole: &Whole<'_>, container: &Container, mount: &VolumeMount, path: &Path, errors: &mut FieldErrors) {
    if mount.name.is_empty() {
        errors.required(&path.child("name"), "");
    }
    let volume = whole.volumes.get(mount.name.as_str());
    if volume.is_none() {
        errors.not_found(&path.child("name"), mount.name.as_str());
    }
    if mount.mount_path.is_empty() {
        errors.required(&path.child("mountPath"), "");
    }
    let sub_path = mount.sub_path.as_deref().unwrap_or_default();
    let expression = mount.sub_path_expr.as_deref().unwrap_or_default();
    for (field, text) in [("subPath", sub_path), ("subPathExpr", expression)] {
        if text.is_empty() {
            continue;
        }
        if volume.is_some_and(|volume| volume.image.is_some()) {
            errors.invalid(&path.child(field), text, "not allowed in image volume sources");
        }
        local_path(text, &path.child(field), errors);
    }
    if !sub_path.is_empty() && !expression.is_empty() {
        let why = "subPathExpr and subPath are mutually exclusive";
        errors.invalid(&path.child("subPathExpr"), expression, why);
    }
    let propagation = mount.mount_propagation.as_deref();
    let known = ["Bidirectional", "HostToContainer", "None"];
    if let Some(mode) = propagation.filter(|mode| !known.contains(mode)) {
        errors.not_supported(&path.child("mountPropagation"), mode, &known);
    }
    let privileged = container.security_context.as_ref().and_then(|context| context.privileged) == Some(true);
    if propagation == Some("Bidirectional") && !privileged {
        let why = "Bidirectional mount propagation is available only to privileged containers";
        errors.forbidden(&path.child("mountPropagation"), why);
    }
    if let Some(mode) = mount.recursive_read_only.as_deref() {
        let path = path.child("recursiveReadOnly");
        let known = ["Disabled", "Enabled", "IfPossible"];
        checks::one_of(errors, &path, Some(mode), &known);
        if mode != "Disabled" && mount.read_only != Some(true) {
            errors.forbidden(&path, "may only be specified when readOnly is true");
        }
    }
}
