//! Every command that changes or shows something, by its JSON, which must fit its schema.

use std::fs;

use serde_json::Value;

use crate::run::{Folder, check, repository};

#[test]
fn schemas_are_those_that_the_command_writes() {
    let folder = Folder::new();
    folder.ok("schema .");
    let stated = repository().join("docs/cli/schema");
    let mut count = 0;
    for entry in fs::read_dir(folder.path("")).unwrap() {
        let name = entry.unwrap().file_name();
        let path = stated.join(&name);
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let found = fs::read_to_string(folder.path("").join(&name)).unwrap();
        let stated = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == stated,
            "{} is stale: run `phi schema docs/cli/schema`",
            path.display()
        );
        count += 1;
    }
    assert_eq!(fs::read_dir(stated).unwrap().count(), count);
}

#[test]
fn a_license_lives_from_init_to_revocation() {
    let folder = Folder::new();
    folder.json(
        "init",
        "init --issuer phi.example.com --product atlas --kdf fast",
    );
    folder.json("catalog-check", "catalog check");
    let diff = folder.json("catalog-diff", "catalog diff");
    let published = folder.json("catalog-publish", "catalog publish");
    assert_eq!(diff["changes"], published["changes"]);
    assert_eq!(
        (&diff["recorded"], &published["recorded"]),
        (&false.into(), &true.into())
    );
    folder.json("catalog-show", "catalog show");
    folder.json("customer-add", "customer add globex --name Globex");
    folder.json("customer-list", "customer list");
    let issue = "license issue --customer globex --plan premium --expires +1y --grace 14d \
                 --extension=-1=blue --max-status-age 30d";
    let tried = folder.json("license-issue", &format!("{issue} --dry-run"));
    assert_eq!(tried["license"], Value::Null);
    let issued = folder.json("license-issue", issue);
    let license = issued["license"].as_str().unwrap();

    let minted = folder.json("mint", &format!("mint {license}"));
    let token = minted["tokens"][0]["token"].as_str().unwrap().to_owned();
    let verified = folder.json("verify", &format!("verify {token}"));
    assert_eq!(verified["license"]["license"], license);
    assert_eq!(verified["license"]["extensions"]["-1"], "blue");
    let inspected = folder.json("inspect", &format!("inspect {token}"));
    assert_eq!(inspected["verified"], false);
    assert_eq!(inspected["object"]["flags"], verified["license"]["flags"]);
    let shown = folder.json("license-show", &format!("license show {license}"));
    assert_eq!(shown["tokens"][0]["token"], token);
    assert_eq!(
        folder.ok(&format!("license show {license} --tokens")),
        format!("{token}\n")
    );

    folder.json("key-new", "key new");
    folder.json("key-rotate", "key rotate --dry-run");
    let rotated = folder.json("key-rotate", "key rotate --from 2026-06-02");
    folder.json("keyset-publish", "keyset publish");
    folder.json("keyset-show", "keyset show");
    folder.json("key-list", "key list");
    let old = rotated["old"].as_str().unwrap();
    let new = rotated["new"].as_str().unwrap();
    for (key, state) in [(old, "active"), (new, "scheduled")] {
        let shown = folder.json("key-show", &format!("key show {key}"));
        assert_eq!(shown["state"], state);
    }
    folder.json("verify", &format!("verify {token}"));

    let revoke = format!("revoke license {license} --reason refund");
    let tried = folder.json("revoke", &format!("{revoke} --dry-run"));
    assert_eq!(
        (&tried["live_tokens"], &tried["since"]),
        (&1.into(), &Value::Null)
    );
    folder.json("revoke", &revoke);
    folder.json("verify", &format!("verify {token}"));
    folder.json("status-publish", "status publish");
    folder.json("status-show", "status show");
    assert_eq!(
        folder.refused(&format!("verify {token}")),
        (11, "revoked".into())
    );
    for mint in ["mint", "mint --dry-run"] {
        let refused = folder.refused(&format!("{mint} {license}"));
        assert_eq!(refused, (20, "not-allowed".into()));
    }
    let list = folder.json("license-list", "license list");
    assert_eq!(list["licenses"][0]["revoked"], "refund");
    folder.json("customer-show", "customer show globex");
    folder.json("ledger-rebuild", "ledger rebuild");
}

#[test]
fn lists_are_built_compared_and_carried_and_every_answer_fits_its_schema() {
    let (folder, license) = Folder::with_license();
    let token = folder.ok(&format!("mint {license}")).trim().to_owned();
    folder.ok("status publish");
    folder.json("revoke", &format!("revoke token {token}"));
    let behind = folder.json("status-check", &format!("status check {token}"));
    assert_eq!(
        (&behind["agree"], &behind["list"]["epoch"]),
        (&false.into(), &2.into())
    );
    let built = folder.json(
        "status-build",
        "status build --compact --pad --delta-from 2",
    );
    assert_eq!(
        (&built["report"]["epoch"], &built["report"]["wrong"]),
        (&3.into(), &0.into())
    );
    let published = "status publish --delta-from 2 --armor delta.txt --qr delta.svg";
    let published = folder.json("status-publish", published);
    assert_eq!(published["report"]["deltas"][0]["from"], 2);
    assert_eq!(published["report"]["questions"], 2);
    let shown = folder.json("status-show", "status show");
    assert_eq!(shown["deltas"], published["deltas"]);
    let inspected = folder.json("inspect", "inspect delta.txt");
    assert_eq!(inspected["object"]["base"], 2);
    let diff = folder.json("status-diff", "status diff 2 delta.txt");
    assert_eq!(diff["tokens"][0]["change"], "came");
    let check = folder.json("status-check", &format!("status check {token}"));
    let refused = |policy: &serde_json::Value| policy["code"] == "revoked";
    assert!(check["policies"].as_array().unwrap().iter().all(refused));
    assert_eq!(check["agree"], true);
    let tried = folder.json("unrevoke", &format!("unrevoke token {token} --dry-run"));
    let done = folder.json("unrevoke", &format!("unrevoke token {token} --reason paid"));
    assert_eq!(
        (&tried["dry_run"], &done["dry_run"]),
        (&true.into(), &false.into())
    );
    assert_eq!(done["restored_tokens"], 1);
    for (command, code) in [
        ("status publish --delta-from 9", "not-found"),
        ("status publish --armor delta.txt", "file-exists"),
        (
            "status publish --delta-from 1 --delta-from 2 --qr two.png",
            "input-invalid",
        ),
        ("status diff 1 published/keyset.phi", "input-invalid"),
        ("status check 00000000000000000000000000000000", "not-found"),
    ] {
        assert_eq!(folder.refused(command).1, code, "{command}");
    }
}

#[test]
fn documents_and_keys_are_inspected_by_kind() {
    let (folder, _) = Folder::with_license();
    let key = fs::read_dir(folder.path("keys"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let key = format!("keys/{}", key.file_name().into_string().unwrap());
    for (object, kind) in [
        ("published/root-1.phi", "root"),
        ("published/keyset.phi", "keyset"),
        ("published/status.phi", "status"),
        ("published/catalog-atlas.phi", "catalog"),
        (key.as_str(), "sealed-key"),
        (
            "k4.public.iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w",
            "public-key",
        ),
    ] {
        let inspected = folder.json("inspect", &format!("inspect {object}"));
        assert_eq!(inspected["kind"], kind, "{object}");
        assert_eq!(inspected["verified"], false, "{object}");
    }
}

#[test]
fn a_token_is_revoked_by_its_file_by_itself_or_by_its_id() {
    let (folder, license) = Folder::with_license();
    folder.ok(&format!("mint {license} --format armor --out one.txt"));
    let token = folder.ok(&format!("mint {license}"));
    let by_file = folder.json("revoke", "revoke token one.txt");
    let id = by_file["subject"].as_str().unwrap();
    assert_eq!(by_file["live_tokens"], 1);
    let again = folder.refused(&format!("revoke token {id}"));
    assert_eq!(again, (20, "not-allowed".into()));
    let other = folder.json("revoke", &format!("revoke token {}", token.trim()));
    assert_ne!(other["subject"], id);
    let wrong = folder.refused("revoke token published/keyset.phi");
    assert_eq!(wrong, (14, "wrong-kind".into()));
    folder.ok("status publish");
    assert_eq!(folder.refused("verify one.txt"), (11, "revoked".into()));
}

#[test]
fn tokens_come_in_every_format_and_existing_files_stay() {
    let (folder, license) = Folder::with_license();
    let token = folder.ok(&format!("mint {license}"));
    assert!(token.starts_with("v4.public.") && token.ends_with('\n'));
    folder.ok(&format!(
        "mint {license} --format armor --out license.txt --qr-png license.png --qr-svg license.svg"
    ));
    let armored = fs::read_to_string(folder.path("license.txt")).unwrap();
    assert!(armored.starts_with("-----BEGIN PHI LICENSE-----\nv4.public."));
    folder.json("verify", "verify license.txt");
    assert!(
        fs::read(folder.path("license.png"))
            .unwrap()
            .starts_with(b"\x89PNG")
    );
    assert!(
        fs::read_to_string(folder.path("license.svg"))
            .unwrap()
            .contains("<svg")
    );
    let before = folder.json("license-show", &format!("license show {license}"));
    let again = folder.refused(&format!("mint {license} --out license.txt"));
    assert_eq!(again, (14, "file-exists".into()));
    let after = folder.json("license-show", &format!("license show {license}"));
    assert_eq!(before, after, "a refused mint records nothing");
    assert_eq!(
        fs::read_to_string(folder.path("license.txt")).unwrap(),
        armored
    );
    let many = folder.ok(&format!("mint {license} --count 3"));
    assert_eq!(many.lines().count(), 3);
    assert!(
        folder
            .ok(&format!("mint {license} --format qr"))
            .lines()
            .count()
            > 30
    );
}

#[test]
fn a_license_is_bound_to_the_machine_of_a_request() {
    let (folder, license) = Folder::with_license();
    let parts = "--component part=a --component part=b --component part=c";
    let request = folder.json(
        "fingerprint",
        &format!("fingerprint --product atlas {parts}"),
    );
    fs::write(
        folder.path("request.txt"),
        request["request"].as_str().unwrap(),
    )
    .unwrap();
    folder.json("inspect", "inspect request.txt");
    folder.ok(&format!(
        "mint {license} --fingerprint request.txt --match 2 --out bound.txt"
    ));
    let good = "verify bound.txt --component part=a --component part=c";
    let verified = folder.json("verify", good);
    assert_eq!(verified["machine"]["matched"], 2);
    folder.json("verify", "verify bound.txt --fingerprint request.txt");
    let one = folder.refused("verify bound.txt --component part=a");
    assert_eq!(one, (13, "machine-mismatch".into()));
    assert_eq!(
        folder.refused("verify bound.txt"),
        (13, "machine-unknown".into())
    );
    let too_many = folder.refused(&format!(
        "mint {license} --fingerprint request.txt --match 4"
    ));
    assert_eq!(too_many, (14, "fingerprint-invalid".into()));
}

#[test]
fn a_batch_answers_each_row_and_repeats_nothing() {
    let (folder, _) = Folder::with_license();
    let rows = "{\"ref\":\"1\",\"customer\":\"globex\",\"plan\":\"starter\",\"expires\":\"+1y\"}\n\
                {\"ref\":\"2\",\"customer\":\"globex\",\"plan\":\"none\",\"expires\":\"+1y\"}\n";
    fs::write(folder.path("rows.jsonl"), rows).unwrap();
    let run = |arguments: &str| {
        let output = folder.run(arguments);
        assert_eq!(output.status.code(), Some(14), "{output:?}");
        let lines = String::from_utf8(output.stdout).unwrap();
        let rows = lines
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let rows: Vec<Value> = rows.collect();
        for row in &rows {
            check("mint-batch", row);
        }
        rows
    };
    let tried = run("mint --batch rows.jsonl --dry-run");
    assert_eq!(tried[0]["status"], "would-mint");
    assert_eq!(
        tried[0]["token"],
        Value::Null,
        "a rehearsal gives no token out"
    );
    let first = run("mint --batch rows.jsonl");
    assert_eq!(
        (&first[0]["status"], &first[1]["status"]),
        (&"minted".into(), &"refused".into())
    );
    let second = run("mint --batch rows.jsonl");
    assert_eq!(second[0]["status"], "repeated");
    assert_eq!(second[0]["token"], first[0]["token"]);
}

#[test]
fn manuals_and_completions_are_generated() {
    let folder = Folder::new();
    folder.ok("man pages");
    for page in ["phi", "phi-verify", "phi-key-rotate"] {
        let text = fs::read_to_string(folder.path(&format!("pages/{page}.1"))).unwrap();
        assert!(text.contains(".SH SYNOPSIS"), "{page}");
    }
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(
            folder
                .ok(&format!("completions {shell}"))
                .contains("fingerprint"),
            "{shell}"
        );
    }
}
