use shipmate_doctor::*;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let text = std::fs::read_to_string(&a[1]).unwrap();
    for line in text.lines() {
        let v: serde_json::Value = serde_json::from_str(line).unwrap();
        if !a[2..].is_empty()
            && !a[2..].contains(&v["id"].as_str().unwrap_or_default().to_owned())
            && !a[2..].contains(&v["family"].as_str().unwrap_or_default().to_owned())
        {
            continue;
        }
        let e = Evidence::from_json(line).unwrap();
        println!("== {} {} | {}", v["id"], v["cause"], v["subject"]);
        for f in examine(&e).findings {
            let place = match &f.place {
                Place::Text { item, span } => {
                    let p = text::Position::of(&e.items()[*item].text, span.start);
                    format!(
                        "{}:{}:{} {:?}",
                        e.items()[*item].origin.0,
                        p.line,
                        p.column,
                        &e.items()[*item].text[span.clone()]
                    )
                }
                other => format!("{other:?}"),
            };
            println!("  {} {:?} {:?} w{} {}\n     at {}", f.key, f.severity, f.certainty, f.weight, f.cause, place);
            for x in &f.fixes {
                println!("     fix {:?} {} {:?}", x.applicability, x.title, x.edits);
            }
        }
    }
}
