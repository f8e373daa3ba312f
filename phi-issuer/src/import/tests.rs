//! What maps and rows come to in an issuer, and that nothing that is handed in makes a panic.

use std::cell::RefCell;

use phi_verify::UnixTime;
use proptest::prelude::*;

use super::*;
use crate::{
    ExportFilter, FirstRoot, InitOptions, StoreOptions, keyfile::KdfStrength,
    passphrase::Passphrase, when::instant,
};

const MAP: &str = r#"
source = "Old"
[columns]
ref = "id"
customer_name = "name"
customer_kind = "kind"
plan = "plan"
addons = "options"
expires = "until"
begins = "from"
state = "state"
note = "note"
[limit_columns]
seats = "users"
[flag_columns]
audit_log = "audit"
[customers]
id_from_name = true
[format]
dates = ["%d.%m.%Y"]
never = ["never", "lifetime"]
unlimited = ["-1"]
[values.plan]
"Pro" = "premium"
"Pro+" = "premium + extra_seats"
[values.state]
"ok" = "active"
"on hold" = "suspended"
"banned" = "revoked"
"over" = "expired"
"junk" = "skip"
[values.customer_kind]
"company" = "organization"
"#;

fn now() -> UnixTime {
    instant("2026-06-01").unwrap()
}

/// An issuer with the catalog that `init` writes: plans starter and premium.
struct Shop {
    issuer: Issuer,
    _folder: tempfile::TempDir,
}

impl Shop {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = InitOptions {
            issuer: "phi.example.com".into(),
            product: "atlas".into(),
            kdf: KdfStrength::Fast,
            store: StoreOptions::default(),
            root: FirstRoot::Here,
        };
        let passphrase = Passphrase::from_bytes(b"snakeoil").unwrap();
        let context = Context::new(now(), "alice");
        let mut issuer = Issuer::init(folder.path(), &options, &passphrase, &context).unwrap();
        let text = std::fs::read_to_string(issuer.catalog_path()).unwrap();
        issuer
            .publish_catalog(&text, &passphrase, &context)
            .unwrap();
        Self {
            issuer,
            _folder: folder,
        }
    }

    fn import(&mut self, map: &str, text: &str, mode: BatchMode) -> Vec<ImportResult> {
        let map = ImportMap::parse(map).unwrap();
        let file = ImportFile::read(RowFormat::Csv, text.as_bytes(), &map).unwrap();
        let context = Context::new(now(), "alice");
        self.issuer.import(&file, mode, &context, |_| {}).unwrap()
    }
}

const HEADER: &str = "id,name,kind,plan,options,until,from,state,note,users,audit";

/// The state of the license that a row makes, or what is said of it.
#[track_caller]
fn check(shop: &mut Shop, row: &str, expected: &str) {
    let text = format!("{HEADER}\n{row}\n");
    let results = shop.import(MAP, &text, BatchMode::Rehearse);
    let found = match &results[0].outcome {
        Ok(Imported {
            way: ImportWay::Skipped,
            ..
        }) => "skipped".to_owned(),
        Ok(Imported {
            license: Some((_, state)),
            ..
        }) => state.to_string(),
        Ok(_) => "customer".to_owned(),
        Err(RowProblem {
            column, message, ..
        }) => {
            format!("{}: {message}", column.clone().unwrap_or_default())
        }
    };
    assert!(found.starts_with(expected), "{row}: {found}");
}

#[test]
fn old_words_become_states() {
    let mut shop = Shop::new();
    for (row, expected) in [
        ("1,A,company,Pro,,31.12.2027,,ok,,,", "active"),
        ("1,A,company,Pro,,2027-12-31,2020-01-01,,,,", "active"),
        ("1,A,user,Pro+,extra_seats,lifetime,,ok,n,-1,yes", "active"),
        ("1,A,,Pro,,31.12.2027,,on hold,,25,no", "suspended"),
        ("1,A,,Pro,,31.12.2025,,on hold,,,", "expired"),
        ("1,A,,Pro,,31.12.2025,,over,,,", "expired"),
        ("1,A,,Pro,,31.12.2025,,ok,,,", "expired"),
        ("1,A,,Pro,,31.12.2025,,banned,,,", "revoked"),
        ("1,A,,Pro,,31.12.2027,,draft,,,", "draft"),
        ("1,A,,Pro,,31.12.2027,,junk,,,", "skipped"),
        ("1,A,,,,,,,,,", "customer"),
    ] {
        check(&mut shop, row, expected);
    }
}

#[test]
fn what_is_wrong_with_a_row_is_said_of_its_column() {
    let mut shop = Shop::new();
    for (row, expected) in [
        (",A,,Pro,,never,,,,,", "id: ref is"),
        ("1,,,Pro,,never,,,,,", "name: the cell is empty"),
        ("1,!!,,Pro,,never,,,,,", "name: no id can be made"),
        ("1,A,robot,Pro,,never,,,,,", "kind: \"robot\" is no kind"),
        (
            "1,A,,Gold,,never,,,,,",
            "plan: no plan is called \"Gold\"; plans: starter, premium",
        ),
        (
            "1,A,,Gold + sso,,never,,,,,",
            "plan: no plan is called \"Gold\"",
        ),
        (
            "1,A,,,,never,,,,,",
            "plan: the cell is empty, and the row is of a license",
        ),
        (
            "1,A,,Pro,turbo,never,,,,,",
            "options: no add-on is called \"turbo\"",
        ),
        ("1,A,,Pro,,,,,,,", "until: the cell is empty"),
        (
            "1,A,,Pro,,31.02.2027,,,,,",
            "until: \"31.02.2027\" is no date",
        ),
        ("1,A,,Pro,,+1y,,,,,", "until: \"+1y\" is no date"),
        ("1,A,,Pro,,never,now,,,,", "from: \"now\" is no date"),
        (
            "1,A,,Pro,,31.12.2027,2028-01-01,,,,",
            ": a license expires before it begins",
        ),
        (
            "1,A,,Pro,,31.12.2027,,over,,,",
            "until: the row says expired",
        ),
        ("1,A,,Pro,,never,,over,,,", "until: the row says expired"),
        ("1,A,,Pro,,never,,odd,,,", "state: \"odd\" is no state"),
        ("1,A,,Pro,,never,,,,ten,", "users: \"ten\" is no amount"),
        (
            "1,A,,Pro,,never,,,,,maybe",
            "audit: \"maybe\" is neither true",
        ),
        ("1,A,,Pro", ": the row has 4 cells and the header 11"),
    ] {
        check(&mut shop, row, expected);
    }
    let long = format!("1,A,,Pro,,never,,,{},,", "x".repeat(501));
    check(&mut shop, &long, "note: the text has 501 bytes");
}

#[test]
fn a_row_is_carried_out_once_and_a_changed_one_is_a_conflict() {
    let mut shop = Shop::new();
    let text = format!("{HEADER}\n1,A,,Pro,,never,,ok,first,5,\n2,B,,,,,,,,,\n");
    let ways = |results: Vec<ImportResult>| {
        let way = |result: ImportResult| result.outcome.map(|imported| imported.way);
        results.into_iter().map(way).collect::<Vec<_>>()
    };
    let tried = shop.import(MAP, &text, BatchMode::Rehearse);
    assert_eq!(ways(tried), vec![Ok(ImportWay::CarriedOut); 2]);
    assert!(shop.issuer.customers().unwrap().is_empty());
    let first = shop.import(MAP, &text, BatchMode::Mint);
    let id = first[0].outcome.as_ref().unwrap().license.unwrap().0;
    assert_eq!(ways(first), vec![Ok(ImportWay::CarriedOut); 2]);
    let again = shop.import(MAP, &text, BatchMode::Mint);
    assert_eq!(
        again[0].outcome.as_ref().unwrap().license,
        Some((id, State::Active))
    );
    assert_eq!(ways(again), vec![Ok(ImportWay::Repeated); 2]);
    let changed = text.replace(",5,", ",6,");
    let changed = shop.import(MAP, &changed, BatchMode::Mint);
    assert_eq!(
        changed[0].outcome.as_ref().unwrap_err().code,
        "batch-conflict"
    );
    // Under another name of the old system the same reference is another row.
    let other = MAP.replace("\"Old\"", "\"Older\"");
    let other = shop.import(&other, &text, BatchMode::Mint);
    assert_eq!(
        ways(other),
        [Ok(ImportWay::CarriedOut), Ok(ImportWay::Unchanged)]
    );
    let history = shop.issuer.license_history(id, now()).unwrap();
    let reason = history[0].entry.as_ref().unwrap().reason.as_deref();
    assert_eq!(reason, Some("imported from Old: 1; first"));
}

#[test]
fn a_reference_stands_once_in_a_file() {
    let text = format!("{HEADER}\n1,A,,Pro,,never,,,,,\n1,B,,Pro,,never,,,,,\n");
    let results = Shop::new().import(MAP, &text, BatchMode::Mint);
    assert!(results[0].outcome.is_ok());
    let problem = results[1].outcome.as_ref().unwrap_err();
    assert_eq!(problem.message, "\"1\" is the reference of line 2 too");
}

#[test]
fn two_names_of_one_id_are_told_apart() {
    let mut shop = Shop::new();
    let text = format!("{HEADER}\n1,\"Globex, Inc.\",,,,,,,,,\n2,Globex Inc,,,,,,,,,\n");
    let results = shop.import(MAP, &text, BatchMode::Mint);
    let problem = results[1].outcome.as_ref().unwrap_err();
    assert!(
        problem.message.contains("\"globex-inc\""),
        "{}",
        problem.message
    );
    // Nor is a customer taken for another one that was there before.
    let alone = format!("{HEADER}\n2,Globex Inc,,,,,,,,,\n");
    let results = shop.import(MAP, &alone, BatchMode::Mint);
    let problem = results[0].outcome.as_ref().unwrap_err();
    assert!(
        problem.message.contains("is called something else"),
        "{}",
        problem.message
    );
}

#[test]
fn a_customer_that_is_there_is_kept_updated_or_refused() {
    const CUSTOMERS: &str = "source = \"Old\"\n[columns]\nref = \"r\"\ncustomer = \"id\"\n\
                             customer_name = \"name\"\n[customers]\nexisting = ";
    let mut shop = Shop::new();
    let mut name = |rule: &str, text: &str| {
        let results = shop.import(&format!("{CUSTOMERS}{rule:?}\n"), text, BatchMode::Mint);
        let way = results[0].outcome.as_ref().map(|imported| imported.way);
        let way = way.map_err(|problem| problem.code);
        (way, shop.issuer.customer("a").unwrap().name)
    };
    let first = name("keep", "r,id,name\n1,a,Ann\n");
    assert_eq!(first, (Ok(ImportWay::CarriedOut), "Ann".into()));
    let kept = name("keep", "r,id,name\n2,a,Anna\n");
    assert_eq!(kept, (Ok(ImportWay::Unchanged), "Ann".into()));
    let refused = name("refuse", "r,id,name\n2,a,Anna\n");
    assert_eq!(refused, (Err("not-allowed"), "Ann".into()));
    let updated = name("update", "r,id,name\n2,a,Anna\n");
    assert_eq!(updated, (Ok(ImportWay::CarriedOut), "Anna".into()));
}

#[test]
fn a_license_of_a_customer_that_nobody_tells_of_is_refused() {
    let map = "source = \"Old\"\n[columns]\nref = \"r\"\ncustomer = \"id\"\nplan = \"p\"\n\
               [defaults]\nexpires = \"never\"\n";
    let results = Shop::new().import(map, "r,id,p\n1,nobody,starter\n", BatchMode::Mint);
    let problem = results[0].outcome.as_ref().unwrap_err();
    assert_eq!(
        (problem.column.as_deref(), problem.code),
        (Some("id"), "not-found")
    );
}

#[test]
fn the_refused_rows_are_a_file_again() {
    let map = ImportMap::parse(MAP).unwrap();
    let text = format!(
        "\u{feff}{HEADER}\r\n1,\"A\nB\",,Pro,,never,,,,,\r\n2,B,,Pro,,never,,,,,\r\nbad\r\n"
    );
    let file = ImportFile::read(RowFormat::Csv, text.as_bytes(), &map).unwrap();
    let context = Context::new(now(), "alice");
    let mut shop = Shop::new();
    let results = shop
        .issuer
        .import(&file, BatchMode::Mint, &context, |_| {})
        .unwrap();
    let refused = String::from_utf8(file.refused(&results)).unwrap();
    assert_eq!(
        refused,
        format!("{HEADER}\n1,\"A\nB\",,Pro,,never,,,,,\nbad\n")
    );
}

#[test]
fn a_map_is_refused_with_the_place() {
    let base = "source = \"Old\"\n[columns]\nref = \"r\"\ncustomer = \"c\"\n";
    ImportMap::parse(base).unwrap();
    for (text, expected) in [
        ("", "1:1: missing field `source`"),
        ("source = 1", "1:10: "),
        ("source = \"\"\n", "1:10: a source is"),
        ("sauce = \"Old\"", "1:1: unknown field `sauce`"),
        ("source = \"Old\"\n", "no column for `ref`"),
        (
            "source = \"Old\"\n[columns]\nrow = \"x\"",
            "3:1: unknown variant `row`",
        ),
        (
            "source = \"Old\"\n[columns]\nref = \"x\"",
            "no column for `customer`",
        ),
        ("source = \"Old\"\n[columns]\nref = [1]", "3:7: "),
        (
            &format!("{base}[defaults]\nref = \"1\""),
            "6:7: a ref has no default",
        ),
        (
            &format!("{base}[file]\ndelimiter = \"x\""),
            "6:13: a delimiter",
        ),
        (
            &format!("{base}[file]\nother_columns = \"x\""),
            "6:17: unknown variant `x`",
        ),
        (
            &format!("{base}[format]\ndates = [\"%H:%M\"]"),
            "6:10: no date is written so",
        ),
        (
            &format!("{base}[format]\nlist = \"a\""),
            "6:8: a list is not",
        ),
        (
            &format!("{base}[values.state]\nok = \"good\""),
            "6:6: \"good\" is no state",
        ),
        (
            &format!("{base}[values.customer_kind]\nx = \"y\""),
            "6:5: \"y\" is no customer_kind",
        ),
        (
            &format!("{base}[customers]\nid_from_name = true"),
            "ids are made of names",
        ),
        (
            &format!("{base}[customers]\nexisting = \"drop\""),
            "6:12: unknown variant",
        ),
        ("source = \"Old\"\n[columns\n", "2:"),
    ] {
        let found = ImportMap::parse(text).unwrap_err().to_string();
        assert!(found.contains(expected), "{text}: {found}");
    }
}

#[test]
fn map_and_file_have_the_same_columns() {
    let fit = |map: &ImportMap, format, text: &str| {
        let read = ImportFile::read(format, text.as_bytes(), map);
        read.map(drop).map_err(|error| error.to_string())
    };
    let map = ImportMap::parse(MAP).unwrap();
    let header = HEADER.replace("until", "untill");
    let error = fit(&map, RowFormat::Csv, &header).unwrap_err();
    assert!(
        error.contains("\"until\"") && error.contains("did you mean \"untill\""),
        "{error}"
    );
    let map = ImportMap::of_export();
    let error = fit(&map, RowFormat::Csv, "ref,customer,expire\n").unwrap_err();
    assert!(
        error.contains("\"expire\"") && error.contains("\"expires\""),
        "{error}"
    );
    let error = fit(&map, RowFormat::JsonLines, "{\"expire\":1}\n").unwrap_err();
    assert!(error.contains("\"expire\""), "{error}");
    let nested = "source = \"Old\"\n[columns]\nref = \"id\"\ncustomer = \"owner.id\"\n";
    let nested = ImportMap::parse(nested).unwrap();
    fit(
        &nested,
        RowFormat::JsonLines,
        "{\"id\":1,\"owner\":{\"id\":\"a\"}}\n",
    )
    .unwrap();
    assert!(fit(&nested, RowFormat::JsonLines, "{\"id\":1,\"owner\":[]}\n").is_err());
}

/// A map that is begun by the file is a map: all that may be missing is what nobody can guess.
#[track_caller]
fn check_example(format: RowFormat, bytes: &[u8]) {
    let Ok(text) = example_map(format, bytes, None) else {
        return;
    };
    if let Err(found) = ImportMap::parse(&text) {
        for problem in &*found {
            let message = &problem.message;
            assert!(
                message.starts_with("the map has no column for"),
                "{problem}\n{text}"
            );
        }
    }
}

#[test]
fn an_example_guesses_what_the_columns_and_words_say() {
    let file = "License ID;Account;Type;Policy;Status;Expiry\n\
                1;a;company;Pro;ACTIVE;31.12.2027\n2;b;person;Starter;BANNED;Lifetime\n";
    check_example(RowFormat::Csv, file.as_bytes());
    let text = example_map(RowFormat::Csv, file.as_bytes(), None).unwrap();
    for line in [
        "ref = \"License ID\"",
        "plan = \"Policy\"",
        "dates = [\"%d.%m.%Y\"]",
        "never = [\"Lifetime\"]",
        "\"BANNED\" = \"revoked\"",
        "\"person\" = \"user\"",
        "# \"Pro\" = \"\"",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    // Day or month first: nobody can tell.
    let either = "id,account,expires\n1,a,01/02/2027\n";
    let text = example_map(RowFormat::Csv, either.as_bytes(), None).unwrap();
    assert!(text.contains("only one of them is right"), "{text}");
}

proptest! {
    #[test]
    fn any_text_is_a_map_or_refused(
        parts in proptest::collection::vec(
            prop_oneof![
                any::<String>(),
                Just(MAP.to_owned()),
                "(source|ref|plan|dates|list|delimiter) = \"[%a-zA-Z;.]{0,6}\"\n",
                "\\[(columns|format|file|customers|defaults|values\\.(plan|state))\\]\n",
            ],
            0..6,
        ),
    ) {
        if let Err(found) = ImportMap::parse(&parts.concat()) {
            prop_assert!(!found.is_empty());
        }
    }

    #[test]
    fn an_example_is_made_of_any_file(
        names in proptest::collection::vec("(id|plan|status|expiry|type|[ -~\u{7f}\u{e4}\n]{0,5})", 1..6),
        cells in proptest::collection::vec("(01.02.2027|Pro|\\PC{0,6})", 1..20),
    ) {
        let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
        writer.write_record(&names).unwrap();
        for row in cells.chunks(names.len()) {
            writer.write_record(row).unwrap();
        }
        check_example(RowFormat::Csv, &writer.into_inner().unwrap());
        let object: Map<String, Value> = names.iter().zip(&cells)
            .map(|(name, cell)| (name.clone(), Value::from(cell.as_str())))
            .collect();
        let line = serde_json::to_vec(&object).unwrap();
        check_example(RowFormat::JsonLines, &line);
    }
}

/// Whatever the cells are, a row is carried out or refused, and a file that was carried out is
/// nothing but repetitions the next time.
#[test]
fn any_cells_are_carried_out_or_refused() {
    let shop = RefCell::new(Shop::new());
    let cell = prop_oneof![
        4 => Just(String::new()),
        2 => "(1|2|Pro|Pro\\+|premium|ok|banned|on hold|over|junk|never|31\\.12\\.2027|-1|yes)",
        1 => "\\PC{0,8}",
    ];
    let rows = proptest::collection::vec(proptest::collection::vec(cell, 11), 1..8);
    let config = ProptestConfig::with_cases(48);
    proptest!(config, |(rows in rows, source in "[a-z]{12}")| {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(HEADER.split(',')).unwrap();
        for row in &rows {
            writer.write_record(row).unwrap();
        }
        let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
        let map = MAP.replace("\"Old\"", &format!("{source:?}"));
        let mut shop = shop.borrow_mut();
        let tried = shop.import(&map, &text, BatchMode::Rehearse);
        let done = shop.import(&map, &text, BatchMode::Mint);
        let again = shop.import(&map, &text, BatchMode::Mint);
        let way = |result: &ImportResult| result.outcome.as_ref().ok().map(|imported| imported.way);
        for ((tried, done), again) in tried.iter().zip(&done).zip(&again) {
            prop_assert_eq!(way(tried), way(done));
            let then = way(done).map(|way| match way {
                ImportWay::CarriedOut => ImportWay::Repeated,
                way => way,
            });
            prop_assert_eq!(way(again), then);
        }
    });
    let rows = shop
        .borrow_mut()
        .issuer
        .export(&ExportFilter::default(), RowFormat::Csv, now());
    rows.unwrap();
    shop.borrow_mut().issuer.rebuild().unwrap();
}
