//! Pulling to this machine from the distribution's registry: plain, by TLS, with passwords.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cri::import::{ImageName, Platform};
use operate::access::Local;
use operate::registry::{Credentials, Options, RegistryError, Repository};
use operate::seed::{ContentDir, Pull, PullError, PullEvent, image_in, pull};

use crate::support::{Registry, image, store};

fn repository(name: &ImageName, options: &Options) -> Repository {
    Repository::of(name, Arc::new(Local::new("here")), options).unwrap()
}

async fn pulled(name: &ImageName, options: &Options) -> Result<u64, PullError> {
    let home = tempfile::tempdir().unwrap();
    let directory = ContentDir::open(home.path(), name).unwrap();
    let came = Arc::new(AtomicU64::new(0));
    let counted = came.clone();
    let what = Pull {
        name,
        platforms: &BTreeSet::from([Platform::here()]),
        directory: &directory,
        progress: Arc::new(move |event| match event {
            PullEvent::Came(bytes) => {
                counted.fetch_add(bytes, Ordering::Relaxed);
            }
            PullEvent::Total(_) | PullEvent::Lost(_) | PullEvent::Again(_) => {}
        }),
    };
    let digest = pull(&repository(name, options), &what).await?;
    let source = image_in(directory.path(), name, &Platform::here(), true).unwrap();
    let found = &source.images()[0];
    assert_eq!((found.names[0].clone(), &found.target.digest), (name.clone(), &digest));
    assert_eq!(found.names[1].to_string(), format!("{}/{}@{digest}", name.domain, name.repository));
    Ok(came.load(Ordering::Relaxed))
}

#[tokio::test]
async fn a_plain_registry() {
    let storage = tempfile::tempdir().unwrap();
    store(storage.path(), "team/app", "1", &image("x.example/app:1", 2 << 20));
    let registry = Registry::start(storage.path(), "");
    let name: ImageName = format!("{}/team/app:1", registry.host).parse().unwrap();
    let plain = Options { plain_http: true, ..Options::default() };
    assert!(pulled(&name, &plain).await.unwrap() > 2 << 20);
    let by_https = pulled(&name, &Options::default()).await.unwrap_err();
    assert!(by_https.to_string().contains("--plain-http"), "{by_https}");
    let missing: ImageName = format!("{}/team/app:2", registry.host).parse().unwrap();
    let missing = pulled(&missing, &plain).await.unwrap_err();
    assert!(matches!(missing, PullError::Registry(RegistryError::NotFound { .. })), "{missing}");
}

#[tokio::test]
async fn passwords_and_an_authority_of_its_own() {
    let storage = tempfile::tempdir().unwrap();
    store(storage.path(), "team/app", "1", &image("x.example/app:1", 1 << 20));
    let (registry, authority) = Registry::start_closed(storage.path());
    let name: ImageName = format!("{}/team/app:1", registry.host).parse().unwrap();

    let untrusted = pulled(&name, &Options::default()).await.unwrap_err().to_string();
    assert!(untrusted.contains("not trusted here: CN=the test's own authority"), "{untrusted}");
    let trusting = Options { authority: Some(authority.into_bytes()), ..Options::default() };
    let nobody = pulled(&name, &trusting).await.unwrap_err().to_string();
    assert!(nobody.contains("wants a user and a password"), "{nobody}");
    let with = |password: &str| Options { credentials: Some(Credentials::new("alice", password)), ..trusting.clone() };
    let wrong = pulled(&name, &with("wr0ng")).await.unwrap_err().to_string();
    assert!(wrong.contains("refuses these credentials") && !wrong.contains("wr0ng"), "{wrong}");
    pulled(&name, &with("s3cret")).await.unwrap();
}
