//! What a row may say, and what is said of a bad one.

use phi_verify::Allowance;

use super::*;

fn rows(format: RowFormat, text: &str) -> Vec<Row> {
    read_rows(format, text.as_bytes(), UnixTime::EPOCH).unwrap()
}

fn order(row: &Row) -> &NewLicense {
    match &row.request.as_ref().unwrap().order {
        Order::License(order) => order,
        Order::Token(_) => panic!("the row orders a license"),
    }
}

#[track_caller]
fn refused(json: &str, problem: &str) {
    let row = &rows(RowFormat::JsonLines, json)[0];
    let found = row.request.as_ref().unwrap_err();
    assert!(found.contains(problem), "{found}");
}

#[test]
fn csv_and_json_say_the_same() {
    let csv = "ref,customer,plan,quotas,flags,expires,grace\n\
               a1,globex,pro,calls=5;builds=unlimited,sso;audit,+1y,14d\n";
    let json = r#"{"ref":"a1","customer":"globex","plan":"pro",
        "quotas":{"calls":5,"builds":"unlimited"},"flags":["sso","audit"],
        "expires":"+1y","grace":"14d"}"#
        .replace('\n', " ");
    let (csv, json) = (
        &rows(RowFormat::Csv, csv)[0],
        &rows(RowFormat::JsonLines, &json)[0],
    );
    assert_eq!(order(csv), order(json));
    assert_eq!(order(csv).overrides.quotas["builds"], Allowance::Unlimited);
    assert_eq!((csv.line, json.line), (2, 1));
}

#[test]
fn the_key_follows_the_contents() {
    let key = |text: &str| {
        rows(RowFormat::Csv, text)[0]
            .request
            .as_ref()
            .unwrap()
            .idempotency_key()
    };
    let first = key("ref,customer,plan\na,globex,pro\n");
    assert_eq!(first, key("plan,customer,ref\npro,globex,a\n"));
    assert_eq!(first, key("ref,customer,plan,flags\na,globex,pro,\n"));
    assert_ne!(first, key("ref,customer,plan\na,globex,team\n"));
}

#[test]
fn a_bad_row_is_bad_alone() {
    let text = "ref,customer,plan\na,globex,pro\nb,globex\nc,globex,pro\n";
    let rows = rows(RowFormat::Csv, text);
    let good: Vec<_> = rows
        .iter()
        .map(|row| (row.line, row.request.is_ok()))
        .collect();
    assert_eq!(good, [(2, true), (3, false), (4, true)]);
    refused("{", "EOF");
    refused(r#"{"ref":""}"#, "ref is 1 to 128 bytes");
    refused(r#"{"ref":"a","plan":"pro"}"#, "customer is missing");
    refused(r#"{"ref":"a","customer":"c"}"#, "plan is missing");
    refused(r#"{"ref":"a","color":"red"}"#, "unknown field");
    refused(
        r#"{"ref":"a","customer":"c","plan":"p","quotas":"calls"}"#,
        "not name=value",
    );
    refused(
        r#"{"ref":"a","customer":"c","plan":"p","quotas":"n=1;n=2"}"#,
        "stands twice",
    );
    refused(
        r#"{"ref":"a","customer":"c","plan":"p","quotas":"n=-1"}"#,
        "whole number",
    );
    refused(
        r#"{"ref":"a","customer":"c","plan":"p","expires":"soon"}"#,
        "expires: ",
    );
    refused(
        r#"{"ref":"a","license":"0011223344556677","plan":"p"}"#,
        "leave the rest out",
    );
    refused(r#"{"ref":"a","license":"x"}"#, "license: ");
    refused(
        r#"{"ref":"a","customer":"c","plan":"p","match":2}"#,
        "match goes with fingerprint",
    );
}

#[test]
fn a_header_that_does_not_fit_is_refused_whole() {
    for (text, problem) in [
        ("ref,colour\na,red\n", "colour"),
        ("ref,ref\na,b\n", "twice"),
    ] {
        let error = read_rows(RowFormat::Csv, text.as_bytes(), UnixTime::EPOCH).unwrap_err();
        assert!(error.to_string().contains(problem), "{error}");
    }
}
