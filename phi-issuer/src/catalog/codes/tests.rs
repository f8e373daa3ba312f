//! What happens to codes over a history of edits.

use super::*;
use crate::catalog::{Revision, diff};

fn source(body: &str) -> Source {
    let text = format!("product = 'p'\n{body}");
    Source::parse(&text).unwrap_or_else(|found| panic!("{found}"))
}

/// Records one text after the other.
#[track_caller]
fn record(bodies: &[&str]) -> Revision {
    let mut revision = Revision::first(&source(bodies[0])).unwrap();
    for body in &bodies[1..] {
        revision = revision
            .next(&source(body))
            .unwrap_or_else(|found| panic!("{found}"));
    }
    revision
}

/// The flags as `code name`, and the reserved ones after them.
#[track_caller]
fn flags(bodies: &[&str], expected: &[&str]) {
    let revision = record(bodies);
    let all = [revision.terms(), revision.reserved()];
    let flags = all.into_iter().flat_map(|terms| &terms.flags);
    let found: Vec<String> = flags
        .map(|(code, term)| format!("{code} {}", term.name))
        .collect();
    assert_eq!(found, expected);
}

/// Records all but the last text, which is refused.
#[track_caller]
fn refused(bodies: &[&str], expected: &[&str]) {
    let (last, before) = bodies.split_last().unwrap();
    let refused = match before {
        [] => Revision::first(&source(last)),
        _ => record(before).next(&source(last)),
    };
    let refused = refused.expect_err("the edit is refused");
    let found: Vec<String> = refused
        .iter()
        .map(|d| format!("{} {}", d.position, d.message))
        .collect();
    assert_eq!(found, expected);
    assert!(refused.iter().all(|d| d.hint.is_some()));
}

#[test]
fn each_kind_counts_from_zero_in_the_order_of_the_text() {
    let revision = record(&["[flags]\nb='B'\na='A'\n[limits]\ns='S'\n[quotas]\nq={period='day'}"]);
    let found: Vec<String> = revision
        .terms()
        .iter()
        .map(|(kind, code, term)| format!("{kind} {code} {}", term.name))
        .collect();
    assert_eq!(found, ["flag 0 b", "flag 1 a", "quota 0 q", "limit 0 s"]);
}

#[test]
fn order_does_not_matter_once_recorded() {
    flags(
        &["[flags]\na='A'\nb='B'", "[flags]\nc='C'\nb='B'\na='A'"],
        &["0 a", "1 b", "2 c"],
    );
}

#[test]
fn removal_reserves_and_was_restores() {
    let (first, removed) = ("[flags]\na='A'\nb='B'", "[flags]\na='A'\nc='C'");
    flags(&[first, removed], &["0 a", "2 c", "1 b"]);
    let back = "[flags]\na='A'\nb={was='b'}";
    flags(&[first, removed, back], &["0 a", "1 b", "2 c"]);
    flags(&[first, removed, back, back], &["0 a", "1 b", "2 c"]);
    let under_another_name = "[flags]\na='A'\nd={was='b'}";
    flags(
        &[first, removed, under_another_name],
        &["0 a", "1 d", "2 c"],
    );
    refused(
        &[first, removed, first],
        &["4:1 `b` is the removed flag with code 1"],
    );
}

#[test]
fn rename_keeps_the_code_and_may_stay_in_the_file() {
    let (first, renamed) = ("[flags]\na='A'\nb='B'", "[flags]\nx={was='a'}\nb='B'");
    flags(&[first, renamed], &["0 x", "1 b"]);
    flags(&[first, renamed, renamed], &["0 x", "1 b"]);
    let (once, twice) = (
        record(&[first, renamed]),
        record(&[first, renamed, renamed]),
    );
    assert_eq!(diff(&once, &twice), []);
    flags(
        &[first, renamed, "[flags]\na={was='x'}\nb='B'"],
        &["0 a", "1 b"],
    );
}

#[test]
fn a_rename_that_contradicts_the_record_is_refused() {
    let first = "[flags]\na='A'\nb='B'\n[limits]\nl='L'";
    refused(
        &["[flags]\na={was='z'}"],
        &["3:8 no recorded term was ever called `z`"],
    );
    refused(
        &[first, "[flags]\na='A'\nc={was='z'}"],
        &["4:8 no recorded term was ever called `z`"],
    );
    refused(
        &[first, "[flags]\na={was='b'}"],
        &["3:8 `a` has a code of its own and cannot take over that of `b`"],
    );
    refused(
        &[first, "[flags]\nc={was='l'}"],
        &["3:1 `c` is a limit, not a flag"],
    );
    let renamed = "[flags]\nx={was='a'}\nb='B'";
    refused(
        &[first, renamed, "[flags]\ny={was='a'}\nb='B'"],
        &["3:8 `a` was renamed to `x` before"],
    );
    refused(
        &[first, renamed, "[flags]\nx='X'\nb='B'\na='A'"],
        &["5:1 `a` is a former name of flag `x`, code 0"],
    );
    refused(
        &[first, "[flags]\na='A'", "[flags]\nb={was='a'}"],
        &["3:1 `b` is the removed flag with code 1"],
    );
}

#[test]
fn a_code_never_changes_its_meaning() {
    let first = "[quotas]\nq={period='day',unit='calls'}\nr={period='day'}\n[limits]\nl='L'\n\
                 [flags]\nf='F'";
    refused(
        &[
            first,
            "[quotas]\nq={period='month',unit='calls'}\nr={period='day',unit='MB'}\n\
             f={period='day'}\n[limits]\nl={unit='seats'}\n",
        ],
        &[
            "3:1 quota `q` is counted per day, not per month",
            "4:1 quota `r` has no unit as its unit, not \"MB\"",
            "5:1 `f` is a flag, not a quota",
            "7:1 limit `l` has no unit as its unit, not \"seats\"",
        ],
    );
    refused(
        &[
            first,
            "",
            "[quotas]\nq={period='year',unit='calls',was='q'}",
        ],
        &["3:1 quota `q` is counted per day, not per year"],
    );
    refused(
        &[first, "", "[flags]\nq='Q'"],
        &["3:1 `q` is the removed quota with code 0"],
    );
}

#[test]
fn removed_codes_use_up_the_space() {
    let limits = |from: usize, to: usize| -> String {
        (from..to).fold("[limits]\n".to_owned(), |all, n| {
            all + &format!("n{n} = 'x'\n")
        })
    };
    let (first, second) = (limits(0, 200), limits(200, 256));
    assert_eq!(record(&[&first, &second]).reserved().limits.len(), 200);
    refused(
        &[&first, &second, &limits(200, 258)],
        &[
            "59:1 no code is left: a product has at most 256 limits",
            "60:1 no code is left: a product has at most 256 limits",
        ],
    );
}
