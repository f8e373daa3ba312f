//! Builds and runs the fuzz targets of phi-verify: libFuzzer, on the stable compiler.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::failure::Failure;
use crate::process::{cargo, command, output_of, root, run as run_command, target_dir};
use crate::tools;

/// What `cargo fuzz --sanitizer none` passes: coverage counters that libFuzzer reads. The
/// code has no `unsafe`, so an address sanitizer, which needs a nightly compiler, finds
/// nothing more. Overflow checks are on because a wrong sum is a bug here.
const RUSTFLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Ccodegen-units=1 -Cdebug-assertions -Coverflow-checks";

/// No object takes a second to judge; an input that does is a denial of service.
const TIMEOUT_SECONDS: u32 = 5;

/// Ten times what the largest object needs, so a length taken at its word is found.
const MEMORY_MIB: u32 = 512;

/// Runs one target, or all, for `seconds` each.
pub(crate) fn run(seconds: u32, target: Option<&str>) -> Result<(), Failure> {
    tools::cxx()?;
    let host = host_triple()?;
    let known = targets()?;
    let chosen: Vec<&String> = known
        .iter()
        .filter(|name| target.is_none_or(|wanted| *name == wanted))
        .collect();
    if chosen.is_empty() {
        return Err(Failure::new(format!(
            "no such fuzz target; there are {}",
            known.join(", ")
        )));
    }
    let build = target_dir().join("fuzz");
    build_targets(&host, &build)?;
    for name in chosen {
        fuzz(name, seconds, &build.join(&host).join("release").join(name))?;
    }
    Ok(())
}

fn build_targets(host: &str, build: &Path) -> Result<(), Failure> {
    // Naming the target keeps the flags away from build scripts, which libFuzzer is not in.
    let mut cargo = cargo("build --release --locked --manifest-path phi-verify/fuzz/Cargo.toml");
    cargo
        .args(["--target", host])
        .env("RUSTFLAGS", RUSTFLAGS)
        .env("CARGO_TARGET_DIR", build);
    run_command(&mut cargo)
}

/// Runs one target from its seeds; new inputs are kept below the build folder, not committed.
fn fuzz(name: &str, seconds: u32, binary: &Path) -> Result<(), Failure> {
    let scratch = target_dir().join("fuzz/run").join(name);
    let found = scratch.join("corpus");
    let log = scratch.join("log");
    let create = |error| Failure::new(format!("cannot write {}: {error}", scratch.display()));
    std::fs::create_dir_all(&found).map_err(create)?;
    let output = std::fs::File::create(&log).map_err(create)?;
    let status = command(binary)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-timeout={TIMEOUT_SECONDS}"))
        .arg(format!("-rss_limit_mb={MEMORY_MIB}"))
        .arg(format!("-artifact_prefix={}/", scratch.display()))
        .arg("-print_final_stats=1")
        .arg(&found)
        .arg(root().join("phi-verify/fuzz/corpus").join(name))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(output)
        .status()
        .map_err(|error| Failure::new(format!("cannot start {}: {error}", binary.display())))?;
    let text = String::from_utf8_lossy(&std::fs::read(&log).map_err(create)?).into_owned();
    if status.success() {
        eprintln!("    {}", summary(name, &text));
        return Ok(());
    }
    let tail: Vec<&str> = text.lines().rev().take(30).collect();
    for line in tail.iter().rev() {
        eprintln!("    {line}");
    }
    Err(
        Failure::new(format!("fuzz target `{name}` ended with {status}")).hint(format!(
            "the input is in {}, the whole log beside it",
            scratch.display()
        )),
    )
}

/// One line from libFuzzer's log: how much was run and how much code was reached.
fn summary(name: &str, log: &str) -> String {
    let statistic = |key: &str| {
        let line = log.lines().find_map(|line| line.strip_prefix(key));
        line.map_or("?", str::trim).to_owned()
    };
    let coverage = |line: &str| {
        let rest = line.split_once("cov: ")?.1;
        Some(rest.split_whitespace().next()?.to_owned())
    };
    let mut coverages = log.lines().filter_map(coverage);
    let first = coverages.next().unwrap_or_default();
    let last = coverages.next_back().unwrap_or_else(|| first.clone());
    format!(
        "{name}: {} inputs, {} a second, coverage {first} -> {last}",
        statistic("stat::number_of_executed_units:"),
        statistic("stat::average_exec_per_sec:"),
    )
}

/// The targets are the files of the folder, so none can be forgotten here.
fn targets() -> Result<Vec<String>, Failure> {
    let folder = root().join("phi-verify/fuzz/targets");
    let entries = std::fs::read_dir(&folder)
        .map_err(|error| Failure::new(format!("cannot read {}: {error}", folder.display())))?;
    let paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    let rust = paths
        .iter()
        .filter(|path| path.extension().is_some_and(|name| name == "rs"));
    let mut names: Vec<String> = rust
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}

fn host_triple() -> Result<String, Failure> {
    let version = output_of(command("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .ok_or_else(|| Failure::new("`rustc -vV` names no host"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_reads_libfuzzers_log() {
        let log = "#2\tINITED cov: 7 ft: 7 corp: 1/1b\n#90\tNEW    cov: 41 ft: 50 corp: 9/80b\n\
                   stat::number_of_executed_units: 1000\nstat::average_exec_per_sec:     200\n";
        let expected = "token: 1000 inputs, 200 a second, coverage 7 -> 41";
        assert_eq!(summary("token", log), expected);
    }
}
