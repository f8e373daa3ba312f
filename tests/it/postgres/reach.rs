//! How a server is reached: encrypted, by whom it should be, with a password or a certificate that
//! stands nowhere for others to read.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use phi_issuer::{Error, Issuer, StoreOptions, keyfile::KdfStrength};
use phi_tests::{
    postgres::{Server, Stop, is_there},
    workshop,
};
use postgres::{Client, NoTls};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// Certificates and keys in PEM.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// A certificate for a host, or a user of this name, and its key.
    fn signs(&self, name: &str) -> (String, String) {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn write(&self, folder: &Path, name: &str) -> StoreOptions {
        let path = folder.join(name);
        fs::write(&path, self.0.pem()).unwrap();
        StoreOptions {
            url: None,
            authority: Some(path),
        }
    }
}

/// A server with an issuer in it, whose certificate is for `localhost`.
struct Rig {
    server: Server,
    authority: Authority,
    folder: tempfile::TempDir,
}

impl Rig {
    fn new() -> Option<Self> {
        if !is_there() {
            return None;
        }
        let server = Server::start().unwrap();
        let authority = Authority::new("snakeoil");
        let (certificate, key) = authority.signs("localhost");
        server.write("server.crt", &certificate).unwrap();
        server.write("server.key", &key).unwrap();
        server.write("root.crt", &authority.0.pem()).unwrap();
        server
            .configure("ssl = on\nssl_ca_file = 'root.crt'")
            .unwrap();
        let rig = Self {
            server,
            authority,
            folder: tempfile::tempdir().unwrap(),
        };
        rig.restart();
        let home = rig.folder.path().join("first");
        super::init(&home, &rig.server.url("postgres")).unwrap();
        Some(rig)
    }

    fn restart(&self) {
        self.server.stop(Stop::Fast).unwrap();
        self.server.start_again().unwrap();
    }

    /// Who may come in by TCP, and how.
    fn let_in(&self, lines: &str) {
        let all = format!("local all all trust\n{lines}\n");
        self.server.write("pg_hba.conf", &all).unwrap();
        self.restart();
    }

    fn url(&self, user: &str, host: &str, options: &str) -> String {
        let port = self.server.port();
        format!("postgres://{user}@{host}:{port}/postgres?{options}")
    }

    /// Joins the issuer in the server, as whoever comes by this URL.
    fn join(&self, authority: Option<&Authority>, url: &str) -> Result<Issuer, Error> {
        let folder = tempfile::tempdir_in(self.folder.path()).unwrap();
        let store = StoreOptions {
            url: Some(url.into()),
            ..authority.map_or_else(StoreOptions::default, |authority| {
                authority.write(self.folder.path(), "ca.pem")
            })
        };
        Issuer::join(&folder.path().join("home"), store, KdfStrength::Fast)
    }

    /// Whether a connection of phi's is encrypted.
    fn is_encrypted(&self) -> bool {
        let mut client = Client::connect(&self.server.url("postgres"), NoTls).unwrap();
        let sql = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
                   WHERE application_name = 'phi'";
        client.query_one(sql, &[]).unwrap().get(0)
    }
}

#[track_caller]
fn check_refused(joined: Result<Issuer, Error>, part: &str) {
    let error = joined.unwrap_err();
    assert_eq!(error.code(), "store-unreachable", "{error:?}");
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    assert!(text.contains(part), "{text}");
}

#[test]
fn a_server_is_believed_as_far_as_sslmode_says() {
    let Some(rig) = Rig::new() else { return };
    let stranger = Authority::new("stranger");
    let (known, other) = (Some(&rig.authority), Some(&stranger));
    let url = |host: &str, mode: &str| rig.url("phi", host, &format!("sslmode={mode}"));

    for (host, mode) in [
        ("localhost", "verify-full"),
        ("127.0.0.1", "verify-ca"),
        ("127.0.0.1", "require"),
    ] {
        let _joined = rig.join(known, &url(host, mode)).unwrap();
        assert!(rig.is_encrypted(), "{mode}");
    }
    // The certificate is for localhost.
    check_refused(rig.join(known, &url("127.0.0.1", "verify-full")), "name");
    for mode in ["verify-full", "verify-ca", "require"] {
        check_refused(rig.join(other, &url("localhost", mode)), "certificate");
    }
    for mode in ["verify-full", "verify-ca"] {
        // The system's authorities know nothing of it.
        check_refused(rig.join(None, &url("localhost", mode)), "certificate");
    }
    // What is written out is done: encrypted to whoever answers, and not at all.
    let joined = rig.join(None, &url("localhost", "require")).unwrap();
    assert!(rig.is_encrypted());
    drop(joined);
    let _joined = rig.join(None, &url("localhost", "disable")).unwrap();
    assert!(!rig.is_encrypted());
}

#[test]
fn a_server_without_encryption_is_refused_where_it_is_asked_for() {
    let Some(rig) = Rig::new() else { return };
    rig.server.configure("ssl = off").unwrap();
    rig.restart();
    let known = Some(&rig.authority);
    for mode in ["require", "verify-ca", "verify-full"] {
        let url = rig.url("phi", "localhost", &format!("sslmode={mode}"));
        check_refused(rig.join(known, &url), "TLS");
    }
    let _joined = rig.join(None, &rig.url("phi", "localhost", "")).unwrap();
}

#[test]
fn a_client_certificate_lets_one_in() {
    let Some(rig) = Rig::new() else { return };
    rig.let_in("hostssl all all all cert");
    let (certificate, key) = rig.authority.signs("phi");
    let folder = rig.folder.path();
    fs::write(folder.join("phi.crt"), certificate).unwrap();
    fs::write(folder.join("phi.key"), key).unwrap();
    let mode = |mode: u32| {
        fs::set_permissions(folder.join("phi.key"), fs::Permissions::from_mode(mode)).unwrap();
    };
    let files = format!(
        "sslmode=verify-full&sslcert={0}/phi.crt&sslkey={0}/phi.key",
        folder.display()
    );
    let known = Some(&rig.authority);
    mode(0o644);
    let error = rig
        .join(known, &rig.url("phi", "localhost", &files))
        .unwrap_err();
    assert_eq!(error.code(), "file-permissions", "{error:?}");
    mode(0o600);
    let _joined = rig
        .join(known, &rig.url("phi", "localhost", &files))
        .unwrap();
    let other = rig.join(known, &rig.url("postgres", "localhost", &files));
    assert_eq!(other.unwrap_err().code(), "store-no-access");
    let without = rig.join(known, &rig.url("phi", "localhost", "sslmode=verify-full"));
    assert_eq!(without.unwrap_err().code(), "store-no-access");
}

/// Opens the issuer in a process of its own, with this password file.
fn opens(folder: &Path, file: &Path) -> Result<(), String> {
    let output = Command::new(env!("CARGO_BIN_EXE_issuer-victim"))
        .arg(folder)
        .args(["mint", "0", "60"])
        .env("PGPASSFILE", file)
        // Not from there.
        .env("PGPASSWORD", "correct")
        .output()
        .unwrap();
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_password_comes_from_the_password_file_alone() {
    let Some(rig) = Rig::new() else { return };
    let mut client = Client::connect(&rig.server.url("postgres"), NoTls).unwrap();
    client
        .batch_execute("ALTER ROLE phi PASSWORD 'correct'")
        .unwrap();
    drop(client);
    let home = rig.folder.path().join("home");
    fs::create_dir(&home).unwrap();
    let ca = rig.authority.write(rig.folder.path(), "ca.pem");
    let url = rig.url("phi", "localhost", "sslmode=verify-full");
    let store = StoreOptions {
        url: Some(url),
        ..ca
    };
    drop(Issuer::join(&home, store, KdfStrength::Fast).unwrap());
    rig.let_in("hostssl all all all scram-sha-256");

    let file = rig.folder.path().join("pgpass");
    let write = |line: &str, mode: u32| {
        fs::write(&file, line).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    };
    let said = opens(&home, &file).unwrap_err();
    assert!(said.contains("password missing"), "{said}");
    write("localhost:*:postgres:phi:wrong\n", 0o600);
    let said = opens(&home, &file).unwrap_err();
    assert!(said.contains("authentication failed"), "{said}");
    write("localhost:*:postgres:phi:correct\n", 0o640);
    let said = opens(&home, &file).unwrap_err();
    assert!(said.contains("TooOpen"), "{said}");
    assert!(!said.contains("correct"), "{said}");
    write("localhost:*:postgres:phi:correct\n", 0o600);
    opens(&home, &file).unwrap();
}

#[test]
fn a_password_in_the_url_goes_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let store = StoreOptions {
        url: Some("postgres://phi:hunter2@db.example/phi".into()),
        authority: None,
    };
    let error = workshop::init_in(folder.path(), store).unwrap_err();
    assert!(!format!("{error:?} {error}").contains("hunter2"));
    assert!(super::names(folder.path()).is_empty());
    // Nor does one that came into the settings by hand.
    drop(workshop::init(folder.path()).unwrap());
    let settings = folder.path().join("phi.toml");
    let text = fs::read_to_string(&settings).unwrap();
    let line = "store = \"postgres://phi:hunter2@db.example/phi\"";
    fs::write(&settings, format!("{line}\n{text}")).unwrap();
    let error = Issuer::open(folder.path()).unwrap_err();
    assert!(error.to_string().contains(".pgpass"), "{error:?}");
    assert!(!format!("{error:?} {error}").contains("hunter2"));
}
