//! A map file to begin with, made of a file's own columns and words.
//!
//! What the columns are is guessed by their names and said; whoever migrates decides.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::map::Field;
use super::row::value_at;
use crate::{
    catalog::{Name, Revision},
    error::Error,
    rows::{self, CsvForm, RowFormat, Table},
    when::When,
};

/// Words of a column that are listed; a column with more of them is no choice of words.
const MAX_WORDS: usize = 40;
/// Columns that are listed: nested objects can have any number.
const MAX_LISTED: usize = 200;
/// How deep nested objects are looked into.
const MAX_DEPTH: usize = 4;

/// By which names a column is guessed, without blanks and signs.
const GUESSES: &[(Field, &[&str])] = &[
    (
        Field::Ref,
        &[
            "ref",
            "reference",
            "id",
            "licenseid",
            "ordernumber",
            "orderid",
            "order",
        ],
    ),
    (
        Field::Customer,
        &[
            "customer",
            "customerid",
            "account",
            "accountid",
            "userid",
            "ownerid",
        ],
    ),
    (
        Field::CustomerKind,
        &["customerkind", "customertype", "accounttype", "type"],
    ),
    (
        Field::CustomerName,
        &[
            "customername",
            "company",
            "companyname",
            "organization",
            "organisation",
        ],
    ),
    (Field::Product, &["product", "productname", "productid"]),
    (
        Field::Plan,
        &[
            "plan",
            "policy",
            "edition",
            "tier",
            "package",
            "planname",
            "policyname",
        ],
    ),
    (Field::Addons, &["addons", "options", "modules", "extras"]),
    (Field::Flags, &["flags", "features", "entitlements"]),
    (Field::Without, &["without"]),
    (Field::Quotas, &["quotas"]),
    (Field::Limits, &["limits"]),
    (
        Field::Begins,
        &["begins", "start", "startdate", "startsat", "validfrom"],
    ),
    (
        Field::Expires,
        &[
            "expires",
            "expiry",
            "expiration",
            "expirydate",
            "expiresat",
            "validuntil",
            "enddate",
        ],
    ),
    (Field::Grace, &["grace", "graceperiod"]),
    (Field::MaxStatusAge, &["maxstatusage"]),
    (Field::Trial, &["trial", "istrial"]),
    (Field::State, &["state", "status", "licensestatus"]),
    (Field::Revocation, &["revocation", "revocationreason"]),
    (
        Field::Issued,
        &[
            "issued",
            "issuedat",
            "created",
            "createdat",
            "purchased",
            "orderdate",
        ],
    ),
    (
        Field::Note,
        &["note", "notes", "comment", "comments", "remark"],
    ),
    (Field::Fingerprint, &["fingerprint"]),
    (Field::Match, &["match"]),
    (Field::Ext, &["ext"]),
];

/// Writings of dates that are looked for, beside ISO's.
const DATES: [&str; 10] = [
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%Y/%m/%d",
    "%d-%m-%Y",
    "%d %b %Y",
    "%d.%m.%Y %H:%M",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M",
    "%Y-%m-%d %H:%M:%S",
];

/// Words for the end of a license that has none.
const NEVER: [&str; 5] = ["never", "lifetime", "perpetual", "unlimited", "forever"];

/// A map file for a file of rows, with its columns and the words that stand in them.
///
/// # Errors
/// [`Error::BatchFile`] if the file as a whole does not read.
pub fn example_map(
    format: RowFormat,
    bytes: &[u8],
    catalog: Option<&Revision>,
) -> Result<String, Error> {
    let table = rows::read(format, bytes, CsvForm::default())?;
    let sample = Sample::of(&table);
    let mut text = String::from(
        "# The map of an import: what the columns of the file are, and what its words mean.\n\
         # The columns were guessed by their names: check each of them. docs/guides/migration.md\n\
         # has every key; `phi import FILE --map THIS --dry-run` shows what it comes to.\n\n\
         # The system that the rows come from. It stands in the ledger, and with the reference it\n\
         # is the name of a row: keep it when the file is imported again.\n\
         source = \"old system\"\n",
    );
    sample.columns(&mut text);
    text.push_str(
        "\n[customers]\n\
         # Make ids of the names where the file has no ids: \"Globex, Inc.\" is globex-inc.\n",
    );
    let named = sample.guess(Field::CustomerName).is_some();
    let by_name = named && sample.guess(Field::Customer).is_none();
    let _ = writeln!(text, "id_from_name = {by_name}");
    text.push_str(
        "# A customer that is there under another name: keep, update or refuse.\n\
         existing = \"keep\"\n\n\
         [defaults]\n\
         # What a row says that has no column or an empty cell.\n\
         # product = \"atlas\"\n\
         # expires = \"never\"\n\
         # grace = \"14d\"\n",
    );
    sample.formats(&mut text);
    sample.words(&mut text, catalog);
    Ok(text)
}

/// The columns of a file, and its rows.
struct Sample<'t> {
    columns: Vec<String>,
    rows: Vec<&'t Map<String, Value>>,
}

impl<'t> Sample<'t> {
    fn of(table: &'t Table) -> Self {
        let objects = table
            .lines
            .iter()
            .filter_map(|line| line.object.as_ref().ok());
        let rows: Vec<_> = objects.collect();
        let mut columns = table.header.clone();
        if columns.is_empty() {
            let mut seen = BTreeSet::new();
            for row in &rows {
                paths(row, "", MAX_DEPTH, &mut |path| {
                    if columns.len() < MAX_LISTED && seen.insert(path.to_owned()) {
                        columns.push(path.to_owned());
                    }
                });
            }
        }
        Self { columns, rows }
    }

    /// The column that a field is guessed to be in: by the first of its names that there is.
    fn guess(&self, field: Field) -> Option<&str> {
        let (_, names) = GUESSES.iter().find(|(known, _)| *known == field)?;
        names.iter().find_map(|name| {
            let mut columns = self.columns.iter();
            columns
                .find(|column| plain(column) == *name)
                .map(String::as_str)
        })
    }

    /// The texts in the column of a field.
    fn texts(&self, field: Field) -> BTreeSet<&'t str> {
        let column = self.guess(field);
        let rows = self.rows.iter();
        let values = rows.filter_map(|row| value_at(row, column?)?.as_str());
        values.filter(|text| !text.is_empty()).collect()
    }

    fn columns(&self, text: &mut String) {
        text.push_str("\n# field = \"column\"; the columns of the file are:\n");
        for column in self.columns.iter().take(MAX_LISTED) {
            let _ = writeln!(text, "#   {}", quoted(column));
        }
        text.push_str("[columns]\n");
        for field in Field::ALL {
            let name = field.name();
            let _ = match self.guess(field) {
                Some(column) => writeln!(text, "{name} = {}", quoted(column)),
                None => writeln!(text, "# {name} = \"\""),
            };
        }
        text.push_str(
            "\n# A column for a single flag, quota or limit, by its name in the catalog.\n\
             [flag_columns]\n# sso = \"Has SSO\"\n\
             [quota_columns]\n# api_calls = \"Calls per month\"\n\
             [limit_columns]\n# seats = \"Users\"\n",
        );
    }

    fn formats(&self, text: &mut String) {
        text.push_str(
            "\n[format]\n\
             # Writings of dates beside 2031-01-04 and 2031-01-04T12:00:00Z; a date is the last day\n\
             # that counts, and times without a zone are in UTC.\n",
        );
        let _ = match self.date_formats().as_slice() {
            [] => writeln!(text, "# dates = [\"%d.%m.%Y\"]"),
            [only] => writeln!(text, "dates = [{only}]"),
            several => writeln!(
                text,
                "# Each of these reads the dates of the file; only one of them is right:\n\
                 # dates = [{}]",
                several.join("]\n# dates = [")
            ),
        };
        text.push_str(
            "# What stands between the items of a list, and words for special values.\n\
             # list = \";\"\n\
             # empty = [\"NULL\", \"-\"]\n",
        );
        let never = self.never();
        let _ = match never.as_slice() {
            [] => writeln!(text, "# never = [\"never\", \"lifetime\"]"),
            words => writeln!(text, "never = [{}]", words.join(", ")),
        };
        text.push_str(
            "# unlimited = [\"unlimited\", \"-1\"]\n\
             # true = [\"true\", \"yes\", \"1\"]\n\
             # false = [\"false\", \"no\", \"0\"]\n",
        );
    }

    /// The writings that read most of the dates, and at least half of them.
    fn date_formats(&self) -> Vec<String> {
        let others = self.other_dates();
        let reads = |format: &str| {
            let texts = others.iter();
            texts
                .filter(|text| When::by_format(text, format).is_ok())
                .count()
        };
        let counted: Vec<_> = DATES
            .iter()
            .map(|format| (reads(format), *format))
            .collect();
        let most = counted.iter().map(|(count, _)| *count).max().unwrap_or(0);
        if most == 0 || most * 2 < others.len() {
            return Vec::new();
        }
        let best = counted.into_iter().filter(|(count, _)| *count == most);
        best.map(|(_, format)| quoted(format)).collect()
    }

    /// Words for the end of a license that has none.
    fn never(&self) -> Vec<String> {
        let known = |text: &&str| NEVER.contains(&plain(text).as_str());
        self.texts(Field::Expires)
            .into_iter()
            .filter(known)
            .map(quoted)
            .collect()
    }

    /// The dates of the file that are not written as ISO has it.
    fn other_dates(&self) -> BTreeSet<&'t str> {
        let mut found = self.texts(Field::Expires);
        found.extend(self.texts(Field::Begins));
        let digit = |text: &&str| text.contains(|c: char| c.is_ascii_digit());
        found.retain(|text| digit(text) && text.parse::<When>().is_err());
        found
    }

    fn words(&self, text: &mut String, catalog: Option<&Revision>) {
        let plans: Vec<&Name> = catalog.map_or_else(Vec::new, |catalog| {
            catalog.plans().iter().map(|plan| &plan.name).collect()
        });
        text.push_str(
            "\n# \"old plan\" = \"plan\", or \"plan + add-on + add-on\"; \"*\" is any other word.\n",
        );
        if !plans.is_empty() {
            let plans = plans.iter().map(|plan| plan.as_str()).collect::<Vec<_>>();
            let _ = writeln!(text, "# The catalog has the plans {}.", plans.join(", "));
        }
        text.push_str("[values.plan]\n");
        self.table(text, Field::Plan, |word| {
            let found = plans
                .iter()
                .find(|plan| plain(plan.as_str()) == plain(word));
            found.map(|plan| plan.as_str())
        });
        text.push_str(
            "\n# \"old word\" = \"active\", \"suspended\", \"draft\", \"revoked\", \"expired\" or \"skip\".\n\
             [values.state]\n",
        );
        self.table(text, Field::State, state);
        if !self.texts(Field::CustomerKind).is_empty() {
            text.push_str(
                "\n# \"old word\" = \"user\" or \"organization\".\n[values.customer_kind]\n",
            );
            self.table(text, Field::CustomerKind, kind);
        }
    }

    /// The words of a column, with what they are guessed to be.
    fn table<'g>(&self, text: &mut String, field: Field, guess: impl Fn(&str) -> Option<&'g str>) {
        for word in self.texts(field).into_iter().take(MAX_WORDS) {
            let word_in_quotes = quoted(word);
            let _ = match guess(word) {
                Some(found) => writeln!(text, "{word_in_quotes} = {}", quoted(found)),
                None => writeln!(text, "# {word_in_quotes} = \"\""),
            };
        }
    }
}

fn state(word: &str) -> Option<&'static str> {
    Some(match plain(word).as_str() {
        "active" | "valid" | "expiring" | "inactive" => "active",
        "suspended" | "onhold" | "paused" => "suspended",
        "draft" | "pending" => "draft",
        "revoked" | "banned" | "cancelled" | "canceled" => "revoked",
        "expired" | "lapsed" => "expired",
        _ => return None,
    })
}

fn kind(word: &str) -> Option<&'static str> {
    Some(match plain(word).as_str() {
        "organization" | "organisation" | "company" | "business" => "organization",
        "user" | "person" | "individual" | "private" => "user",
        _ => return None,
    })
}

/// A word without blanks, signs and capitals.
fn plain(word: &str) -> String {
    // Of a path the last name says what it is.
    let last = word.rsplit('.').next().unwrap_or(word);
    let letters = last.chars().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

/// A text as TOML writes it.
fn quoted(text: &str) -> String {
    let text = serde_json::to_string(text).expect("a text has a JSON form");
    // The one character that JSON leaves as it is and TOML does not.
    text.replace('\u{7f}', "\\u007f")
}

fn paths(object: &Map<String, Value>, before: &str, depth: usize, each: &mut impl FnMut(&str)) {
    for (name, value) in object {
        let path = format!("{before}{name}");
        match value {
            Value::Object(inner) if depth > 0 && !inner.is_empty() => {
                paths(inner, &format!("{path}."), depth - 1, each);
            }
            _ => each(&path),
        }
    }
}
