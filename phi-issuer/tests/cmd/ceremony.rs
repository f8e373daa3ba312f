//! Root ceremonies of the command: every answer by its schema, and files that were changed.

use std::fs;

use crate::run::{Folder, repository};

impl Folder {
    /// Makes holders, each in a folder of their own.
    fn holders(&self, names: &[&str]) -> String {
        let mut options = String::new();
        for name in names {
            let made = format!("root holder new {name} --out {name} --kdf fast");
            let made = self.json("root-holder-new", &made);
            let public = made["public_file"].as_str().unwrap();
            let line = fs::read_to_string(self.path(public)).unwrap();
            assert_eq!(
                line,
                format!("{} {name}\n", made["public"].as_str().unwrap())
            );
            options.extend([" --holder ", public]);
        }
        options
    }
}

#[test]
fn a_ceremony_answers_by_its_schemas() {
    let folder = Folder::new();
    folder.json(
        "init",
        "init --issuer phi.example.com --product atlas --kdf fast --root-by-ceremony",
    );
    let holders = folder.holders(&["alice", "bob", "carol"]);
    let init = folder.json(
        "root-init",
        &format!("root init --threshold 2 --of 3{holders}"),
    );
    assert_eq!(init["file"], "root-1.proposal");
    assert_eq!(init["proposal"]["follows"], serde_json::Value::Null);
    for name in ["carol", "alice"] {
        let sign = format!("root sign root-1.proposal --key {name}/{name}.key --yes");
        let signed = folder.json("root-sign", &sign);
        assert_eq!(signed["signatures"][0]["holder"], name);
    }
    let shown = folder.json("root-show", "root show root-1.proposal root-1.alice.sig");
    assert_eq!(shown["enough"], false);
    let both = "root-1.proposal root-1.carol.sig root-1.alice.sig";
    assert_eq!(
        folder.json("root-show", &format!("root show {both}"))["enough"],
        true
    );
    let root = folder.json("root-assemble", &format!("root assemble {both}"));
    assert_eq!(root["signers"].as_array().unwrap().len(), 2);
    assert_eq!(root["sha256"], init["proposal"]["sha256"]);
    folder.ok("keyset publish");
    folder.ok("status publish");

    let waiting = folder.json("key-new", "key new --role keyset");
    let rotation = folder.json("key-rotate", "key rotate --role keyset");
    assert_eq!(rotation["new"], waiting["key"]);
    assert_eq!(rotation["proposal"], "root-2.proposal");
    let proposed = folder.json(
        "root-propose",
        "root propose --threshold 3 --out more.proposal",
    );
    assert_eq!(proposed["proposal"]["needs"][1]["threshold"], 3);
}

/// A key file is its owner's alone.
#[cfg(unix)]
#[test]
fn a_holders_key_is_the_holders_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new();
    folder.holders(&["alice"]);
    let mode = |name: &str| {
        let metadata = fs::metadata(folder.path(name)).unwrap();
        metadata.permissions().mode() & 0o777
    };
    assert_eq!((mode("alice"), mode("alice/alice.key")), (0o700, 0o600));
    let sealed = fs::read_to_string(folder.path("alice/alice.key")).unwrap();
    assert!(sealed.starts_with("k4.secret-pw."));
}

#[test]
fn what_was_changed_on_the_way_is_refused() {
    let folder = Folder::new();
    folder.ok("init --issuer phi.example.com --product atlas --kdf fast");
    let holders = folder.holders(&["alice", "bob"]);
    folder.ok(&format!("root init --threshold 2 --of 2{holders}"));
    folder.ok("root sign root-2.proposal --out root.sig --yes");
    for name in ["alice", "bob"] {
        folder.ok(&format!(
            "root sign root-2.proposal --root published/root-1.phi --key {name}/{name}.key --yes"
        ));
    }
    let change = |from: &str, to: &str| {
        let text = fs::read_to_string(folder.path(from)).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let line = &mut lines[2];
        let other = if line.ends_with('A') { "B" } else { "A" };
        line.replace_range(line.len() - 1.., other);
        fs::write(folder.path(to), lines.join("\n")).unwrap();
    };
    change("root-2.proposal", "changed.proposal");
    change("root-2.alice.sig", "changed.sig");
    let refused = folder.refused("root show changed.proposal");
    assert!(
        ["ceremony-file", "proposal-invalid"].contains(&&*refused.1),
        "{refused:?}"
    );
    let changed = "root assemble root-2.proposal root.sig changed.sig root-2.bob.sig";
    let refused = folder.refused(changed);
    assert!(
        ["ceremony-file", "root-signature-refused"].contains(&&*refused.1),
        "{refused:?}"
    );
    let swapped = folder.refused("root show root-2.alice.sig");
    assert_eq!(swapped, (14, "ceremony-file".into()));
    let swapped = folder.refused("root assemble root-2.proposal root-2.proposal");
    assert_eq!(swapped, (14, "ceremony-file".into()));
    let refused = folder.refused("root sign root-2.proposal --root alice/alice.key --yes");
    assert_eq!(refused, (14, "wrong-kind".into()));
    folder.ok("root assemble root-2.proposal root.sig root-2.alice.sig root-2.bob.sig");
}

/// An issuer that began long before holders did.
#[cfg(unix)]
#[test]
fn an_old_issuer_hands_its_root_to_holders() {
    use std::os::unix::fs::PermissionsExt as _;
    for fixture in ["ledger-v1", "ledger-v2"] {
        let folder = Folder::new();
        let from = repository().join("tests/fixtures").join(fixture);
        fs::create_dir(folder.path("vendor")).unwrap();
        for part in ["", "keys", "published"] {
            let to = folder.path("vendor").join(part);
            if !part.is_empty() {
                fs::create_dir(&to).unwrap();
            }
            for entry in fs::read_dir(from.join(part)).unwrap() {
                let path = entry.unwrap().path();
                if path.is_file() {
                    let to = to.join(path.file_name().unwrap());
                    fs::copy(&path, &to).unwrap();
                    fs::set_permissions(&to, fs::Permissions::from_mode(0o600)).unwrap();
                }
            }
        }
        let holders = folder.holders(&["alice", "bob", "carol"]);
        let run = |arguments: &str| {
            let output = folder.plain(&format!("--dir vendor --now 2040-01-01 {arguments}"));
            assert!(
                output.status.success(),
                "{fixture}: phi {arguments}: {output:?}"
            );
            String::from_utf8(output.stdout).unwrap()
        };
        let out = "--out next.proposal";
        run(&format!("root init --threshold 2 --of 3{holders} {out}"));
        run("root sign next.proposal --out root.sig --yes");
        let newest = (1..100)
            .map(|version| format!("vendor/published/root-{version}.phi"))
            .take_while(|root| folder.path(root).exists())
            .last()
            .unwrap();
        for name in ["bob", "carol"] {
            run(&format!(
                "root sign next.proposal --root {newest} --key {name}/{name}.key --yes"
            ));
        }
        run("root assemble next.proposal root.sig next.bob.sig next.carol.sig");
        run("keyset publish");
        run("status publish");
        run("ledger checkpoint");
        run("ledger verify");
        run("ledger rebuild");
    }
}
