//! phi-verify's dependencies: each one listed with its reason, none able to open a socket.

use std::collections::{BTreeMap, BTreeSet};

use crate::failure::Failure;
use crate::process::{cargo, output_of, root};

const LIST: &str = "phi-verify/dependencies.txt";

/// Crates that open sockets, or wrap the system calls that do. None may be listed, whatever
/// reason is given. `libc` is not among them: it declares every system call and makes none;
/// it may stand in the list for what needs it.
const NETWORK: &[&str] = &[
    "async-io",
    "async-std",
    "attohttpc",
    "curl",
    "curl-sys",
    "h2",
    "hyper",
    "isahc",
    "mio",
    "native-tls",
    "nix",
    "openssl",
    "openssl-sys",
    "polling",
    "quinn",
    "reqwest",
    "rustix",
    "rustls",
    "smol",
    "socket2",
    "tokio",
    "tonic",
    "tungstenite",
    "ureq",
    "windows-sys",
    "winapi",
];

/// Compares the whole normal tree, on every platform and with every feature, with the list.
pub(crate) fn check() -> Result<(), Failure> {
    let mut tree = cargo("tree --package phi-verify --edges normal --prefix none --locked");
    tree.args(["--target", "all", "--all-features", "--format", "{p}"]);
    let actual = package_names(&output_of(&mut tree)?);
    let path = root().join(LIST);
    let list = std::fs::read_to_string(&path)
        .map_err(|error| Failure::new(format!("cannot read {LIST}: {error}")))?;
    let listed = parse_list(&list).map_err(Failure::new)?;
    compare(&actual, &listed).map_err(Failure::new)?;
    eprintln!(
        "    {} dependencies, each listed, none that opens a socket",
        actual.len()
    );
    Ok(())
}

fn package_names(tree: &str) -> BTreeSet<String> {
    let names = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    names
        .filter(|name| *name != "phi-verify")
        .map(str::to_owned)
        .collect()
}

/// Lines of `name: reason`; `#` starts a comment.
fn parse_list(list: &str) -> Result<BTreeMap<&str, &str>, String> {
    let mut reasons = BTreeMap::new();
    let lines = list.lines().map(str::trim);
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let Some((name, reason)) = line.split_once(": ") else {
            return Err(format!("{LIST}: `{line}` gives no reason"));
        };
        if reasons.insert(name, reason).is_some() {
            return Err(format!("{LIST}: `{name}` is listed twice"));
        }
    }
    Ok(reasons)
}

fn compare(actual: &BTreeSet<String>, listed: &BTreeMap<&str, &str>) -> Result<(), String> {
    let opens_sockets = |name: &&String| NETWORK.contains(&name.as_str());
    if let Some(name) = actual.iter().find(opens_sockets) {
        return Err(format!(
            "phi-verify depends on `{name}`, which can open a socket"
        ));
    }
    if let Some(name) = actual
        .iter()
        .find(|name| !listed.contains_key(name.as_str()))
    {
        return Err(format!(
            "phi-verify depends on `{name}`, which {LIST} does not list"
        ));
    }
    if let Some(name) = listed.keys().find(|name| !actual.contains(**name)) {
        return Err(format!(
            "{LIST} lists `{name}`, which phi-verify no longer depends on"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(tree: &str, list: &str, expected: Result<(), &str>) {
        let outcome = parse_list(list).and_then(|listed| compare(&package_names(tree), &listed));
        assert_eq!(outcome, expected.map_err(str::to_owned));
    }

    const TREE: &str = "phi-verify v0.1.0 (/src/phi-verify)\nhalf v2.7.1\nhalf v2.7.1 (*)\n";

    #[test]
    fn a_tree_as_listed_passes() {
        check(TREE, "# head\n\nhalf: CBOR floats\n", Ok(()));
    }

    #[test]
    fn an_unlisted_crate_fails() {
        let expected =
            "phi-verify depends on `half`, which phi-verify/dependencies.txt does not list";
        check(TREE, "", Err(expected));
    }

    #[test]
    fn a_listed_crate_that_left_fails() {
        let list = "half: CBOR floats\nserde: nothing\n";
        let expected =
            "phi-verify/dependencies.txt lists `serde`, which phi-verify no longer depends on";
        check(TREE, list, Err(expected));
    }

    #[test]
    fn a_network_crate_fails_though_listed() {
        let expected = "phi-verify depends on `tokio`, which can open a socket";
        check("tokio v1.0.0", "tokio: a good reason", Err(expected));
    }

    #[test]
    fn an_entry_states_its_reason_once() {
        check(
            TREE,
            "half",
            Err("phi-verify/dependencies.txt: `half` gives no reason"),
        );
        let twice = "half: a\nhalf: b\n";
        check(
            TREE,
            twice,
            Err("phi-verify/dependencies.txt: `half` is listed twice"),
        );
    }
}
