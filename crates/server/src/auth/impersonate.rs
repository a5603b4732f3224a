//! Acting as somebody else (`kubectl --as`): each part of the other identity must be allowed on its own.

use api::Status;
use http::HeaderMap;
use percent_encoding::percent_decode_str;

use super::authorize;
use crate::{Attributes, Server, User};

const EXTRA: &str = "impersonate-extra-";
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// The user that a request is made as, after its impersonation headers.
///
/// # Errors
/// When a part of the identity may not be taken on, or no user is named.
pub fn apply(server: &Server, headers: &HeaderMap, user: User) -> Result<User, Status> {
    let Some(wanted) = Wanted::read(headers)? else { return Ok(user) };
    let view = server.store.view();
    for attributes in wanted.asked() {
        authorize(&server.auth, &view, &user, &attributes)?;
    }
    tracing::debug!(user = user.name, r#as = wanted.user.name, "impersonating");
    Ok(wanted.user)
}

/// The identity asked for.
struct Wanted {
    user: User,
    /// Groups that were named, before those that follow from the name.
    groups: Vec<String>,
}

impl Wanted {
    fn read(headers: &HeaderMap) -> Result<Option<Self>, Status> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let named = headers.get_all("impersonate-group").iter().filter_map(|value| value.to_str().ok());
        let mut user = User { name: text("impersonate-user"), uid: text("impersonate-uid"), ..User::default() };
        let groups: Vec<String> = named.map(str::to_owned).collect();
        for (name, value) in headers {
            if let (Some(key), Ok(value)) = (name.as_str().strip_prefix(EXTRA), value.to_str()) {
                let key = percent_decode_str(key).decode_utf8_lossy().to_lowercase();
                user.extra.entry(key).or_default().push(value.to_owned());
            }
        }
        if user.name.is_empty() {
            let nothing = user.uid.is_empty() && user.extra.is_empty() && groups.is_empty();
            return if nothing {
                Ok(None)
            } else {
                Err(Status::bad_request("impersonation without a user: Impersonate-User must be set too"))
            };
        }
        user.groups = groups.clone();
        add_implied_groups(&mut user);
        Ok(Some(Self { user, groups }))
    }

    /// What the real user must be allowed.
    fn asked(&self) -> Vec<Attributes> {
        let ask = |group: &str, resource: &str, subresource: &str, namespace: &str, name: &str| Attributes {
            verb: "impersonate".to_owned(),
            is_resource: true,
            group: group.to_owned(),
            version: "v1".to_owned(),
            resource: resource.to_owned(),
            subresource: subresource.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            ..Attributes::default()
        };
        const GROUP: &str = "authentication.k8s.io";
        let account = self.user.name.strip_prefix(SERVICE_ACCOUNT).and_then(|rest| rest.split_once(':'));
        let mut asked = vec![match account {
            Some((namespace, name)) => ask("", "serviceaccounts", "", namespace, name),
            None => ask("", "users", "", "", &self.user.name),
        }];
        asked.extend(self.groups.iter().map(|group| ask("", "groups", "", "", group)));
        for (key, values) in &self.user.extra {
            asked.extend(values.iter().map(|value| ask(GROUP, "userextras", key, "", value)));
        }
        if !self.user.uid.is_empty() {
            asked.push(ask(GROUP, "uids", "", "", &self.user.uid));
        }
        asked
    }
}

/// A service account named without groups has its own; everybody but `system:anonymous` is authenticated.
fn add_implied_groups(user: &mut User) {
    let account = user.name.strip_prefix(SERVICE_ACCOUNT).and_then(|rest| rest.split_once(':'));
    if let (true, Some((namespace, _))) = (user.groups.is_empty(), account) {
        user.groups.push("system:serviceaccounts".to_owned());
        user.groups.push(format!("system:serviceaccounts:{namespace}"));
    }
    let implied = if user.name == "system:anonymous" { "system:unauthenticated" } else { "system:authenticated" };
    if !user.in_group("system:authenticated") && !user.in_group(implied) {
        user.groups.push(implied.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Option<Wanted>, Status> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap());
        }
        Wanted::read(&headers)
    }

    #[test]
    fn each_part_of_an_identity_is_asked_for() {
        let wanted = read(&[
            ("Impersonate-User", "jane"),
            ("Impersonate-Group", "dev"),
            ("Impersonate-Group", "ops"),
            ("Impersonate-Uid", "7"),
            ("Impersonate-Extra-acme.com%2fproject", "x"),
        ])
        .unwrap()
        .unwrap();
        let asked: Vec<String> =
            wanted.asked().iter().map(|one| format!("{} {}", one.resource_and_sub(), one.name)).collect();
        assert_eq!(asked, ["users jane", "groups dev", "groups ops", "userextras/acme.com/project x", "uids 7"]);
        assert_eq!(wanted.user.groups, ["dev", "ops", "system:authenticated"]);
    }

    #[test]
    fn a_service_account_keeps_its_groups() {
        let wanted = read(&[("Impersonate-User", "system:serviceaccount:shop:till")]).unwrap().unwrap();
        assert_eq!(
            wanted.user.groups,
            ["system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated"]
        );
        let asked = wanted.asked();
        assert_eq!(
            (asked[0].resource.as_str(), asked[0].namespace.as_str(), asked[0].name.as_str()),
            ("serviceaccounts", "shop", "till")
        );
    }

    #[test]
    fn nobody_in_particular_is_not_impersonated() {
        assert!(read(&[]).unwrap().is_none());
        assert!(read(&[("Impersonate-Group", "dev")]).is_err());
        let anonymous = read(&[("Impersonate-User", "system:anonymous")]).unwrap().unwrap();
        assert_eq!(anonymous.user.groups, ["system:unauthenticated"]);
    }
}
