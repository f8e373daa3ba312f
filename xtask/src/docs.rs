//! API documentation without warnings, and guides whose links lead somewhere.

use std::path::Path;

use crate::failure::Failure;
use crate::process::{cargo, command, output_of, root, run as run_command};

pub(crate) fn run() -> Result<(), Failure> {
    let mut doc = cargo("doc --workspace --exclude phi-bench --exclude xtask --no-deps --locked");
    run_command(doc.env("RUSTDOCFLAGS", "-D warnings"))?;
    check_links()
}

/// Every relative link in a tracked Markdown file names a file that exists.
fn check_links() -> Result<(), Failure> {
    let listing = output_of(command("git").args(["ls-files", "*.md"]))?;
    let mut checked = 0_usize;
    for page in listing.lines() {
        let path = root().join(page);
        let text = std::fs::read_to_string(&path)
            .map_err(|error| Failure::new(format!("cannot read {page}: {error}")))?;
        let folder = path.parent().unwrap_or(root());
        for link in relative_links(&text) {
            if !leads_somewhere(folder, link) {
                return Err(
                    Failure::new(format!("{page} links to `{link}`, which is not there"))
                        .hint("correct the link, or write the page"),
                );
            }
            checked += 1;
        }
    }
    eprintln!(
        "    {checked} links in {} pages lead somewhere",
        listing.lines().count()
    );
    Ok(())
}

fn leads_somewhere(folder: &Path, link: &str) -> bool {
    let file = link.split('#').next().unwrap_or_default();
    folder.join(file).exists()
}

/// The targets of `[text](target)` outside code, without URLs and same-page anchors.
fn relative_links(markdown: &str) -> Vec<&str> {
    let mut links = Vec::new();
    let mut fenced = false;
    for line in markdown.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        // Odd pieces between backquotes are code.
        for text in line.split('`').step_by(2) {
            links.extend(
                text.split("](")
                    .skip(1)
                    .filter_map(|rest| rest.split(')').next()),
            );
        }
    }
    links.retain(|link| !link.contains("://") && !link.starts_with(['#', '<']));
    links.retain(|link| !link.starts_with("mailto:"));
    links
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_relative_links_outside_code_are_followed() {
        let page = "See [a](docs/a.md#head), [`b`](b.rs) and [c](https://example.com/c.md).\n\
                    Not `[d](d.md)`, nor [e](#below).\n\
                    ```text\n[f](f.md)\n```\n[g](g.md)";
        assert_eq!(relative_links(page), ["docs/a.md#head", "b.rs", "g.md"]);
    }
}
