//! Pages whose commands name what earlier commands made.
//!
//! A page is written as if ids were not random: those in it stand for the ones of the run, line
//! by line in the order in which they are printed. `> FILE` keeps what a command prints, and
//! `[..]` stands for any text of a line. `TRYCMD=overwrite` writes the page as it is now.

use std::env;
use std::fs::{self, File};
use std::io::{Read as _, pipe};
use std::path::Path;
use std::process::Command;

use crate::run::{Folder, phi, repository};

#[test]
fn pages_about_licenses_are_true() {
    check_all("licenses");
}

#[test]
fn pages_about_audits_are_true() {
    check_all("audits");
}

#[test]
fn pages_about_roots_are_true() {
    check_all("root");
}

#[test]
fn the_guide_to_ceremonies_is_true() {
    check(&repository().join("docs/guides/ceremony.md"));
}

#[test]
fn the_guide_to_rotation_is_true() {
    check(&repository().join("docs/guides/rotation.md"));
}

#[test]
fn the_guide_to_audits_is_true() {
    check(&repository().join("docs/guides/audit.md"));
}

#[test]
fn pages_about_the_ledger_are_true() {
    check_all("ledger");
}

#[test]
fn pages_about_bundles_are_true() {
    check_all("bundles");
}

#[test]
fn pages_about_clocks_are_true() {
    check_all("clocks");
}

#[test]
fn pages_about_revocations_are_true() {
    check_all("revocations");
}

#[test]
fn the_guide_to_revocation_is_true() {
    check(&repository().join("docs/guides/revocation.md"));
}

/// Checks every page of a folder.
#[track_caller]
fn check_all(folder: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cmd")
        .join(folder);
    let mut pages = 0;
    for entry in fs::read_dir(folder).unwrap() {
        check(&entry.unwrap().path());
        pages += 1;
    }
    assert!(pages > 0);
}

#[test]
fn the_guide_to_licenses_is_true() {
    check(&repository().join("docs/guides/licenses.md"));
}

/// Runs the commands of a page in a folder with an issuer, its catalog and two customers.
#[track_caller]
fn check(path: &Path) {
    let folder = Folder::new();
    folder.ok("init --issuer acme.example --product atlas --kdf fast");
    folder.ok("catalog publish");
    folder.ok("customer add globex --name Globex");
    folder.ok("customer add initech --name Initech");
    let page = fs::read_to_string(path).unwrap();
    let found = run(&page, &folder);
    if found == page {
        return;
    }
    if env::var_os("TRYCMD").is_some_and(|value| value == "overwrite") {
        fs::write(path, found).unwrap();
        return;
    }
    let differing = page.lines().zip(found.lines());
    let differing = differing.filter(|(stated, found)| stated != found);
    let first = differing.map(|(stated, found)| format!("- {stated}\n+ {found}"));
    let lines: Vec<_> = first.take(20).collect();
    panic!(
        "{} is not true any more:\n{}",
        path.display(),
        lines.join("\n")
    );
}

/// The page as the commands print it.
fn run(page: &str, folder: &Folder) -> String {
    let mut ids = Ids {
        free: words(page).map(str::to_owned).collect(),
        pairs: Vec::new(),
    };
    let mut text = String::new();
    let mut lines = page.lines().peekable();
    let mut console = false;
    while let Some(line) = lines.next() {
        text.push_str(line);
        text.push('\n');
        if line.starts_with("```") {
            console = line == "```console";
        }
        if !console || !line.starts_with("$ ") {
            continue;
        }
        let mut typed = line[2..].to_owned();
        while typed.ends_with('\\') {
            let more = lines.next().unwrap();
            text.push_str(more);
            text.push('\n');
            typed.truncate(typed.len() - 1);
            typed.push_str(more);
        }
        let mut stated = Vec::new();
        while let Some(line) = lines.next_if(|line| *line != "```" && !line.starts_with("$ ")) {
            stated.push(line);
        }
        let blank = stated.iter().rev().take_while(|line| line.is_empty());
        let blank = blank.count();
        stated.truncate(stated.len() - blank);
        for line in answer(&typed, &stated, &mut ids, folder) {
            text.push_str(&line);
            text.push('\n');
        }
        text.push_str(&"\n".repeat(blank));
    }
    text
}

/// What the command prints, in the page's words.
fn answer(typed: &str, stated: &[&str], ids: &mut Ids, folder: &Folder) -> Vec<String> {
    let mut arguments = split(&ids.translated(typed, Way::ToRun));
    assert_eq!(arguments.remove(0), "phi", "{typed}");
    let mut command = Command::new(phi());
    command.current_dir(folder.path("")).env("USER", "alice");
    let (mut reader, writer) = pipe().unwrap();
    command.stderr(writer.try_clone().unwrap());
    command.stdout(writer);
    if let Some(at) = arguments.iter().position(|argument| argument == ">") {
        command.stdout(File::create(folder.path(&arguments[at + 1])).unwrap());
        arguments.truncate(at);
    }
    let mut child = command.args(&arguments).spawn().unwrap();
    // It holds ends of the pipe, which is only at its end when all of them are closed.
    drop(command);
    let mut printed = String::new();
    reader.read_to_string(&mut printed).unwrap();
    let code = child.wait().unwrap().code().unwrap();
    let code = (code != 0).then(|| format!("? {code}"));
    let found = code.iter().map(String::as_str).chain(printed.lines());
    let found = found.enumerate().map(|(at, line)| {
        let stated = stated.get(at).copied().unwrap_or_default();
        let found = ids.page_line(stated, line.trim_end());
        if matches(stated, &found) {
            stated.to_owned()
        } else if found.starts_with("v4.public.") {
            "v4.public.[..]".to_owned()
        } else {
            found
        }
    });
    found.collect()
}

/// Ids of the page, and the ids of the run for which they stand.
struct Ids {
    /// Ids of the page in their order, for those that have no line yet.
    free: Vec<String>,
    pairs: Vec<(String, String)>,
}

#[derive(Clone, Copy)]
enum Way {
    ToPage,
    ToRun,
}

impl Ids {
    /// A line of the run as the page would have it.
    fn page_line(&mut self, stated: &str, found: &str) -> String {
        let mut candidates = words(stated);
        for id in words(found) {
            let at_its_place = candidates.next();
            if zero(id) || self.pairs.iter().any(|pair| pair.1 == id) {
                continue;
            }
            let known = |page: &str| self.pairs.iter().any(|pair| pair.0 == page);
            let fits = |page: &&str| page.len() == id.len() && !known(page) && !zero(page);
            let page = at_its_place.filter(fits).map(str::to_owned);
            let free = self.free.iter().find(|page| fits(&page.as_str())).cloned();
            let page = page.or(free).unwrap_or_else(|| id.to_owned());
            self.pairs.push((page, id.to_owned()));
        }
        self.translated(found, Way::ToPage)
    }

    fn translated(&self, text: &str, way: Way) -> String {
        let mut text = text.to_owned();
        for (page, run) in &self.pairs {
            text = match way {
                Way::ToPage => text.replace(run, page),
                Way::ToRun => text.replace(page, run),
            };
        }
        text
    }
}

fn zero(id: &str) -> bool {
    id.bytes().all(|byte| byte == b'0')
}

/// The ids of licenses, tokens and keys in a text, and its hashes.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let hexadecimal = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    // A word of twelve letters may be one of English.
    let chosen = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_uppercase();
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'))
        .filter(move |word| match word.len() {
            12 => word.bytes().any(chosen),
            16 | 32 | 64 => word.bytes().all(hexadecimal),
            _ => false,
        })
}

/// Whether a line is as stated, where `[..]` is any text.
fn matches(stated: &str, found: &str) -> bool {
    let mut parts = stated.split("[..]");
    let Some(mut rest) = parts.next().and_then(|first| found.strip_prefix(first)) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        let at = if parts.peek().is_none() {
            rest.ends_with(part).then(|| rest.len() - part.len())
        } else {
            rest.find(part)
        };
        let Some(at) = at else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

/// The words of a command, of which those in double quotes hold blanks.
fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}
