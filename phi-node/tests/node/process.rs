//! A node that runs as a process, in a folder of its own.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use phi_tests::snakeoil;
use serde_json::Value;
use tempfile::TempDir;

use crate::api::{Answer, Api};

/// Longer than anything here takes; only a test that fails waits for it.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// What a node has around it: its anchor, its bundle, its store.
pub(crate) struct Home {
    folder: TempDir,
}

impl Home {
    /// With this bundle in the folder that is watched.
    pub(crate) fn new(bundle: &[u8]) -> Self {
        let home = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        fs::write(home.path("root-1.phi"), snakeoil::anchor()).unwrap();
        fs::create_dir(home.path("watched")).unwrap();
        fs::write(home.path("watched/acme.bundle"), bundle).unwrap();
        home
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts a node with these options beside the usual ones.
    pub(crate) fn start(&self, options: &[&str]) -> Node {
        self.start_on("sqlite:usage.db", options)
    }

    pub(crate) fn start_on(&self, store: &str, options: &[&str]) -> Node {
        let mut command = phi_node(self.folder.path());
        command.args(["run", "--json", "--store", store, "--anchor", "root-1.phi"]);
        command.args(["--bundle", "watched", "--revocation", "lenient"]);
        command.args(["--listen", "127.0.0.1:0", "--dangerous-on-any-disk"]);
        command.args(options);
        // What it logs is not read as it comes, and may not make it wait.
        let log = self.path("node.log");
        let log = fs::File::create(&log).unwrap();
        command.stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        let stdout = child.stdout.as_mut().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let greeting: Value = serde_json::from_str(&line).unwrap_or_else(|_| {
            let said = fs::read_to_string(self.path("node.log")).unwrap();
            panic!("the node did not start: {said}")
        });
        let url = greeting["url"].as_str().unwrap();
        let address: SocketAddr = url.rsplit('/').next().unwrap().parse().unwrap();
        Node {
            child,
            api: Api::new(address),
        }
    }

    /// Runs the command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let mut command = phi_node(self.folder.path());
        command.args(arguments).output().unwrap()
    }

    /// Adds a client; its key.
    pub(crate) fn add_client(&self, name: &str, options: &[&str]) -> String {
        let mut arguments = vec!["client", "add", name];
        arguments.extend(options);
        let output = self.run(&arguments);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().into()
    }

    /// What the store of a node that has stopped says was charged to the calls.
    pub(crate) fn charged(&self) -> u64 {
        let store = ["--store", "sqlite:usage.db", "--dangerous-on-any-disk"];
        let output = self.run(&[&["usage", "--json"], &store[..]].concat());
        assert!(output.status.success(), "{output:?}");
        let usage: Value = serde_json::from_slice(&output.stdout).unwrap();
        let quotas = usage["quotas"].as_array().unwrap().iter();
        let calls = quotas.filter(|used| used["quota"] == "0");
        calls.map(|used| used["charged"].as_u64().unwrap()).sum()
    }
}

fn phi_node(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_phi-node"));
    command.current_dir(folder).env_remove("RUST_LOG");
    command
}

/// A node that runs. Dropped, it is killed.
pub(crate) struct Node {
    child: Child,
    pub(crate) api: Api,
}

impl Node {
    /// SIGTERM.
    pub(crate) fn tell_to_stop(&self) {
        self.signal(rustix::process::Signal::TERM);
    }

    /// SIGHUP.
    pub(crate) fn tell_to_read_again(&self) {
        self.signal(rustix::process::Signal::HUP);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, signal).unwrap();
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end; its exit code.
    pub(crate) fn ended(mut self) -> Option<i32> {
        let until = Instant::now() + LONG;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("the node does not end");
    }

    /// Stops it as an operator does.
    pub(crate) fn stop(self) {
        self.tell_to_stop();
        assert_eq!(self.ended(), Some(0));
    }

    /// Asks until the answer is as wanted.
    pub(crate) fn until(&self, ask: impl Fn(&Api) -> Answer, wanted: impl Fn(&Answer) -> bool) {
        let until = Instant::now() + LONG;
        loop {
            let answer = ask(&self.api);
            if wanted(&answer) {
                return;
            }
            assert!(Instant::now() < until, "it stays {answer:?}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
