//! `phi report`: the page is sound, loads and runs nothing, and what people wrote is text in it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use html5ever::tendril::TendrilSink as _;
use markup5ever_rcdom::{Handle, NodeData, RcDom};
use sha2::{Digest as _, Sha256};

use crate::run::{Folder, phi};

/// An element with its attributes and all the text in it.
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    text: String,
}

impl Element {
    fn attribute(&self, name: &str) -> Option<&str> {
        let mut attributes = self.attributes.iter();
        let found = attributes.find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// A page that a browser's parser finds nothing wrong with, as its elements in order.
#[track_caller]
fn parsed(html: &str) -> Vec<Element> {
    let dom =
        html5ever::parse_document(RcDom::default(), html5ever::ParseOpts::default()).one(html);
    let errors = dom.errors.borrow();
    assert!(errors.is_empty(), "{errors:?}");
    let mut elements = Vec::new();
    collect(&dom.document, &mut elements);
    elements
}

fn collect(node: &Handle, elements: &mut Vec<Element>) {
    if let NodeData::Element { name, attrs, .. } = &node.data {
        let attributes = attrs.borrow();
        let attributes = attributes.iter();
        elements.push(Element {
            name: name.local.to_string(),
            attributes: attributes
                .map(|one| (one.name.local.to_string(), one.value.to_string()))
                .collect(),
            text: text_of(node),
        });
    }
    for child in node.children.borrow().iter() {
        collect(child, elements);
    }
}

fn text_of(node: &Handle) -> String {
    if let NodeData::Text { contents } = &node.data {
        return contents.borrow().to_string();
    }
    node.children.borrow().iter().map(text_of).collect()
}

/// Checks what holds for every report.
#[track_caller]
fn sound(html: &str) -> Vec<Element> {
    let elements = parsed(html);
    let harmless = [
        "html", "head", "meta", "title", "style", "body", "header", "main", "footer", "section",
        "nav", "div", "h1", "h2", "h3", "h4", "p", "ul", "ol", "li", "dl", "dt", "dd", "table",
        "caption", "thead", "tbody", "tr", "th", "td", "a", "bdi", "br", "code", "pre", "span",
        "strong", "time", "details", "summary",
    ];
    let ids: Vec<_> = elements
        .iter()
        .filter_map(|one| one.attribute("id"))
        .collect();
    let unique: BTreeSet<_> = ids.iter().copied().collect();
    assert_eq!(ids.len(), unique.len(), "an id is there twice: {ids:?}");
    for element in &elements {
        assert!(harmless.contains(&&*element.name), "{}", element.name);
        for (name, value) in &element.attributes {
            assert!(!name.starts_with("on"), "{name}");
            assert!(
                !["src", "style", "srcset", "action"].contains(&&**name),
                "{name}"
            );
            let leads = ["href", "aria-labelledby"].contains(&&**name);
            let target = value.trim_start_matches('#');
            assert!(
                !leads || unique.contains(target),
                "{name}={value} leads nowhere"
            );
            assert!(name != "href" || value.starts_with('#'), "{value}");
        }
    }
    accessible(&elements);
    locked(&elements);
    let harmful = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
    };
    assert!(!html.contains(harmful));
    elements
}

/// Headings have no gaps, and a table says what it is and what its columns are.
fn accessible(elements: &[Element]) {
    let count = |name: &str| elements.iter().filter(|one| one.name == name).count();
    assert_eq!((count("h1"), count("main"), count("html")), (1, 1, 1));
    assert_eq!(elements[0].attribute("lang"), Some("en"));
    assert_eq!(count("table"), count("caption"));
    assert_eq!(count("table"), count("thead"));
    let heads = elements.iter().filter(|one| one.name == "th");
    assert!(
        heads
            .into_iter()
            .all(|head| head.attribute("scope").is_some())
    );
    let level = |one: &Element| {
        one.name
            .strip_prefix('h')
            .and_then(|n| n.parse::<u8>().ok())
    };
    let levels: Vec<u8> = elements.iter().filter_map(level).collect();
    for pair in levels.windows(2) {
        assert!(pair[1] <= pair[0] + 1, "{levels:?}");
    }
}

/// The page's own rule lets nothing but its one style have an effect.
fn locked(elements: &[Element]) {
    let styles: Vec<_> = elements.iter().filter(|one| one.name == "style").collect();
    let [style] = styles[..] else {
        panic!("{} styles", styles.len());
    };
    for word in ["url(", "@import", "expression", "http"] {
        assert!(!style.text.contains(word), "{word}");
    }
    let hash = STANDARD.encode(Sha256::digest(&style.text));
    let policy = format!("default-src 'none'; style-src 'sha256-{hash}'");
    let rule = |one: &&Element| one.attribute("http-equiv") == Some("Content-Security-Policy");
    let rule = elements.iter().find(rule).unwrap();
    assert_eq!(rule.attribute("content"), Some(&*policy));
}

/// Runs a command by this actor at this time.
#[track_caller]
fn run(folder: &Folder, now: &str, actor: &str, arguments: &[&str]) -> String {
    let output = Command::new(phi())
        .current_dir(folder.path(""))
        .args(["--now", now, "--actor", actor])
        .args(["--passphrase-file", "passphrase.txt"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn read(folder: &Folder, name: &str) -> String {
    fs::read_to_string(folder.path(name)).unwrap()
}

#[test]
fn a_report_has_everything_about_the_customer() {
    let (folder, license) = Folder::with_license();
    let minted = folder.json("mint", &format!("mint {license}"));
    let token = minted["tokens"][0]["token"].as_str().unwrap().to_owned();
    let late = |arguments: &[&str]| run(&folder, "2026-06-02", "bob", arguments);
    late(&["license", "suspend", &license, "--reason", "invoice 118"]);
    late(&["ledger", "checkpoint"]);
    let id = minted["tokens"][0]["id"].as_str().unwrap();
    late(&["ledger", "prove", "--token", id, "--out", "proof"]);
    run(&folder, "2026-06-03", "bob", &["revoke", "token", id]);
    let report = ["--json", "report", "globex", "--out", "one.html"];
    let answer = run(&folder, "2026-06-04", "carol", &report);
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    crate::run::check("report", &answer);
    assert_eq!(
        (&answer["events"], &answer["tokens"]),
        (&5.into(), &1.into())
    );
    assert_eq!(answer["uncovered_events"], 1);

    let html = read(&folder, "one.html");
    let elements = sound(&html);
    let body = &elements.iter().find(|one| one.name == "body").unwrap().text;
    let digest = Sha256::digest(&token);
    let digest = digest.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    });
    for expected in [
        &*license,
        id,
        &digest,
        &read(&folder, "proof"),
        &read(&folder, "published/checkpoint"),
        "invoice 118",
        "Single sign-on",
        "Not all of this is proven yet",
        "1 of the 5 events",
        "carol",
    ] {
        assert!(body.contains(expected), "{expected} is not in the report");
    }
    assert!(!html.contains(&token), "a token is worth a license");
    let events = folder.json("audit-query", "audit query --customer globex");
    for event in events["events"].as_array().unwrap() {
        assert!(body.contains(event["entry_hash"].as_str().unwrap()));
    }
}

#[test]
fn a_report_says_to_which_machine_licenses_and_tokens_are_bound() {
    let (folder, license) = Folder::with_license();
    let machine = "fingerprint --product atlas --component board=x --component disk=y";
    fs::write(folder.path("machine.txt"), folder.ok(machine)).unwrap();
    folder.ok(&format!(
        "license rebind {license} --fingerprint machine.txt --match 1"
    ));
    folder.ok(&format!("mint {license}"));
    folder.ok("report globex --out bound.html");
    let html = read(&folder, "bound.html");
    sound(&html);
    let license = "bound: 1 of 2 must match: board, disk";
    assert_eq!(html.matches(license).count(), 1);
    let token = "bound: 1 of 2 components must match";
    assert_eq!(html.matches(token).count(), 1);
}

#[test]
fn what_people_wrote_is_text() {
    let folder = Folder::with_license().0;
    let name = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>&lt;evil";
    let id = "a<b>&\"c";
    let reason = format!("</td></table><h1>{}</h1>", "x".repeat(500));
    let actor = "<iframe src=//evil.example>x";
    let act = |arguments: &[&str]| run(&folder, "2026-06-01", actor, arguments);
    act(&["customer", "add", id, "--name", name]);
    let issue = [
        "license",
        "issue",
        "--customer",
        id,
        "--plan",
        "premium",
        "--expires",
        "never",
    ];
    let extension = "--extension=-1=<link rel=stylesheet href=//evil.example>";
    let more = [extension, "--reason", &reason];
    act(&[&issue[..], &more[..]].concat());
    act(&["report", id, "--out", "r.html"]);
    let elements = sound(&read(&folder, "r.html"));
    let text = |name: &str| &elements.iter().find(|one| one.name == name).unwrap().text;
    assert_eq!(*text("h1"), name);
    let body = text("body");
    assert!(body.contains(&reason), "{body}");
    assert!(body.contains("<iframe src=//evil.example>x"));
    assert!(body.contains("<link rel=stylesheet href=//evil.example>"));
}

#[test]
fn the_same_ledger_and_time_make_the_same_page() {
    let (folder, license) = Folder::with_license();
    folder.ok(&format!("mint {license} --count 3"));
    folder.ok("ledger checkpoint");
    folder.ok("report globex --out one.html");
    folder.ok("report globex --out two.html");
    let one = read(&folder, "one.html");
    assert_eq!(one, read(&folder, "two.html"));
    assert!(!one.contains("Not all of this is proven yet"));
    folder.ok("ledger rebuild");
    folder.ok("report globex --out three.html");
    assert_eq!(one, read(&folder, "three.html"));
}

#[test]
fn a_range_leaves_out_what_is_not_in_it() {
    let (folder, license) = Folder::with_license();
    let act = |now: &str, arguments: &[&str]| run(&folder, now, "bob", arguments);
    let why = ["--reason", "invoice 118"];
    act(
        "2026-07-01",
        &[&["license", "suspend", &*license], &why[..]].concat(),
    );
    act(
        "2026-08-01",
        &["license", "reinstate", &license, "--reason", "paid"],
    );
    let text = |name: &str, range: &[&str]| {
        let report = ["report", "globex", "--out", name];
        act("2026-09-01", &[&report[..], range].concat());
        let elements = sound(&read(&folder, name));
        elements
            .into_iter()
            .find(|one| one.name == "body")
            .unwrap()
            .text
    };
    let july = text("july.html", &["--from", "2026-07-01", "--to", "2026-07-31"]);
    assert!(july.contains("invoice 118") && !july.contains("paid"));
    let later = text("later.html", &["--from", "2026-08-02"]);
    assert!(later.contains("Nothing happened in this range"));
    let product = text("product.html", &["--product", "atlas"]);
    assert!(product.contains("paid") && product.contains("atlas only"));
}

#[test]
fn a_report_is_its_owners_and_overwrites_nothing() {
    let folder = Folder::with_license().0;
    folder.ok("report globex --out r.html");
    let before = read(&folder, "r.html");
    let bad = |arguments: &str, exit: i32, code: &str| {
        let refused = folder.refused(arguments);
        assert_eq!(refused, (exit, code.into()), "{arguments}");
    };
    bad("report globex --out r.html", 14, "file-exists");
    bad("report umbrella --out n.html", 14, "not-found");
    bad(
        "report globex --product boreas --out n.html",
        14,
        "not-found",
    );
    bad("report globex --out none/n.html", 14, "file-failed");
    let range = "report globex --from 2026-06-02 --to 2026-06-01 --out n.html";
    bad(range, 14, "input-invalid");
    assert_eq!(read(&folder, "r.html"), before);
    assert!(!folder.path("n.html").exists());
    let early = Command::new(phi())
        .current_dir(folder.path(""))
        .args([
            "--json",
            "--now",
            "2025-01-01",
            "report",
            "globex",
            "--out",
            "n.html",
        ])
        .output()
        .unwrap();
    let refused = crate::run::refusal(&early);
    assert_eq!(refused, (20, "ledger-clock-behind".into()));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(folder.path("r.html")).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
    }
}
