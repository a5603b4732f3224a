//! Files that apply, and what they tell.

use std::fs;

use super::*;

const TOKEN: &str =
    "eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2lkcCIsInN1YiI6ImFkYSIsImV4cCI6MTcyNTcyNjEwM30.c2lnbmF0dXJlLXNlY3JldA";

fn kubeconfig(context: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: {context}\nclusters:\n- name: c\n  cluster:\n    server: \
         https://127.0.0.1:1\ncontexts:\n- name: here\n  context: {{cluster: c, user: u}}\n- name: lost\n  context: \
         {{cluster: gone, user: u}}\nusers:\n- name: u\n  user:\n    token: {TOKEN}\n"
    )
}

struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let file = directory.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        Self { directory }
    }

    fn choice(&self, variable: Option<&str>) -> Choice {
        let home = self.directory.path().to_owned();
        let variable = variable.map(|names| {
            std::env::join_paths(
                names.split(',').map(|name| if name.is_empty() { PathBuf::new() } else { home.join(name) }),
            )
            .unwrap()
        });
        Choice { home: Some(home), variable, path: Some("/nowhere".into()), ..Choice::default() }
    }
}

async fn refused(choice: &Choice) -> String {
    choice.choose().await.unwrap_err().to_string()
}

#[tokio::test]
async fn the_first_of_several_files_wins_and_missing_ones_are_skipped() {
    let text = kubeconfig("here");
    let place = Place::new(&[(".kube/config", "current-context: none\n"), ("a", &text), ("b", &kubeconfig("lost"))]);
    let chosen = place.choice(Some(",gone,a,b")).choose().await.unwrap();
    assert_eq!((chosen.context.as_str(), chosen.config.cluster_url.port_u16()), ("here", Some(1)));
    let explicit = Choice { explicit: Some(place.directory.path().join("b")), ..place.choice(Some("a")) };
    assert_eq!(explicit.files().len(), 1);
    assert!(refused(&explicit).await.contains("localhost:8080"), "its cluster does not exist");
}

#[tokio::test]
async fn what_is_missing_is_told_in_kubectls_words() {
    let place = Place::new(&[(".kube/config", &kubeconfig("typo"))]);
    assert!(refused(&place.choice(None)).await.contains("context was not found for specified context: typo"));
    let other = Choice { context: Some("prd".to_owned()), ..place.choice(None) };
    assert_eq!(refused(&other).await, "error: context \"prd\" does not exist");
    assert!(refused(&place.choice(Some("nothing"))).await.contains("localhost:8080 was refused"));
    let broken = Place::new(&[(".kube/config", "a: b: c\n")]);
    assert!(refused(&broken.choice(None)).await.contains("error loading config file"));
}

#[tokio::test]
async fn evidence_holds_dates_and_no_token() {
    let place = Place::new(&[(".kube/config", &kubeconfig("here")), (".kube/prod.yaml", "")]);
    let items = place.choice(Some(".kube/prod.yml,.kube/config")).evidence();
    let text: String = items.iter().map(|item| format!("{}\n{}\n", item.origin.0, item.text)).collect();
    // Without its signature a token opens nothing.
    assert!(!text.contains(TOKEN.rsplit('.').next().unwrap()), "{text}");
    for needed in [
        "config  prod.yaml",
        "prod.yml:",
        "\"exp\":1725726103",
        "payload of users[0].user.token of ~/.kube/config",
        "UTC",
    ] {
        assert!(text.contains(needed), "{needed} is not in\n{text}");
    }
}

#[tokio::test]
async fn a_plugin_that_is_not_there_is_told() {
    let text = kubeconfig("here")
        .replace(&format!("token: {TOKEN}"), "exec: {apiVersion: client.authentication.k8s.io/v1, command: aws}");
    let place = Place::new(&[(".kube/config", &text)]);
    let told = place.choice(None).evidence();
    assert!(told.iter().any(|item| item.text.contains("exec: executable aws not found")), "{told:?}");
}
