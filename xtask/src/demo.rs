//! The whole life of a license in a scratch folder: real commands, and what they really print.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;
use crate::process::{cargo, run as run_command, target_dir};

/// A token of a large product must still fit a line of mail, a ticket and a QR code.
const MAX_TOKEN: usize = 400;

/// Tells the story. `features` is a list of plan and feature in each line; without one a list
/// of the size of a real self-managed product is made up.
pub(crate) fn run(features: Option<&Path>) -> Result<(), Failure> {
    let features = match features {
        Some(path) => read(path)?,
        None => made_up_features(),
    };
    run_command(&mut cargo("build --package phi-issuer --bin phi --locked"))?;
    let demo = Demo::new()?;
    let outcome = demo.tell(&features);
    if outcome.is_ok() {
        fs::remove_dir_all(&demo.folder).map_err(|error| broken("remove the folder", &error))?;
    }
    outcome
}

/// 269 features in three plans, each of which holds the one before.
fn made_up_features() -> String {
    let plans = [("starter", 88), ("premium", 112), ("ultimate", 69)];
    let feature =
        |(plan, count)| (1..=count).map(move |number| format!("{plan}\t{plan}_feature_{number}\n"));
    plans.into_iter().flat_map(feature).collect()
}

/// What the vendor writes below the imported features.
const METERED: &str = r#"
[quotas]
api_calls = { title = "API calls", period = "month", unit = "calls" }
build_minutes = { title = "Build minutes", period = "month", unit = "minutes" }
storage_gb = { title = "Storage", period = "lifetime", unit = "GB" }
exports = { title = "Exports", period = "day", unit = "exports" }

[limits]
seats = { title = "People at once", unit = "seats" }
runners = { title = "Runners at once", unit = "runners" }

[plans.ultimate.quotas]
api_calls = 1_000_000
build_minutes = 50_000
storage_gb = 500
exports = 100

[plans.ultimate.limits]
seats = 250
runners = 40
"#;

struct Demo {
    phi: PathBuf,
    folder: PathBuf,
}

impl Demo {
    fn new() -> Result<Self, Failure> {
        let folder = std::env::temp_dir().join(format!("phi-demo-{}", std::process::id()));
        fs::create_dir(&folder).map_err(|error| broken("make a scratch folder", &error))?;
        let phi = target_dir()
            .join("debug")
            .join(format!("phi{}", std::env::consts::EXE_SUFFIX));
        Ok(Self { phi, folder })
    }

    fn tell(&self, features: &str) -> Result<(), Failure> {
        say("1. The vendor begins: keys of every role, a ledger, the first trust documents.");
        self.write("passphrase.txt", "correct horse battery staple\n")?;
        self.write("features.tsv", features)?;
        self.phi("init --issuer acme.example --product gitforge --kdf fast")?;

        say("2. The product is described once. Here the flags come from a feature list.");
        fs::remove_file(self.folder.join("catalog.toml"))
            .map_err(|error| broken("replace catalog.toml", &error))?;
        self.phi("catalog import features.tsv --product gitforge --out catalog.toml")?;
        let catalog = self.folder.join("catalog.toml");
        self.write("catalog.toml", &(read(&catalog)? + METERED))?;
        note("(quotas and concurrency limits are added to catalog.toml by hand)");
        self.phi("catalog check")?;
        self.phi("catalog publish")?;

        say("3. A customer's machine says what it is, and the vendor licenses it.");
        let machine = "--component site=plant-7 --component rack=b4 --component board=91c3 \
                       --component host=forge-1";
        let request = self.phi(&format!("fingerprint --product gitforge {machine}"))?;
        let request = word(&request, |word| word.starts_with("phi.fingerprint."))?;
        self.write("machine.txt", &request)?;
        note("(the customer sends that line; here it is kept in machine.txt)");
        self.phi("customer add globex-corp --name Globex")?;
        let issued = self.phi(
            "license issue --customer globex-corp --plan ultimate --expires +1y --grace 14d",
        )?;
        let license = word(&issued, |word| word.len() == 16 && is_hex(word))?;

        say("4. A token is minted: recorded first, verified, and only then printed.");
        let first = self.mint(&license, "old.license")?;
        self.carry()?;
        println!("The token has {} characters.", first.len());
        if first.len() > MAX_TOKEN {
            return Err(Failure::new(format!(
                "a token has more than {MAX_TOKEN} characters"
            )));
        }

        say("5. The customer's application checks it, with no network.");
        let verify = |file: &str| format!("verify {file} --trust customer {machine}");
        self.phi(&verify("old.license"))?;

        say("6. The security team rotates the signing key. Both licenses verify.");
        self.phi("key rotate")?;
        self.phi("keyset publish")?;
        self.phi("key list")?;
        self.mint(&license, "new.license")?;
        self.carry()?;
        self.phi(&verify("old.license"))?;
        self.phi(&verify("new.license"))?;

        say("7. The customer does not pay: the license is revoked and the list published.");
        self.phi(&format!("revoke license {license} --reason nonpayment"))?;
        self.phi("status publish")?;
        note("(until the new list arrives, the customer's copy knows nothing of it)");
        self.carry()?;
        let refused = self.refused(&verify("new.license"))?;
        if refused != EXIT_REVOKED {
            return Err(Failure::new(format!(
                "verify ended with {refused}, not {EXIT_REVOKED}"
            )));
        }
        println!("\nThat is the whole life of a license.");
        Ok(())
    }

    /// What a USB stick does: the published documents reach the customer.
    fn carry(&self) -> Result<(), Failure> {
        let (from, to) = (self.folder.join("published"), self.folder.join("customer"));
        let copied = fs::create_dir_all(&to).and_then(|()| {
            fs::read_dir(from)?.try_for_each(|entry| {
                let entry = entry?;
                fs::copy(entry.path(), to.join(entry.file_name())).map(drop)
            })
        });
        note("(published/ is carried over to the customer: customer/)");
        copied.map_err(|error| broken("copy the published documents", &error))
    }

    fn mint(&self, license: &str, file: &str) -> Result<String, Failure> {
        let command = format!("mint {license} --fingerprint machine.txt --match 3");
        let token = word(&self.phi(&command)?, |word| word.starts_with("v4.public."))?;
        self.write(file, &token)?;
        note(&format!("(kept in {file})"));
        Ok(token)
    }

    /// Runs a command that must succeed, and returns what it printed.
    fn phi(&self, arguments: &str) -> Result<String, Failure> {
        let (status, printed) = self.show(arguments)?;
        if status == 0 {
            return Ok(printed);
        }
        let kept = self.folder.display();
        Err(Failure::new(format!("phi ended with exit code {status}"))
            .hint(format!("the scratch folder is kept: {kept}")))
    }

    /// Runs a command that must be refused, and returns its exit code.
    fn refused(&self, arguments: &str) -> Result<i32, Failure> {
        let (status, _) = self.show(arguments)?;
        println!("(exit code {status})");
        Ok(status)
    }

    fn show(&self, arguments: &str) -> Result<(i32, String), Failure> {
        let words: Vec<&str> = arguments.split_whitespace().collect();
        println!("\n$ phi {}", words.join(" "));
        let output = Command::new(&self.phi)
            .current_dir(&self.folder)
            .args(["--passphrase-file", "passphrase.txt"])
            .args(&words)
            .output()
            .map_err(|error| broken("start phi", &error))?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        print!("{printed}{}", String::from_utf8_lossy(&output.stderr));
        Ok((output.status.code().unwrap_or(-1), printed))
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Failure> {
        fs::write(self.folder.join(name), text).map_err(|error| broken("write a file", &error))
    }
}

/// `phi`'s exit code for a revoked license.
const EXIT_REVOKED: i32 = 11;

fn say(line: &str) {
    println!("\n{line}");
}

fn note(line: &str) {
    println!("{line}");
}

fn is_hex(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The first word of what was printed that is of this kind.
fn word(printed: &str, kind: impl Fn(&str) -> bool) -> Result<String, Failure> {
    let found = printed.split_whitespace().find(|word| kind(word));
    found
        .map(str::to_owned)
        .ok_or_else(|| Failure::new("phi printed something else"))
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| broken(&path.display().to_string(), &error))
}

fn broken(what: &str, error: &std::io::Error) -> Failure {
    Failure::new(format!("cannot go on: {what}: {error}"))
}
