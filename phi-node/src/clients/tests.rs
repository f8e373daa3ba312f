use std::{collections::BTreeSet, fs};

use super::*;

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clients.toml");
    (folder, path)
}

fn load_text(text: &str) -> Result<Clients, ClientsError> {
    let (_folder, path) = folder();
    fs::write(&path, text).unwrap();
    Clients::load(&path)
}

#[test]
fn a_key_opens_until_its_client_is_removed() {
    let (_folder, path) = folder();
    let every = Scopes::new(Right::ALL);
    let one = add(&path, "one", &every).unwrap();
    let two = add(&path, "two", &Scopes::new([Right::Check])).unwrap();
    let clients = Clients::load(&path).unwrap();
    assert_eq!(clients.by_key(one.expose()).unwrap().name(), "one");
    assert_eq!(clients.by_key(two.expose()).unwrap().name(), "two");
    remove(&path, "one").unwrap();
    assert_eq!(clients.reload().unwrap(), Reload::Changed);
    assert_eq!(clients.reload().unwrap(), Reload::Same);
    assert!(clients.by_key(one.expose()).is_none());
    assert!(clients.by_key(two.expose()).is_some());
    assert!(matches!(
        remove(&path, "one"),
        Err(ClientsError::Unknown { .. })
    ));
    assert!(matches!(
        add(&path, "two", &every),
        Err(ClientsError::Exists { .. })
    ));
}

#[test]
fn no_key_but_the_whole_one_opens() {
    let (_folder, path) = folder();
    let key = add(&path, "one", &Scopes::new(Right::ALL)).unwrap();
    let clients = Clients::load(&path).unwrap();
    let right = key.expose();
    assert!(right.starts_with(KEY_PREFIX) && right.len() == KEY_PREFIX.len() + 72);
    for at in 0..right.len() {
        let mut wrong = right.to_owned().into_bytes();
        wrong[at] ^= 1;
        assert!(clients.by_key(&String::from_utf8(wrong).unwrap()).is_none());
        assert!(clients.by_key(&right[..at]).is_none());
    }
    assert!(clients.by_key(&right.to_uppercase()).is_none());
    assert!(clients.by_key(&format!("{right} ")).is_none());
    assert_eq!(format!("{key:?}"), "[bearer key elided]");
    let text = fs::read_to_string(&path).unwrap();
    assert!(!text.contains(right) && !text.contains(&right[KEY_PREFIX.len()..]));
}

#[test]
fn keys_are_replaced_while_they_are_in_use() {
    let (_folder, path) = folder();
    let old = add(&path, "one", &Scopes::new(Right::ALL)).unwrap();
    let new = add_key(&path, "one").unwrap();
    let clients = Clients::load(&path).unwrap();
    let name = |key: &BearerKey| {
        clients
            .by_key(key.expose())
            .map(|client| client.name().to_owned())
    };
    assert_eq!(
        (name(&old), name(&new)),
        (Some("one".into()), Some("one".into()))
    );
    remove_old_keys(&path, "one").unwrap();
    clients.reload().unwrap();
    assert_eq!((name(&old), name(&new)), (None, Some("one".into())));
    let mut full = Ok(());
    for _ in 0..20 {
        full = full.and_then(|()| add_key(&path, "one").map(drop));
    }
    assert!(
        matches!(full, Err(ClientsError::Refused { .. })),
        "{full:?}"
    );
    assert!(Clients::load(&path).is_ok());
}

#[test]
fn what_people_wrote_stays() {
    let (_folder, path) = folder();
    let text = format!(
        "# ours\n\n[[client]] # the first\nname = \"a\"\nkeys = [\"sha256:{}\"] # of Monday\n\
         may = [\"check\"]\n\n# the second\n[[client]]\nname = \"b\"\ncertificates = [\"b.example\"]\n\
         may = [\"take\"]\n",
        "0".repeat(64)
    );
    fs::write(&path, &text).unwrap();
    let scopes = Scopes::new([Right::Seats])
        .with_holders(["team-*".parse().unwrap()])
        .with_licenses(["a1b2c3d4e5f60718".parse().unwrap()]);
    add(&path, "c", &scopes).unwrap();
    let with = fs::read_to_string(&path).unwrap();
    assert!(with.starts_with(&text), "{with}");
    let c = Clients::load(&path).unwrap().all().pop().unwrap();
    assert_eq!((c.name(), c.scopes()), ("c", &scopes));
    remove(&path, "c").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn a_broken_file_changes_nothing() {
    let (_folder, path) = folder();
    let key = add(&path, "one", &Scopes::new(Right::ALL)).unwrap();
    let clients = Clients::load(&path).unwrap();
    fs::write(&path, "[[client]]\nname = 1\n").unwrap();
    assert_eq!(clients.reload().unwrap_err().code(), "clients-refused");
    fs::remove_file(&path).unwrap();
    assert_eq!(clients.reload().unwrap_err().code(), "clients-file");
    assert!(clients.by_key(key.expose()).is_some());
    fs::write(&path, "").unwrap();
    assert_eq!(clients.reload().unwrap(), Reload::Changed);
    assert!(clients.by_key(key.expose()).is_none());
}

/// What is wrong, and the line that is named for it.
#[test]
fn what_is_refused_is_named() {
    let hash = format!("sha256:{}", "0".repeat(64));
    let row = |name: &str, rest: &str| format!("[[client]]\nname = \"{name}\"\n{rest}\n");
    let keyed = |name: &str, rest: &str| row(name, &format!("keys = [\"{hash}\"]\n{rest}"));
    let may = "may = [\"check\"]";
    let cases = [
        (
            keyed("a", "may = [\"fly\"]"),
            4,
            "\"fly\" is nothing that a client may do",
        ),
        (keyed("a", "may = []"), 4, "name what it may do"),
        (keyed("a", ""), 1, "missing field `may`"),
        (row("a", may), 2, "a has no key and no certificate"),
        (keyed("A", may), 2, "\"A\" is no name of a client"),
        (keyed("", may), 2, "\"\" is no name of a client"),
        (keyed(&"a".repeat(65), may), 2, "is no name of a client"),
        (
            keyed("a", "may = [\"check\"]\nmight = 1"),
            5,
            "unknown field `might`",
        ),
        (
            row("a", &format!("keys = [\"{}\"]\n{may}", "0".repeat(64))),
            3,
            "a key is written as",
        ),
        (
            row("a", &format!("keys = [\"{hash}\", \"{hash}\"]\n{may}")),
            3,
            "this is there twice",
        ),
        (
            row("a", &format!("certificates = [\"*.example\"]\n{may}")),
            3,
            "no name of a certificate",
        ),
        (
            row("a", &format!("certificates = [\"\"]\n{may}")),
            3,
            "no name of a certificate",
        ),
        (
            keyed("a", &format!("{may}\nlicenses = [\"1\"]")),
            5,
            "hexadecimal",
        ),
        (
            keyed("a", &format!("{may}\nholders = [\"a*b\"]")),
            5,
            "no name and no pattern",
        ),
        (
            keyed("a", &format!("{may}\nholders = [\"\"]")),
            5,
            "no name and no pattern",
        ),
        (
            keyed("a", may) + &row("a", &format!("certificates = [\"a\"]\n{may}")),
            6,
            "a is there twice",
        ),
        (keyed("a", may) + &keyed("b", may), 7, "this is there twice"),
    ];
    for (text, expected, problem) in cases {
        match load_text(&text) {
            Err(ClientsError::Refused {
                line,
                problem: found,
                ..
            }) => {
                assert!(found.contains(problem), "{found}\n{text}");
                assert_eq!(line, expected, "{found}\n{text}");
            }
            other => panic!("{other:?}\n{text}"),
        }
    }
}

#[test]
fn holders_are_its_own_unless_said() {
    let client = |scopes: Scopes| Client::new("web-1", scopes).unwrap();
    let own = client(Scopes::new(Right::ALL));
    assert!(own.may_hold_as("web-1"));
    assert!(!own.may_hold_as("web-10") && !own.may_hold_as("") && !own.may_hold_as("ann"));
    let patterns = ["team-*", "ann"].map(|text| text.parse().unwrap());
    let team = client(Scopes::new(Right::ALL).with_holders(patterns));
    assert!(team.may_hold_as("team-") && team.may_hold_as("team-a") && team.may_hold_as("ann"));
    assert!(!team.may_hold_as("web-1") && !team.may_hold_as("anna") && !team.may_hold_as("Team-a"));
    let anyone = client(Scopes::new(Right::ALL).with_holders(["*".parse().unwrap()]));
    assert!(anyone.may_hold_as("anybody"));
    assert!(!client(Scopes::new(Right::ALL).with_holders([])).may_hold_as("web-1"));
}

#[test]
fn groups_are_those_that_its_scopes_name() {
    let client = |scopes: Scopes| Client::new("web-1", scopes).unwrap();
    let none = client(Scopes::new(Right::ALL));
    assert!(!none.may_claim_of("web-1") && !none.may_claim_of("") && !none.may_claim_of("ops"));
    assert_eq!(none.scopes().group(), None);
    let own = client(Scopes::new(Right::ALL).with_group("ops".parse().unwrap()));
    assert_eq!(own.scopes().group(), Some("ops"));
    assert!(own.may_claim_of("ops") && !own.may_claim_of("ops2") && !own.may_claim_of("op"));
    let more = Scopes::new(Right::ALL).with_groups(["support-*".parse().unwrap()]);
    assert!(client(more.clone()).may_claim_of("support-eu"));
    assert!(!client(more).may_claim_of("ops"));
    let (_folder, path) = folder();
    let group = "ops".parse().unwrap();
    let scopes = Scopes::new([Right::Seats, Right::Borrow]).with_group(group);
    let scopes = scopes.with_groups(["a*".parse().unwrap(), "b".parse().unwrap()]);
    add(&path, "one", &scopes).unwrap();
    // What is written is what is read.
    assert_eq!(Clients::load(&path).unwrap().all()[0].scopes(), &scopes);
}

#[test]
fn certificates_are_known_by_their_names() {
    let made = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut parameters = rcgen::CertificateParams::new(names).unwrap();
        let uri = "spiffe://example.org/api".try_into().unwrap();
        parameters.subject_alt_names.push(rcgen::SanType::URI(uri));
        let certificate = parameters.self_signed(&rcgen::KeyPair::generate().unwrap());
        PeerCertificate::of(certificate.unwrap().der())
    };
    let (web, both) = (made(&["Web.Example"]), made(&["web.example", "db.example"]));
    let client = |name: &str, certificate: &str| {
        format!(
            "[[client]]\nname = \"{name}\"\ncertificates = [\"{certificate}\"]\nmay = [\"check\"]\n"
        )
    };
    let found = |text: &str, certificate: &PeerCertificate| {
        let found = load_text(text).unwrap().by_certificate(certificate);
        found.map(|client| client.name().to_owned())
    };
    let text = client("web", "web.example") + &client("db", "db.example");
    assert_eq!(found(&text, &web).as_deref(), Some("web"));
    // Who is two clients is none.
    assert_eq!(found(&text, &both), None);
    let text = text + &client("this", &both.fingerprint().to_string());
    assert_eq!(found(&text, &both).as_deref(), Some("this"));
    assert_eq!(
        found(&client("api", "spiffe://example.org/api"), &web).as_deref(),
        Some("api")
    );
    assert_eq!(found(&client("api", "spiffe://example.org/ap"), &web), None);
    assert_eq!(found(&client("other", "example"), &web), None);
}

#[test]
fn every_right_has_its_word() {
    let words: BTreeSet<_> = Right::ALL.map(Right::name).into_iter().collect();
    assert_eq!(words.len(), Right::ALL.len());
    for right in Right::ALL {
        assert_eq!(right.name().parse::<Right>().unwrap(), right);
        assert_eq!(Scopes::new([right]).rights().collect::<Vec<_>>(), [right]);
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_others_can_write_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let (_folder, path) = folder();
    add(&path, "one", &Scopes::new(Right::ALL)).unwrap();
    let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    let set = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    assert_eq!(mode(), 0o600);
    for open in [0o620, 0o602, 0o666] {
        set(open);
        let error = Clients::load(&path).unwrap_err();
        assert!(matches!(error, ClientsError::TooOpen { mode, .. } if mode == open));
        assert!(add(&path, "two", &Scopes::new(Right::ALL)).is_err());
    }
    // A node that runs as another user reads it still.
    set(0o644);
    add(&path, "two", &Scopes::new(Right::ALL)).unwrap();
    assert_eq!(mode(), 0o644);
}
