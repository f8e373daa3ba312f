//! Import of a plain feature list: one `plan<TAB>feature[<TAB>title]` a line becomes a
//! `catalog.toml` a person can go on with.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::codegen::constant;
use super::diagnostic::{Diagnostic, Diagnostics, Position};
use super::name::{NAME_RULE, Name, title_problem};
use super::source::{MAX_OFFERS, MAX_SOURCE_BYTES};
use super::terms::Kind;

/// Turns a feature list into the text of a `catalog.toml`.
///
/// Plans are cumulative in the order in which they first appear: each extends the one before it.
/// Lines that are empty or start with `#` are skipped; a feature without a title gets one from its
/// name.
///
/// # Errors
///
/// Every line that does not fit, with its place in the list.
pub fn from_tsv(product: &Name, text: &str) -> Result<String, Diagnostics> {
    let mut list = List::default();
    if text.len() > MAX_SOURCE_BYTES {
        let message = format!("a feature list has at most {MAX_SOURCE_BYTES} bytes");
        list.refuse(Position { line: 1, column: 1 }, message, "split the list");
    } else {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (index, line) in text.lines().enumerate() {
            list.read(index + 1, line);
        }
    }
    Diagnostics::check(list.refused)?;
    Ok(write(product, &list.plans))
}

/// A plan with its features: name and title.
type Plan = (Name, Vec<(Name, String)>);

#[derive(Default)]
struct List {
    plans: Vec<Plan>,
    /// Which features and plans have which generated identifier, and the line they are on.
    features: BTreeMap<String, (Name, usize)>,
    plan_identifiers: BTreeMap<String, Name>,
    refused: Vec<Diagnostic>,
}

impl List {
    fn refuse(&mut self, position: Position, message: String, hint: &str) {
        self.refused
            .push(Diagnostic::new(position, message).hint(hint));
    }

    fn read(&mut self, line: usize, text: &str) {
        if text.trim().is_empty() || text.starts_with('#') {
            return;
        }
        let mut fields = Vec::new();
        let mut column = 1;
        for field in text.split('\t') {
            let leading = field.chars().take_while(|c| c.is_whitespace()).count();
            fields.push((
                field.trim(),
                Position {
                    line,
                    column: column + leading,
                },
            ));
            column += field.chars().count() + 1;
        }
        let (plan, feature, title) = match fields[..] {
            [plan, feature] => (plan, feature, None),
            [plan, feature, title] => (plan, feature, Some(title).filter(|t| !t.0.is_empty())),
            _ => {
                let message = format!("expected 2 or 3 fields, found {}", fields.len());
                let start = Position { line, column: 1 };
                self.refuse(start, message, "a line is plan<TAB>feature[<TAB>title]");
                return;
            }
        };
        let plan_name = self.name(plan);
        let feature_name = self.name(feature);
        let title = self.title(title);
        let (Some(plan_name), Some(feature_name)) = (plan_name, feature_name) else {
            return;
        };
        let title = title.unwrap_or_else(|| spoken(&feature_name));
        let plan = self.plan(plan_name, plan.1);
        if self.admit(&feature_name, feature.1) {
            self.plans[plan].1.push((feature_name, title));
        }
    }

    fn name(&mut self, (text, position): (&str, Position)) -> Option<Name> {
        match Name::new(text) {
            Ok(name) => Some(name),
            Err(problem) => {
                self.refuse(position, problem.to_string(), NAME_RULE);
                None
            }
        }
    }

    fn title(&mut self, field: Option<(&str, Position)>) -> Option<String> {
        let (text, position) = field?;
        if let Some(problem) = title_problem(text) {
            self.refuse(
                position,
                format!("a title {problem}"),
                "keep it to a few words",
            );
        }
        Some(text.to_owned())
    }

    /// The index of a plan, which is new if its name is.
    fn plan(&mut self, name: Name, position: Position) -> usize {
        if let Some(known) = self.plans.iter().position(|(known, _)| *known == name) {
            return known;
        }
        if self.plans.len() == MAX_OFFERS {
            self.refuse(
                position,
                format!("a catalog has at most {MAX_OFFERS} plans"),
                "merge some",
            );
            return MAX_OFFERS - 1;
        }
        if let Some(twin) = self.plan_identifiers.insert(constant(&name), name.clone()) {
            let message = format!("plans `{twin}` and `{name}` are the same constant");
            self.refuse(
                position,
                message,
                "choose names that differ in letters or digits",
            );
        }
        self.plans.push((name, Vec::new()));
        self.plans.len() - 1
    }

    /// Whether a feature is new; refuses it otherwise.
    fn admit(&mut self, name: &Name, position: Position) -> bool {
        let most = usize::from(Kind::Flag.max_codes());
        let known = self.features.get(&constant(name)).cloned();
        match known {
            Some((twin, line)) if twin == *name => {
                let message = format!("`{name}` is listed already, on line {line}");
                self.refuse(position, message, "later plans have it too: list it once");
            }
            Some((twin, line)) => {
                let message = format!("`{name}` and `{twin}` (line {line}) are the same constant");
                self.refuse(
                    position,
                    message,
                    "choose names that differ in letters or digits",
                );
            }
            None if self.features.len() == most => {
                let message = format!("a catalog has at most {most} flags");
                self.refuse(position, message, "shorten the list");
            }
            None => {
                self.features
                    .insert(constant(name), (name.clone(), position.line));
                return true;
            }
        }
        false
    }
}

/// A title from a name: `audit_events` is "Audit events".
fn spoken(name: &Name) -> String {
    let words = name.replace(['_', '-', '.'], " ");
    let words = words.trim();
    match words.chars().next() {
        Some(first) => format!(
            "{}{}",
            first.to_ascii_uppercase(),
            &words[first.len_utf8()..]
        ),
        None => name.to_string(),
    }
}

fn write(product: &Name, plans: &[Plan]) -> String {
    let count: usize = plans.iter().map(|(_, features)| features.len()).sum();
    let mut out = format!(
        "# Imported: {count} flags in {} plans, each of which extends the one before it.\n\n\
         product = \"{product}\"\n\n[flags]\n",
        plans.len()
    );
    for (plan, features) in plans {
        let _ = writeln!(out, "# from {plan} on");
        for (name, title) in features {
            let _ = writeln!(out, "{} = {}", key(name), toml::Value::from(title.as_str()));
        }
    }
    let mut previous: Option<&Name> = None;
    for (plan, features) in plans {
        let _ = writeln!(out, "\n[plans.{}]", key(plan));
        if let Some(previous) = previous {
            let _ = writeln!(out, "extends = \"{previous}\"");
        }
        out.push_str("flags = [\n");
        for (name, _) in features {
            let _ = writeln!(out, "    \"{name}\",");
        }
        out.push_str("]\n");
        previous = Some(plan);
    }
    out
}

/// A name as a TOML key: only a dot needs quotes.
fn key(name: &Name) -> String {
    if name.contains('.') {
        format!("\"{name}\"")
    } else {
        name.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Overrides, Revision, Source};
    use super::*;

    fn atlas() -> Name {
        Name::new("atlas").unwrap()
    }

    /// Imports, reads back and checks that plans are cumulative.
    #[track_caller]
    fn check(list: &str, flags: usize, cumulative: &[(&str, usize)]) -> Revision {
        let text = from_tsv(&atlas(), list).unwrap_or_else(|found| panic!("{found}"));
        let source = Source::parse(&text).unwrap_or_else(|found| panic!("{found}\n{text}"));
        let revision = Revision::first(&source).unwrap();
        assert_eq!(revision.terms().flags.len(), flags);
        for (plan, count) in cumulative {
            let granted = revision
                .entitlements(plan, &[], &Overrides::default())
                .unwrap();
            assert_eq!(granted.flags.len(), *count, "{plan}");
        }
        revision
    }

    #[test]
    fn a_list_of_269_flags_in_three_plans() {
        let plan =
            |n| ["starter", "premium", "ultimate"][usize::from(n > 40) + usize::from(n > 175)];
        let lines: Vec<String> = (0..269)
            .map(|n| format!("{}\tfeature_{n}", plan(n)))
            .collect();
        let list = lines.join("\n");
        let cumulative = [("starter", 41), ("premium", 176), ("ultimate", 269)];
        let revision = check(&list, 269, &cumulative);
        assert_eq!(revision.terms().flags[&268].name.as_str(), "feature_268");
    }

    #[test]
    fn the_list_the_environment_names() {
        let Some(path) = std::env::var_os("PHI_FEATURE_LIST") else {
            return;
        };
        let text = std::fs::read_to_string(path).unwrap();
        let is_row = |line: &&str| !line.starts_with('#') && !line.is_empty();
        let rows: Vec<&str> = text.lines().filter(is_row).collect();
        let plan = rows[rows.len() - 1].split('\t').next().unwrap();
        check(&text, rows.len(), &[(plan, rows.len())]);
    }

    #[test]
    fn titles_comments_and_odd_names_survive() {
        let list = "\u{feff}# list\r\n\r\na\tx.y\tSay \"hi\" \\ ü\r\nb\t 2fa \r\na\tclass\t\n";
        let revision = check(list, 3, &[("a", 2), ("b", 3)]);
        let titles: Vec<&str> = revision
            .terms()
            .flags
            .values()
            .map(|term| term.title.as_str())
            .collect();
        assert_eq!(titles, ["Say \"hi\" \\ ü", "Class", "2fa"]);
    }

    #[test]
    fn bad_lines_are_refused_where_they_are() {
        let list = "a\tx\nonly\na\tX\nb\tx\na\ty\tone\u{7}\na\tp.q\na\tp-q\na b\tz\n";
        let refused = from_tsv(&atlas(), list).unwrap_err();
        let found: Vec<String> = refused
            .iter()
            .map(|d| format!("{} {}", d.position, d.message))
            .collect();
        assert_eq!(
            found,
            [
                "2:1 expected 2 or 3 fields, found 1",
                "3:3 a name must not start with 'X'",
                "4:3 `x` is listed already, on line 1",
                "5:5 a title must be one line of plain text, without '\\u{7}'",
                "7:3 `p-q` and `p.q` (line 6) are the same constant",
                "8:1 a name must not contain ' '",
            ]
        );
    }
}
