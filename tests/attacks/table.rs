//! README.md lists every row and the test that stands for it.

use std::{collections::BTreeSet, fs, path::Path};

/// The rows by their letters and how many there are of each.
const ROWS: [(&str, usize); 6] = [
    ("R", 14),
    ("K", 10),
    ("S", 11),
    ("L", 7),
    ("C", 5),
    ("T", 5),
];

/// The row that a test is named by, as in `r10_...`.
fn row_of(test: &str) -> Option<String> {
    let (row, _) = test.split_once('_')?;
    let row = row.to_uppercase();
    all().contains(&row).then_some(row)
}

fn all() -> Vec<String> {
    let numbered = |(letter, count): &(&str, usize)| {
        let letter = (*letter).to_owned();
        (1..=*count).map(move |number| format!("{letter}{number}"))
    };
    ROWS.iter().flat_map(numbered).collect()
}

/// The tests in the folder that are named by a row.
fn tests_in(folder: &Path) -> BTreeSet<String> {
    let mut tests = BTreeSet::new();
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(path).unwrap();
            let names = text.split("\n#[test]\nfn ").skip(1);
            let names = names.filter_map(|rest| rest.split_once('(').map(|(name, _)| name));
            tests.extend(
                names
                    .filter(|name| row_of(name).is_some())
                    .map(ToOwned::to_owned),
            );
        }
    }
    tests
}

#[test]
fn every_row_has_its_line_and_every_line_its_test() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(tests.join("attacks/README.md")).unwrap();
    let lines: Vec<Vec<_>> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| "))
        .map(|line| line.split('|').map(str::trim).collect())
        .filter(|cells: &Vec<_>| cells[0] != "row" && cells[0] != "---")
        .collect();
    let listed: Vec<_> = lines.iter().map(|cells| cells[0].to_owned()).collect();
    assert_eq!(listed, all(), "the rows, in their order");

    let here = tests_in(&tests.join("attacks"));
    let log = tests_in(&tests.join("it/log"));
    assert!(here.len() > 30 && log.len() > 5, "{here:?} {log:?}");
    let mut named = BTreeSet::new();
    for cells in &lines {
        let row = cells[0];
        if cells[3].is_empty() {
            let built = here
                .iter()
                .find(|name| row_of(name).as_deref() == Some(row));
            assert_eq!(built, None, "row {row} has a test that is not listed");
            continue;
        }
        for test in cells[3].split(", ").map(|test| test.trim_matches('`')) {
            assert_eq!(row_of(test).as_deref(), Some(row), "{test}");
            assert!(
                here.contains(test) || log.contains(test),
                "{test} is no test"
            );
            named.insert(test.to_owned());
        }
    }
    let unlisted: Vec<_> = here.difference(&named).collect();
    assert_eq!(unlisted, Vec::<&String>::new(), "tests that no line names");
}
