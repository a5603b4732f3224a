//! Manifests (`SM05xx`): what the API server will not take.

mod judged;
mod places;
pub(in crate::rules) mod removed;
mod selectors;
mod structure;

rules! {
    manifest_indentation,
    manifest_yaml_syntax,
    manifest_kind_typo,
    api_version_removed,
    crd_not_installed,
    selector_immutable,
    selector_missing,
    invalid_object_name,
    namespace_missing,
    quota_exceeded,
    manifest_unknown_field,
    manifest_wrong_type,
    manifest_field_missing,
    manifest_invalid_value,
    manifest_no_object,
    selector_does_not_match_template,
    immutable_field,
}
