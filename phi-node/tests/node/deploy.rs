//! The files that nodes are deployed with: the settings in them are settings, the options options.

use std::{fs, path::PathBuf, process::Command};

use crate::{
    issuer::{LICENSE, bundle, claims},
    process::Home,
};

fn deployed(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    fs::read_to_string(folder.join(name)).unwrap()
}

/// Settings are read before anything that they name: a name that is not known is refused first.
#[track_caller]
fn has_settings(home: &Home, settings: &str) {
    fs::write(home.path("node.toml"), settings).unwrap();
    let output = home.run(&["--json", "run", "--config", "node.toml"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains("\"file-failed\""),
        "the anchor is not there: {said}"
    );
    assert!(said.contains("root-1.phi"), "{said}");
}

#[test]
fn settings_that_are_deployed_are_settings() {
    let home = Home::new(&bundle(&[claims(LICENSE, 1, 1)]));
    has_settings(&home, &deployed("node.toml"));
    let manifest = deployed("kubernetes.yaml");
    let settings = manifest.split("node.toml: |\n").nth(1).unwrap();
    let settings: Vec<_> = settings
        .lines()
        .take_while(|line| line.starts_with("    "))
        .collect();
    assert!(settings.len() > 5);
    has_settings(&home, &settings.join("\n").replace("    ", ""));
}

#[test]
fn options_that_are_deployed_are_options() {
    let home = Home::new(&bundle(&[]));
    let help = home.run(&["run", "--help"]).stdout;
    let help = String::from_utf8(help).unwrap();
    for name in ["phi-node.service", "Containerfile", "kubernetes.yaml"] {
        let text = deployed(name);
        let lines = text
            .lines()
            .filter(|line| line.contains("\"run\"") || line.contains(" run "));
        let lines: Vec<_> = lines.collect();
        assert!(!lines.is_empty(), "{name} starts a node");
        let words = lines
            .iter()
            .flat_map(|line| line.split([' ', '"', ',', ']']));
        for option in words.filter(|word| word.starts_with("--") && word.len() > 2) {
            assert!(help.contains(option), "{name}: {option}");
        }
    }
}

/// Where systemd is, it says what it would make of the unit.
#[test]
fn the_unit_is_one() {
    let unit = deployed("phi-node.service");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("phi-node.service");
    // The program and its manual are not installed here; everything else is looked at.
    let unit = unit.replace("/usr/local/bin/phi-node", "/bin/true");
    fs::write(&path, unit.replace("Documentation=man:phi-node(1)\n", "")).unwrap();
    let Ok(output) = Command::new("systemd-analyze")
        .arg("verify")
        .arg(&path)
        .output()
    else {
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    let about = said.lines();
    let about: Vec<_> = about
        .filter(|line| line.contains("phi-node.service"))
        .collect();
    assert!(about.is_empty(), "{about:?}");
}
