//! Writes what is made from the snakeoil issuer: the test vectors, the demo files and the worked
//! examples of the specification. With `--check` it writes nothing and fails if a file differs.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use phi_tests::{demo, spec, vectors};

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let check = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--check"] => true,
        _ => {
            eprintln!("usage: vectors [--check]");
            return ExitCode::from(2);
        }
    };
    match run(check) {
        Ok(differing) if differing.is_empty() => ExitCode::SUCCESS,
        Ok(differing) if check => {
            for path in &differing {
                eprintln!("differs: {}", path.display());
            }
            eprintln!("run \"cargo xtask vectors\" and look at what changed");
            ExitCode::FAILURE
        }
        Ok(written) => {
            println!("{} files changed", written.len());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("vectors: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The files that are not as they should be; unless this is a check, they are then made so.
fn run(check: bool) -> io::Result<Vec<PathBuf>> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut differing = Vec::new();
    for (path, bytes) in made(&repository)? {
        if fs::read(&path).ok().as_ref() == Some(&bytes) {
            continue;
        }
        if !check {
            fs::create_dir_all(path.parent().unwrap_or(&repository))?;
            fs::write(&path, bytes)?;
        }
        differing.push(path);
    }
    for path in extra(&repository)? {
        if !check {
            fs::remove_file(&path)?;
        }
        differing.push(path);
    }
    Ok(differing)
}

/// Every file that is made here, with its bytes.
fn made(repository: &Path) -> io::Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for (path, text) in vectors::all().files() {
        files.insert(vectors_folder(repository).join(path), text.into_bytes());
    }
    for (name, bytes) in demo::files() {
        files.insert(repository.join("keys/demo").join(name), bytes);
    }
    for page in ["docs/spec.md", "docs/ledger.md"] {
        let path = repository.join(page);
        let text = spec::with_examples(&fs::read_to_string(&path)?).map_err(io::Error::other)?;
        files.insert(path, text.into_bytes());
    }
    Ok(files)
}

fn vectors_folder(repository: &Path) -> PathBuf {
    repository.join("tests/vectors")
}

/// Vectors that are no longer made.
fn extra(repository: &Path) -> io::Result<Vec<PathBuf>> {
    let known = vectors::all().files();
    let folder = vectors_folder(repository);
    let mut extra = Vec::new();
    for area in fs::read_dir(&folder)? {
        let area = area?.path();
        if !area.is_dir() {
            continue;
        }
        for file in fs::read_dir(&area)? {
            let path = file?.path();
            let name = path.strip_prefix(&folder).map_err(io::Error::other)?;
            let name = name
                .to_string_lossy()
                .replace(std::path::MAIN_SEPARATOR, "/");
            if !known.contains_key(&name) {
                extra.push(path);
            }
        }
    }
    Ok(extra)
}
