//! A PostgreSQL server of one's own in a scratch folder, for tests that stop it and change its
//! settings, and for `cargo xtask test`, which shares one among all others.

use std::{
    env, fs, io,
    net::TcpListener,
    os::unix::{fs::chown, process::CommandExt as _},
    path::PathBuf,
    process::{Command, Output, Stdio},
    thread,
};

use postgres::{Client, NoTls};
use tempfile::TempDir;

/// The URL of the server that tests share; `cargo xtask test` sets it.
pub const SHARED: &str = "PHI_TEST_POSTGRES";

/// Settings of every server here. It keeps what it is told to keep, as a real one does.
const SETTINGS: &str = "
max_connections = 60
shared_buffers = 32MB
min_wal_size = 32MB
max_wal_size = 128MB
autovacuum = off
log_min_messages = fatal
";

/// The folder on which a disk of its own is mounted.
const SMALL_DISK: &str = "small";

/// A server, stopped and removed when it is dropped.
#[derive(Debug)]
pub struct Server {
    folder: TempDir,
    programs: PathBuf,
    owner: Option<(u32, u32)>,
    port: u16,
}

/// How a server is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Transactions are undone, and all is written.
    Fast,
    /// As a power cut would: it mends itself when it starts again.
    Immediate,
}

impl Server {
    /// Makes a server and starts it.
    ///
    /// # Errors
    /// If PostgreSQL is not installed, or will not start.
    pub fn start() -> io::Result<Self> {
        let programs = programs().ok_or_else(|| io::Error::other("PostgreSQL is not installed"))?;
        let folder = tempfile::Builder::new().prefix("phi-pg-").tempdir()?;
        let owner = owner()?;
        if let Some((user, group)) = owner {
            chown(folder.path(), Some(user), Some(group))?;
        }
        // Nobody listens there any more when the server begins to; nothing else is so quick.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let server = Self {
            folder,
            programs,
            owner,
            port,
        };
        let mut initdb = server.program("initdb");
        initdb.args(["--username=phi", "--auth=trust", "--encoding=UTF8"]);
        initdb.args(["--locale=C", "--no-instructions"]);
        done(&initdb.arg("--pgdata").arg(server.data()).output()?)?;
        server.configure(SETTINGS)?;
        let reach = format!(
            "port = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{}'\n",
            server.folder.path().display()
        );
        server.configure(&reach)?;
        server.start_again()?;
        Ok(server)
    }

    /// Makes a standby that follows this server under this name, and starts it.
    ///
    /// # Errors
    /// If it is not made, or will not start.
    pub fn standby(&self, name: &str) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("phi-pg-").tempdir()?;
        if let Some((user, group)) = self.owner {
            chown(folder.path(), Some(user), Some(group))?;
        }
        let standby = Self {
            folder,
            programs: self.programs.clone(),
            owner: self.owner,
            port: TcpListener::bind("127.0.0.1:0")?.local_addr()?.port(),
        };
        let place = self.folder.path().display();
        let primary = format!(
            "host={place} port={} user=phi application_name={name}",
            self.port
        );
        let mut copy = standby.program("pg_basebackup");
        copy.args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync"]);
        copy.args(["--dbname", &primary, "--pgdata"]);
        done(&copy.arg(standby.data()).output()?)?;
        let reach = format!(
            "port = {}\nunix_socket_directories = '{}'\nsynchronous_standby_names = ''\n",
            standby.port,
            standby.folder.path().display()
        );
        standby.configure(&reach)?;
        standby.start_again()?;
        Ok(standby)
    }

    /// Lets a standby hear nothing more: what its primary does from here on is lost when it is
    /// promoted.
    ///
    /// # Errors
    /// If it does not run.
    pub fn cut_off(&self) -> Result<(), postgres::Error> {
        let mut sql = Client::connect(&self.url("postgres"), NoTls)?;
        // What `pg_basebackup` wrote counts more than `postgresql.conf`, and is changed by this.
        sql.batch_execute("ALTER SYSTEM SET primary_conninfo = ''")?;
        sql.batch_execute("SELECT pg_reload_conf()")?;
        let hears = "SELECT EXISTS (SELECT FROM pg_stat_wal_receiver)";
        while sql.query_one(hears, &[])?.get(0) {
            thread::yield_now();
        }
        Ok(())
    }

    /// Waits until a standby has all that its primary has done so far.
    ///
    /// # Errors
    /// If one of them does not run.
    pub fn catch_up(&self, primary: &Self) -> Result<(), postgres::Error> {
        let mut sql = Client::connect(&primary.url("postgres"), NoTls)?;
        let done = "SELECT pg_current_wal_flush_lsn()::text";
        let done: String = sql.query_one(done, &[])?.get(0);
        let mut sql = Client::connect(&self.url("postgres"), NoTls)?;
        let behind = "SELECT pg_last_wal_replay_lsn() < $1::text::pg_lsn";
        while sql.query_one(behind, &[&done])?.get(0) {
            thread::yield_now();
        }
        Ok(())
    }

    /// Makes a standby the primary.
    ///
    /// # Errors
    /// If it is none.
    pub fn promote(&self) -> io::Result<()> {
        let mut promote = self.program("pg_ctl");
        promote.args(["promote", "--wait", "--silent", "--pgdata"]);
        done(&promote.arg(self.data()).output()?)
    }

    /// Adds settings, which hold from the next start or [`Self::reload`] on.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn configure(&self, settings: &str) -> io::Result<()> {
        use io::Write as _;
        let path = self.data().join("postgresql.conf");
        let mut file = fs::File::options().append(true).open(path)?;
        file.write_all(format!("{settings}\n").as_bytes())
    }

    /// Starts the server after it was stopped.
    ///
    /// # Errors
    /// If it will not start.
    pub fn start_again(&self) -> io::Result<()> {
        let log = self.folder.path().join("log");
        let mut start = self.program("pg_ctl");
        start.args(["start", "--wait", "--silent", "--pgdata"]);
        start.arg(self.data()).arg("--log").arg(log);
        // The server keeps what it is given: a pipe would stay open as long as it runs.
        start.stdout(Stdio::null()).stderr(Stdio::null());
        if start.status()?.success() {
            return Ok(());
        }
        Err(io::Error::other(self.log()))
    }

    /// Stops the server.
    ///
    /// # Errors
    /// If it does not run.
    pub fn stop(&self, how: Stop) -> io::Result<()> {
        let mut stop = self.program("pg_ctl");
        stop.args(["stop", "--wait", "--silent", "--mode"]);
        stop.arg(match how {
            Stop::Fast => "fast",
            Stop::Immediate => "immediate",
        });
        done(&stop.arg("--pgdata").arg(self.data()).output()?)
    }

    /// Lets the server read its settings again.
    ///
    /// # Errors
    /// If it does not run.
    pub fn reload(&self) -> io::Result<()> {
        let mut reload = self.program("pg_ctl");
        reload.args(["reload", "--silent", "--pgdata"]);
        done(&reload.arg(self.data()).output()?)
    }

    /// The URL of a database by the server's socket.
    pub fn url(&self, database: &str) -> String {
        let folder = self.folder.path().display().to_string();
        let folder = folder.replace('/', "%2F");
        format!("postgres://phi@{folder}:{}/{database}", self.port)
    }

    /// The port on 127.0.0.1.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The folder with the server's data.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Writes a file of the server's into its data, for it alone.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, name: &str, contents: &str) -> io::Result<PathBuf> {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.data().join(name);
        fs::write(&path, contents)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        if let Some((user, group)) = self.owner {
            chown(&path, Some(user), Some(group))?;
        }
        Ok(path)
    }

    /// Mounts a disk of this size for the server, and says where. It is gone with the server.
    ///
    /// # Errors
    /// If the system lets nobody mount a disk.
    pub fn small_disk(&self, size: &str) -> io::Result<PathBuf> {
        let path = self.folder.path().join(SMALL_DISK);
        fs::create_dir(&path)?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]);
        done(&mount.arg(&path).output()?)?;
        if let Some((user, group)) = self.owner {
            chown(&path, Some(user), Some(group))?;
        }
        Ok(path)
    }

    /// What the server wrote into its log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.current_dir(self.folder.path()).env_remove("PGDATA");
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been stopped, and have no disk of its own.
        let _ = self.stop(Stop::Immediate);
        let disk = self.folder.path().join(SMALL_DISK);
        if disk.exists() {
            let _ = Command::new("umount").arg(disk).output();
        }
    }
}

/// A database of one's own on the shared server, dropped with it.
#[derive(Debug)]
pub struct Database {
    server: String,
    name: String,
}

impl Database {
    /// Makes a database, where there is a shared server.
    ///
    /// # Errors
    /// If there is one that does not make it.
    pub fn create() -> Option<Result<Self, postgres::Error>> {
        let server = env::var(SHARED).ok()?;
        Some(Self::create_on(&server))
    }

    /// Makes a database on the server of a URL.
    ///
    /// # Errors
    /// If the server does not make it.
    pub fn create_on(server: &str) -> Result<Self, postgres::Error> {
        Self::create_from(server, "template0")
    }

    /// Makes a copy of the database, to which nobody may be connected.
    ///
    /// # Errors
    /// If the server does not make it.
    pub fn copy(&self) -> Result<Self, postgres::Error> {
        Self::create_from(&self.server, &self.name)
    }

    fn create_from(server: &str, template: &str) -> Result<Self, postgres::Error> {
        let name = format!("phi_{}", unique());
        let mut client = Client::connect(server, NoTls)?;
        client.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE {template}"))?;
        Ok(Self {
            server: server.into(),
            name,
        })
    }

    /// Its URL.
    pub fn url(&self) -> String {
        let (server, _) = self.server.rsplit_once('/').unwrap_or_default();
        format!("{server}/{}", self.name)
    }

    /// A connection to it.
    ///
    /// # Errors
    /// If there is none to be had.
    pub fn connect(&self) -> Result<Client, postgres::Error> {
        Client::connect(&self.url(), NoTls)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Ok(mut client) = Client::connect(&self.server, NoTls) {
            let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
            let _ = client.batch_execute(&drop);
        }
    }
}

/// A schema of one's own on the shared server, dropped with it: cheaper than a database.
#[derive(Debug)]
pub struct Schema {
    server: String,
    name: String,
}

impl Schema {
    /// Makes a schema, where there is a shared server.
    ///
    /// # Errors
    /// If there is one that does not make it.
    pub fn create() -> Option<Result<Self, postgres::Error>> {
        let server = env::var(SHARED).ok()?;
        Some(Self::create_on(&server))
    }

    /// Makes a schema in the database of a URL.
    ///
    /// # Errors
    /// If the server does not make it.
    pub fn create_on(server: &str) -> Result<Self, postgres::Error> {
        let name = format!("phi_{}", unique());
        Client::connect(server, NoTls)?.batch_execute(&format!("CREATE SCHEMA {name}"))?;
        Ok(Self {
            server: server.into(),
            name,
        })
    }

    /// The URL of the database with this schema as the only one.
    pub fn url(&self) -> String {
        format!("{}?options=-c%20search_path%3D{}", self.server, self.name)
    }

    /// Its URL by another way to the server: a host and a port, without encryption.
    pub fn url_at(&self, place: &str) -> String {
        let name = &self.name;
        format!("postgres://phi@{place}/postgres?sslmode=disable&options=-c%20search_path%3D{name}")
    }

    /// The server's port, if its URL has one.
    pub fn port(&self) -> Option<u16> {
        let (place, _) = self.server.rsplit_once('/')?;
        place.rsplit_once(':')?.1.parse().ok()
    }

    /// A connection to it.
    ///
    /// # Errors
    /// If there is none to be had.
    pub fn connect(&self) -> Result<Client, postgres::Error> {
        Client::connect(&self.url(), NoTls)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        if let Ok(mut client) = Client::connect(&self.server, NoTls) {
            let _ = client.batch_execute(&format!("DROP SCHEMA {} CASCADE", self.name));
        }
    }
}

/// A name that no other test has.
fn unique() -> String {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("random bytes");
    crate::hex(&bytes)
}

/// Where PostgreSQL's programs are: on the path, or where Debian keeps them, the newest first.
pub fn programs() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = env::split_paths(&path).collect();
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut debian: Vec<PathBuf> = versions
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    debian.sort();
    folders.extend(debian.into_iter().rev());
    let all = |folder: &PathBuf| {
        let there = |name: &str| folder.join(name).exists();
        there("initdb") && there("pg_ctl") && there("postgres")
    };
    // A link to one program is no folder with all of them.
    let real = |folder: PathBuf| {
        let initdb = folder.join("initdb").canonicalize().ok()?;
        Some(initdb.parent()?.to_owned())
    };
    folders.into_iter().filter(all).find_map(real)
}

/// Whom the server runs as: PostgreSQL refuses the superuser.
fn owner() -> io::Result<Option<(u32, u32)>> {
    let id = |arguments: &[&str]| -> io::Result<Option<u32>> {
        let output = Command::new("id").args(arguments).output()?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().parse().ok())
    };
    if id(&["-u"])? != Some(0) {
        return Ok(None);
    }
    for name in ["postgres", "nobody"] {
        if let (Some(user), Some(group)) = (id(&["-u", name])?, id(&["-g", name])?) {
            return Ok(Some((user, group)));
        }
    }
    Err(io::Error::other("no user to run PostgreSQL as"))
}

fn done(output: &Output) -> io::Result<()> {
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(io::Error::other(said))
}

/// Starts a server, says its URL, and stops it when the input ends.
///
/// # Errors
/// As [`Server::start`].
pub fn serve() -> io::Result<()> {
    let server = Server::start()?;
    println!("{}", server.url("postgres"));
    // Whoever started this may be killed: its end of the pipe is closed then too.
    io::copy(&mut io::stdin(), &mut io::sink()).map(drop)
}

/// Whether there is a shared server; else a test that needs one says so and has nothing to do.
pub fn is_there() -> bool {
    let there = env::var_os(SHARED).is_some();
    if !there {
        println!("skipped: {SHARED} names no server; `cargo xtask test` starts one");
    }
    there
}
