//! Programs the suites need: found, installed below the build folder, or asked for by name.

use std::path::PathBuf;

use crate::failure::Failure;
use crate::process::{cargo, command, root, run, target_dir, works};

/// The version installed when the developer has none; upgrading it is a reviewed change.
const CARGO_DENY: &str = "cargo-deny@0.20.2";

/// Whether `cargo nextest` is there; without it `cargo test` does the same.
pub(crate) fn has_nextest() -> bool {
    works("cargo-nextest", &["nextest", "--version"])
}

/// cargo-deny: the developer's own, else one installed below the build folder.
pub(crate) fn cargo_deny() -> Result<PathBuf, Failure> {
    if works("cargo-deny", &["--version"]) {
        return Ok("cargo-deny".into());
    }
    let tools = target_dir().join("tools");
    let installed = tools.join("bin/cargo-deny");
    if !works(&installed, &["--version"]) {
        // A debug build takes a third of the time to build and reads this tree in no time.
        let mut install = cargo("install --locked --debug");
        install.arg(CARGO_DENY).arg("--root").arg(&tools);
        install.env("CARGO_TARGET_DIR", tools.join("build"));
        install.env("CARGO_PROFILE_DEV_DEBUG", "0");
        run(&mut install).map_err(|failure| failure.hint("install cargo-deny yourself"))?;
    }
    Ok(installed)
}

/// A Python with the packages of `tests/interop/requirements.txt`.
pub(crate) fn interop_python() -> Result<PathBuf, Failure> {
    if !works("python3", &["-c", "import ensurepip"]) {
        return Err(Failure::new("Python 3 with its venv module is needed")
            .hint("on Debian: apt-get install python3 python3-venv"));
    }
    let environment = target_dir().join("interop/venv");
    let python = environment.join("bin/python");
    if !works(&python, &["--version"]) {
        run(command("python3").args(["-m", "venv"]).arg(&environment))?;
    }
    let mut install = command(&python);
    install.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "-r",
    ]);
    run(install.arg(root().join("tests/interop/requirements.txt")))?;
    Ok(python)
}

/// A `node_modules` folder with the packages of `tests/interop/package.json`.
pub(crate) fn interop_node_modules() -> Result<PathBuf, Failure> {
    const NODE_20: &str = "process.exit(Number(process.versions.node.split('.')[0]) < 20 ? 1 : 0)";
    if !works("node", &["-e", NODE_20]) || !works("npm", &["--version"]) {
        return Err(Failure::new("Node.js 20 or later and npm are needed")
            .hint("install Node.js 20 or later: Debian's nodejs and npm, if new enough"));
    }
    let folder = target_dir().join("interop");
    let manifest = folder.join("package.json");
    std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::copy(root().join("tests/interop/package.json"), &manifest))
        .map_err(|error| Failure::new(format!("cannot write {}: {error}", manifest.display())))?;
    let mut install = command("npm");
    install.args([
        "install",
        "--no-package-lock",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
    ]);
    run(install.arg("--prefix").arg(&folder))?;
    Ok(folder.join("node_modules"))
}

/// The module of SoftHSM, a PKCS#11 token in files.
pub(crate) fn softhsm() -> Result<PathBuf, Failure> {
    const MODULES: [&str; 4] = [
        "/usr/lib/softhsm/libsofthsm2.so",
        "/usr/lib64/softhsm/libsofthsm2.so",
        "/usr/local/lib/softhsm/libsofthsm2.so",
        "/opt/homebrew/lib/softhsm/libsofthsm2.so",
    ];
    let module = MODULES
        .into_iter()
        .map(PathBuf::from)
        .find(|path| path.exists());
    match module {
        Some(module) if works("softhsm2-util", &["--version"]) => Ok(module),
        _ => Err(
            Failure::new("SoftHSM is needed, for keys in PKCS#11 tokens")
                .hint("on Debian: apt-get install softhsm2"),
        ),
    }
}

/// OpenSSL's command, as a program that signs.
pub(crate) fn openssl() -> Result<(), Failure> {
    if works("openssl", &["version"]) {
        return Ok(());
    }
    Err(Failure::new("openssl 3 is needed, as a program that signs")
        .hint("on Debian: apt-get install openssl"))
}

/// A C++ compiler, which builds libFuzzer.
pub(crate) fn cxx() -> Result<(), Failure> {
    if works("c++", &["--version"]) {
        return Ok(());
    }
    Err(Failure::new("a C++ compiler is needed to build libFuzzer")
        .hint("on Debian: apt-get install g++"))
}
