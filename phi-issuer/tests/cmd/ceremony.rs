//! Root ceremonies of the command: every answer by its schema, and files that were changed.

use std::fs;

use phi_verify::TrustState;

use crate::run::{Folder, refusal, repository};

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

/// An issuer with one root key in the folder, and somebody's issuer of the same name in `evil`,
/// whose first root names that key beside mallory's; the public half is no secret. Its root 2
/// is signed by mallory alone, and root 3 is proposed.
fn with_a_forger() -> (Folder, String) {
    let folder = Folder::new();
    folder.ok("init --issuer phi.example.com --product atlas --kdf fast");
    let anchor = fs::read(folder.path("published/root-1.phi")).unwrap();
    let anchor = TrustState::from_anchor(&anchor).unwrap();
    let victim = anchor.root().root.keys()[0].clone();
    let line = format!("{} victim\n", victim.to_paserk());
    fs::write(folder.path("victim.pub"), line).unwrap();
    let holders = folder.holders(&["mallory"]);
    folder.ok(
        "init --dir evil --issuer phi.example.com --product atlas --kdf fast --root-by-ceremony",
    );
    let propose = "root init --dir evil --threshold 1 --of 2 --holder victim.pub --out 1.proposal";
    folder.ok(&format!("{propose}{holders}"));
    folder.ok("root sign 1.proposal --key mallory/mallory.key --yes");
    folder.ok("root assemble --dir evil 1.proposal 1.mallory.sig");
    let propose = "root propose --dir evil --refresh-by";
    folder.ok(&format!("{propose} +2y --out 2.proposal"));
    folder.ok(
        "root sign 2.proposal --root evil/published/root-1.phi --key mallory/mallory.key --yes",
    );
    folder.ok("root assemble --dir evil 2.proposal 2.mallory.sig");
    folder.ok(&format!("{propose} +3y --out 3.proposal"));
    (folder, format!("keys/root-{}.key", victim.id()))
}

/// A forged root is the proposal's own and shows as it says: the ledger's is what counts.
#[test]
fn an_issuers_own_root_key_signs_what_follows_its_ledger_alone() {
    let (folder, _) = with_a_forger();
    for proposal in ["1.proposal", "2.proposal", "3.proposal"] {
        let refused = folder.refused(&format!("root sign {proposal} --out forged.sig --yes"));
        assert_eq!(refused, (14, "proposal-behind".into()), "{proposal}");
        assert!(!folder.path("forged.sig").exists());
    }
    folder.ok("root propose --refresh-by +2y --out ours.proposal");
    let signed = folder.json("root-sign", "root sign ours.proposal --out ours.sig --yes");
    assert_eq!(signed["compared"], true);
}

/// A holder who missed a ceremony has the root before it from whoever proposes, and believes it
/// if the root that was kept leads to it.
#[test]
fn a_root_that_was_handed_over_is_proven_from_the_one_that_was_kept() {
    let (folder, key) = with_a_forger();
    let sign = |proposal: &str, roots: &[&str]| {
        let roots = roots.iter().map(|root| format!(" --root {root}"));
        let roots = roots.collect::<String>();
        format!("root sign {proposal} --key {key}{roots} --yes")
    };
    let kept = "published/root-1.phi";
    for since in [
        "evil/published/root-2.phi",
        "evil/published/root-1.phi",
        kept,
    ] {
        let refused = folder.refused(&sign("3.proposal", &[kept, since]));
        assert_eq!(refused, (14, "proposal-invalid".into()), "{since}");
    }
    let behind = folder.run(&sign("3.proposal", &[kept]));
    let said = String::from_utf8_lossy(&behind.stderr).into_owned();
    assert!(said.contains("hand in those since, after yours"), "{said}");
    folder.ok("root propose --refresh-by +2y --out ours.proposal");
    folder.ok("root sign ours.proposal --out ours.sig --yes");
    folder.ok("root assemble ours.proposal ours.sig");
    folder.ok("root propose --refresh-by +3y --out next.proposal");
    folder.ok(&sign("next.proposal", &[kept, "published/root-2.phi"]));
}

/// Every license that ends before the time of a root would be refused from then on.
#[test]
fn a_root_of_another_century_is_told_and_not_assembled() {
    let folder = Folder::new();
    folder.ok("init --issuer phi.example.com --product atlas --kdf fast");
    let anchor = fs::read(folder.path("published/root-1.phi")).unwrap();
    let anchor = TrustState::from_anchor(&anchor).unwrap();
    let key = anchor.root().root.keys()[0].id();
    let proposed = folder.plain("root propose --now 2126-01-01 --status-floor 1 --out p.proposal");
    assert!(proposed.status.success(), "{proposed:?}");
    assert_eq!(
        folder.refused("root sign p.proposal --yes"),
        (14, "proposal-ahead".into())
    );
    let root = "--root published/root-1.phi";
    let sign = format!("root sign p.proposal {root} --key keys/root-{key}.key --out p.sig --yes");
    for told in [&format!("root show p.proposal {root}"), &sign] {
        let output = folder.run(told);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        assert!(
            said.contains("phi: warning: the proposal was made at 2126"),
            "{said}"
        );
    }
    let assembled = folder.run("--json root assemble p.proposal p.sig");
    assert_eq!(refusal(&assembled), (14, "proposal-ahead".into()));
    assert!(!folder.path("published/root-2.phi").exists());
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
