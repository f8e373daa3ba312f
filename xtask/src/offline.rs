//! phi-verify where there is no network: its tests and examples in a network namespace without any
//! interface but a loopback that is down.

use std::path::PathBuf;

use crate::failure::Failure;
use crate::process::{cargo, command, output_of, run, target_dir, works};

/// The programs of an embedder, with what they are given.
const EXAMPLES: [(&str, &[&str]); 2] = [
    ("startup", &["keys/demo/license.txt"]),
    ("remember", &["keys/demo/license.txt"]),
];

/// Builds phi-verify's tests and examples with the network that Cargo may need, and runs them
/// without.
pub(crate) fn check() -> Result<(), Failure> {
    let unshare = unshare()?;
    let without = |program: &str| {
        let mut command = command("unshare");
        command.args([unshare, "--", program]);
        command
    };
    // That there is none, or the rest shows nothing: a route needs an interface.
    let routes = output_of(without("cat").arg("/proc/net/route"))?;
    if routes.lines().count() > 1 {
        let problem = "the namespace made by `unshare` has a network";
        return Err(Failure::new(problem));
    }
    for test in tests()? {
        run(without("env").arg(test).arg("--quiet"))?;
    }
    run(&mut cargo("build --package phi-verify --examples --locked"))?;
    let folder = target_dir().join("offline-state");
    for (example, arguments) in EXAMPLES {
        let program = target_dir().join("debug/examples").join(example);
        let mut command = without("env");
        command.arg(program).args(arguments);
        if example == "remember" {
            command.arg(&folder);
        }
        run(&mut command)?;
    }
    Ok(())
}

/// The option that makes a network namespace here: root makes one as it is, others need a user
/// namespace around it.
fn unshare() -> Result<&'static str, Failure> {
    ["-n", "-rn"]
        .into_iter()
        .find(|option| works("unshare", &[option, "true"]))
        .ok_or_else(|| {
            Failure::new(
                "network namespaces are not allowed here: run as root, or set \
                 kernel.unprivileged_userns_clone=1 (in a container: --cap-add SYS_ADMIN)",
            )
        })
}

/// Builds the tests of phi-verify and says where they are.
fn tests() -> Result<Vec<PathBuf>, Failure> {
    let built = output_of(&mut cargo(
        "test --package phi-verify --all-features --lib --tests --no-run --locked \
         --message-format json",
    ))?;
    // One message a line; only those of test programs have a path here.
    let paths = built.lines().filter_map(|line| {
        let (_, rest) = line.split_once("\"executable\":\"")?;
        Some(PathBuf::from(rest.split_once('"')?.0))
    });
    let paths: Vec<_> = paths.collect();
    if paths.is_empty() {
        return Err(Failure::new("Cargo named no test of phi-verify"));
    }
    Ok(paths)
}
