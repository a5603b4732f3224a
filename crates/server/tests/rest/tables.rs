//! Server-side tables and metadata alone.

use serde_json::{Value, json};

use crate::world::World;

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
const PARTIAL: &str = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
const MAPS: &str = "/api/v1/namespaces/default/configmaps";

#[tokio::test]
async fn every_kind_has_a_table() {
    let world = World::new().await;
    world.pod("p").await;
    for kind in world.server.catalogue.kinds() {
        let base = if kind.group.is_empty() { "/api".to_owned() } else { format!("/apis/{}", kind.group) };
        let answer = world.get_as(&format!("{base}/{}/{}", kind.version, kind.plural), TABLE).await;
        let table = answer.json();
        assert_eq!((answer.code, &table["kind"]), (200, &json!("Table")), "{}", kind.qualified());
        let heads = table["columnDefinitions"].as_array().unwrap();
        assert!(heads.iter().any(|head| head["name"] == "Name"), "{}", kind.qualified());
        for row in table["rows"].as_array().unwrap() {
            assert_eq!(row["cells"].as_array().map(Vec::len), Some(heads.len()), "{}", kind.qualified());
        }
    }
}

#[tokio::test]
async fn rows_carry_as_much_of_the_object_as_asked() {
    let world = World::new().await;
    let map = world.config_map("a").await;
    let partial = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": map["metadata"]});
    let cases = [
        ("", partial.clone()),
        ("?includeObject=Metadata", partial),
        ("?includeObject=None", Value::Null),
        ("?includeObject=Object", map),
    ];
    for (query, expected) in cases {
        for path in [MAPS.to_owned(), format!("{MAPS}/a")] {
            let table = world.get_as(&format!("{path}{query}"), TABLE).await.json();
            assert_eq!(table["rows"][0]["object"], expected, "{path}{query}");
            assert_eq!(table["rows"][0]["cells"][0], "a", "{path}{query}");
        }
    }
    assert_eq!(world.get_as(&format!("{MAPS}?includeObject=Some"), TABLE).await.code, 400);
}

#[tokio::test]
async fn a_watch_tells_rows_and_heads_once() {
    let world = World::new().await;
    world.config_map("a").await;
    world.config_map("b").await;
    let mut watch = world.watch_as(&format!("{MAPS}?watch=1"), TABLE).await;
    for (name, has_heads) in [("a", true), ("b", false)] {
        let event = watch.next().await.unwrap();
        assert_eq!((&event["type"], &event["object"]["kind"]), (&json!("ADDED"), &json!("Table")));
        assert_eq!(event["object"]["rows"][0]["cells"][0], name);
        assert_eq!(!event["object"]["columnDefinitions"].as_array().unwrap().is_empty(), has_heads);
    }
}

#[tokio::test]
async fn metadata_alone() {
    let world = World::new().await;
    let map = world.config_map("a").await;
    let one = world.get_as(&format!("{MAPS}/a"), PARTIAL).await.json();
    assert_eq!(
        one,
        json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": map["metadata"]})
    );
    let list = world.get_as(MAPS, &PARTIAL.replace("Metadata", "MetadataList")).await.json();
    assert_eq!((&list["kind"], &list["items"][0]), (&json!("PartialObjectMetadataList"), &one));
    let mut watch = world.watch_as(&format!("{MAPS}?watch=1"), PARTIAL).await;
    assert_eq!(watch.next().await.unwrap()["object"], one);
}
