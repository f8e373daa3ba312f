//! Good and bad texts, and where the bad ones are bad.

use super::*;

/// The diagnostics of a text, as `line:column message`.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let refused = Source::parse(text).expect_err("the text is refused");
    let found: Vec<String> = refused
        .iter()
        .map(|d| format!("{} {}", d.position, d.message))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn the_order_of_the_text_is_the_order_of_definitions() {
    let text = "limits = { z = 'Z' }\nflags.b = 'B'\nproduct = 'p'\nflags.a = 'A'\n";
    let source = Source::parse(text).unwrap();
    let names: Vec<&str> = source.definitions.iter().map(|d| d.name.as_str()).collect();
    assert_eq!(names, ["z", "b", "a"]);
}

#[test]
fn text_that_is_not_toml_is_refused_where_it_breaks() {
    check(
        "product = \"p\"\n[flags\n",
        &["2:7 unclosed table, expected `]`"],
    );
    check(
        "product = 'p'\n[flags]\na = 'x'\nb = \na = 'y'\n",
        &[
            "4:5 string values must be quoted, expected literal string",
            "5:1 duplicate key",
        ],
    );
}

#[test]
fn a_message_names_file_line_column_and_hint() {
    let refused = Source::parse("product = \"p\"\n[flag]\nsso = \"x\"\n").unwrap_err();
    assert_eq!(
        refused.in_file("catalog.toml").to_string(),
        "catalog.toml:2:2: unknown field `flag` (hint: did you mean `flags`?)"
    );
}

#[test]
fn the_product_needs_a_name() {
    check("", &["1:1 the product has no name"]);
    check(
        "\nproduct = 3",
        &["2:11 `product` is a string, not a number"],
    );
    check(
        "product = 'My Product'",
        &["1:11 a name must not start with 'M'"],
    );
}

#[test]
fn all_mistakes_in_definitions_are_found_at_once() {
    check(
        r#"
product = "p"
[flags]
sso = true
"Bad" = "x"
ok = { title = "", color = "red" }
[quotas]
api = "API calls"
calls = { title = "Calls" }
jobs = { title = "Jobs", period = "week" }
[limits]
seats = { period = "day" }
ok = "again"
"#,
        &[
            "4:7 flag `sso` is a table, not true or false",
            "5:1 a name must not start with 'B'",
            "6:16 a title must not be empty",
            "6:20 unknown field `color`",
            "8:7 quota `api` is a table, not a string",
            "9:1 quota `calls` has no period",
            "10:35 unknown period \"week\"",
            "12:11 unknown field `period`",
            "13:1 `ok` is already a flag, at 6:1",
        ],
    );
}

#[test]
fn all_mistakes_in_plans_are_found_at_once() {
    check(
        r#"
product = "p"
flags = { sso = "SSO", audit = "Audit" }
limits = { seats = "Seats" }
quotas = { api = { period = "day" } }
[plans.a]
flags = ["sso", "sso", "audti", "seats", 3]
quotas = { api = -1, seats = 2 }
limits = { seats = 99999999999999999999 }
without = ["sso"]
[plans.b]
extends = "a"
without = ["audit", "nothing"]
[plans.c]
extends = "aa"
[addons.x]
extends = "a"
limits = { seats = 1.5 }
"#,
        &[
            "7:17 `sso` is listed twice",
            "7:24 no flag is called `audti`",
            "7:33 `seats` is a limit, not a flag",
            "7:42 a name is a string, not a number",
            "8:18 an amount is not negative",
            "8:22 `seats` is a limit, not a quota",
            "9:20 an amount is at most 9223372036854775807",
            "10:12 plan `a` both grants `sso` and takes it away",
            "13:12 plan `a` does not grant `audit`",
            "13:21 no flag, quota or limit is called `nothing`",
            "15:11 no plan is called `aa`",
            "17:1 unknown field `extends`",
            "18:20 an amount is a number or \"unlimited\", not a fraction",
        ],
    );
}

#[test]
fn plans_must_not_extend_each_other() {
    check(
        "product = 'p'\n[plans.a]\nextends = 'c'\n[plans.b]\nextends = 'a'\n\
         [plans.c]\nextends = 'b'\n[plans.d]\nextends = 'd'\n[plans.e]\nextends = 'a'\n",
        &[
            "3:11 plans extend each other: a -> c -> b -> a",
            "9:11 plans extend each other: d -> d",
        ],
    );
}

#[test]
fn a_rename_that_cannot_be_is_refused() {
    check(
        "product = 'p'\n[flags]\na = 'A'\nb = { was = 'a' }\nc = { was = 'x' }\n\
         d = { was = 'x' }\ne = { was = 'e' }\n",
        &[
            "4:13 `a` is still here, at 3:1",
            "6:13 `c` already says that it was `x`",
        ],
    );
}

#[test]
fn sizes_are_bounded() {
    let many = |table: &str, count: usize, value: &str| {
        let lines: Vec<String> = (0..count).map(|n| format!("n{n} = {value}")).collect();
        format!("product = 'p'\n[{table}]\n{}\n", lines.join("\n"))
    };
    assert!(Source::parse(&many("flags", 4096, "'x'")).is_ok());
    check(
        &many("flags", 4097, "'x'"),
        &["4099:1 a catalog has at most 4096 flags"],
    );
    check(
        &many("limits", 257, "'x'"),
        &["259:1 a catalog has at most 256 limits"],
    );
    check(
        &many("quotas", 257, "{ period = 'day' }"),
        &["259:1 a catalog has at most 256 quotas"],
    );
    check(
        &many("plans", 257, "{}"),
        &["259:1 `plans` has at most 256 entries"],
    );
    let long = format!("product = 'p' # {}", "x".repeat(MAX_SOURCE_BYTES));
    check(&long, &["1:1048577 a catalog has at most 1048576 bytes"]);
}

#[test]
fn a_name_with_a_dot_needs_quotes() {
    let refused = Source::parse("product = 'p'\n[flags]\nmerge.trains = 'x'\n").unwrap_err();
    assert_eq!(refused[0].position.to_string(), "3:7");
    assert!(refused[0].to_string().contains("quotes"), "{refused}");
    assert!(Source::parse("product = 'p'\n[flags]\n'merge.trains' = 'x'\n").is_ok());
}
