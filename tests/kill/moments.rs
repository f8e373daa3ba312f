//! Issuers killed from outside, at some moment of an act.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use phi_issuer::{Issuer, keyfile::KdfStrength};
use phi_tests::{
    home::{Home, Sql, Store},
    on_every_store,
    snakeoil::START,
    workshop::{self, at, passphrase},
};
use postgres::Client;

use crate::aftermath::{check, check_mended};

/// When the victim is killed, counted from the moment at which it begins its act.
#[derive(Clone, Copy)]
enum Moment {
    After(Duration),
    /// After it has given out so many tokens.
    Tokens(usize),
    /// When the store's write-ahead log is longer by so many bytes.
    LogGrown(u64),
    /// When there is something of this name in the folder.
    Appeared(&'static str),
    /// When a file is about to take its name in the folder of published documents.
    Publishing,
}

use Moment::{After, Appeared, LogGrown, Publishing, Tokens};

/// No act takes as long; a victim that is past its moment ends by itself.
const PATIENCE: Duration = Duration::from_secs(20);

/// What came of a victim.
struct Killed {
    /// The tokens that it gave out.
    tokens: Vec<String>,
    /// Whether it was killed before it ended by itself.
    in_the_act: bool,
}

/// Runs the victim and kills it at the moment.
fn kill(home: &Home, act: &str, count: u64, seconds: u64, moment: Moment) -> Killed {
    let mut victim = Command::new(env!("CARGO_BIN_EXE_issuer-victim"))
        .arg(home.path())
        .args([act, &count.to_string(), &seconds.to_string()])
        .args(home.store().url)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = lines_of(&mut victim);
    assert_eq!(lines.recv_timeout(PATIENCE).as_deref(), Ok("ready"));
    let mut tokens = Vec::new();
    wait_for(moment, home, &lines, &mut tokens);
    // SIGKILL: nothing in the process runs any more. It may have ended by itself.
    let _ = victim.kill();
    let status = victim.wait().unwrap();
    assert_ne!(status.code(), Some(1), "the victim failed by itself");
    tokens.extend(lines);
    Killed {
        tokens,
        in_the_act: !status.success(),
    }
}

fn lines_of(victim: &mut Child) -> Receiver<String> {
    let output = BufReader::new(victim.stdout.take().unwrap());
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        // A line without its end was cut by the kill: nobody was given that token.
        for line in output.lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    lines
}

fn wait_for(moment: Moment, home: &Home, lines: &Receiver<String>, tokens: &mut Vec<String>) {
    let begun = Instant::now();
    let folder = home.path();
    let mut log = Log::of(home, moment);
    let first_length = log.length();
    loop {
        let over = match moment {
            After(delay) => begun.elapsed() >= delay,
            Tokens(count) => tokens.len() >= count,
            LogGrown(bytes) => log.length() >= first_length + bytes,
            Appeared(name) => folder.join(name).exists(),
            Publishing => is_publishing(&folder.join("published")),
        };
        if over || begun.elapsed() > PATIENCE {
            return;
        }
        match lines.recv_timeout(Duration::from_micros(50)) {
            Ok(line) => tokens.push(line),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// The store's write-ahead log.
enum Log {
    File(PathBuf),
    /// That of the whole server: it grows at least by what the store adds.
    Server(Box<Client>),
    /// Nobody asks.
    Unwatched,
}

impl Log {
    fn of(home: &Home, moment: Moment) -> Self {
        match (moment, home.store().url) {
            (LogGrown(_), Some(_)) => Self::Server(home.database().connect().unwrap().into()),
            (LogGrown(_), None) => Self::File(home.path().join("phi.db-wal")),
            _ => Self::Unwatched,
        }
    }

    fn length(&mut self) -> u64 {
        match self {
            Self::File(path) => fs::metadata(path).map_or(0, |file| file.len()),
            Self::Server(client) => {
                let sql = "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint";
                let length: i64 = client.query_one(sql, &[]).unwrap().get(0);
                length.cast_unsigned()
            }
            Self::Unwatched => 0,
        }
    }
}

fn is_publishing(published: &Path) -> bool {
    let temporary = |name: &str| Path::new(name).extension().is_some_and(|end| end == "tmp");
    fs::read_dir(published)
        .unwrap()
        .any(|entry| entry.unwrap().file_name().to_str().is_some_and(temporary))
}

/// Delays that cover the whole of an act of which nobody knows how long it takes here.
fn delays(count: u32, longest: Duration) -> impl Iterator<Item = Moment> {
    (0..count).map(move |number| After(longest * number / count))
}

/// Kills the act at each of the moments, in one folder that lives through all of it.
fn kill_again_and_again(
    store: Store,
    act: &str,
    count: u64,
    moments: impl IntoIterator<Item = Moment>,
) {
    let home = Home::new(store);
    let mut issuer = home.furnished().unwrap();
    workshop::issue(&mut issuer, START).unwrap();
    drop(issuer);
    let (mut seconds, mut kills, mut in_the_act) = (0, 0, 0);
    for moment in moments {
        seconds += 100;
        let killed = kill(&home, act, count, seconds, moment);
        check(home.path(), &killed.tokens);
        kills += 1;
        in_the_act += u32::from(killed.in_the_act);
    }
    println!("{act}: {in_the_act} of {kills} were killed in the act");
    assert!(in_the_act > 0);
    check_mended(home.path(), START.plus(seconds + 100));
}

on_every_store![
    minting_is_killed,
    issuing_is_killed,
    publishing_a_status_list_is_killed,
    publishing_a_catalog_is_killed,
    rotating_the_license_key_is_killed,
    rotating_a_key_that_the_root_names_is_killed,
    a_batch_is_cut_and_run_again,
    an_init_that_was_killed_leaves_an_issuer_or_says_what_is_in_the_way,
];

fn minting_is_killed(store: Store) {
    let tokens = [1, 20, 21, 30, 40, 44, 59, 60].map(Tokens);
    let log = [1, 4_000, 8_000, 30_000].map(LogGrown);
    let moments = tokens.into_iter().chain(log);
    kill_again_and_again(
        store,
        "mint",
        3,
        moments.chain(delays(14, Duration::from_millis(250))),
    );
}

fn issuing_is_killed(store: Store) {
    let log = [1, 4_000, 20_000, 100_000].map(LogGrown);
    kill_again_and_again(
        store,
        "issue",
        40,
        delays(12, Duration::from_millis(60)).chain(log),
    );
}

fn publishing_is_killed(store: Store, act: &str) {
    let moments = [
        Publishing,
        LogGrown(1),
        Publishing,
        LogGrown(9_000),
        Publishing,
    ];
    let moments = moments
        .into_iter()
        .chain(delays(12, Duration::from_millis(200)));
    kill_again_and_again(store, act, 3, moments);
}

fn publishing_a_status_list_is_killed(store: Store) {
    publishing_is_killed(store, "status");
}

fn publishing_a_catalog_is_killed(store: Store) {
    publishing_is_killed(store, "catalog");
}

fn rotating_the_license_key_is_killed(store: Store) {
    let moments = [Publishing, LogGrown(1), Publishing, LogGrown(9_000)];
    let moments = moments
        .into_iter()
        .chain(delays(12, Duration::from_millis(250)));
    kill_again_and_again(store, "keyset", 2, moments);
}

fn rotating_a_key_that_the_root_names_is_killed(store: Store) {
    let moments = [Publishing, LogGrown(1), LogGrown(9_000), LogGrown(30_000)];
    let moments = moments
        .into_iter()
        .chain(delays(12, Duration::from_millis(300)));
    kill_again_and_again(store, "rotate", 2, moments);
}

fn a_batch_is_cut_and_run_again(store: Store) {
    const ROWS: u32 = 2_500;
    let home = Home::new(store);
    home.furnished().unwrap();
    let rows = || {
        let count = Sql::open(home.path()).number("SELECT count(*) FROM tokens");
        u32::try_from(count).unwrap()
    };
    let mut carried_out = 0;
    let log = [1, 100_000, 700_000, 1_500_000].map(LogGrown);
    for moment in log
        .into_iter()
        .chain(delays(8, Duration::from_millis(1_200)))
    {
        let killed = kill(&home, "batch", ROWS.into(), 60, moment);
        check(home.path(), &killed.tokens);
        assert!(
            rows() >= carried_out && rows().is_multiple_of(500),
            "{}",
            rows()
        );
        carried_out = rows();
    }
    println!("{carried_out} of {ROWS} rows were carried out by batches that were killed");
    let Killed { mut tokens, .. } = kill(&home, "batch", ROWS.into(), 60, After(PATIENCE));
    check(home.path(), &tokens);
    let count = usize::try_from(ROWS).unwrap();
    tokens.sort_unstable();
    tokens.dedup();
    assert_eq!((tokens.len(), rows()), (count, ROWS));
    let mut issuer = home.open().unwrap();
    assert_eq!(issuer.licenses(None, None).unwrap().len(), count);
}

fn an_init_that_was_killed_leaves_an_issuer_or_says_what_is_in_the_way(store: Store) {
    let appeared = [
        ".phi-init",
        ".phi-init/keys",
        ".phi-init/phi.toml",
        ".phi-init/phi.db",
        ".phi-init/published/root-1.phi",
        ".phi-init/published/status.phi",
        "catalog.toml",
        "keys",
        "published",
        "phi.db",
        "phi.toml",
    ];
    let moments = appeared.into_iter().map(Appeared);
    let (mut whole, mut half) = (0, 0);
    for moment in moments.chain(delays(20, Duration::from_millis(500))) {
        let home = Home::new(store);
        kill(&home, "init", 1, 0, moment);
        if let Ok(mut issuer) = home.open() {
            whole += 1;
            issuer.trust_state().unwrap();
            check(home.path(), &[]);
        } else {
            half += 1;
            begin_again(&home);
        }
    }
    println!("{whole} whole issuers, {half} cut short");
    assert!(whole > 0 && half > 0);
}

/// An init that was cut short is repeated, or says what is in the way. An issuer that is in the
/// database already has its keys in the folder.
fn begin_again(home: &Home) {
    let code = match home.init() {
        // Nothing was there yet, or nothing that could be in the way.
        Ok(_) => return,
        Err(error) => error.code(),
    };
    assert!(matches!(code, "folder-in-use" | "store-in-use"), "{code}");
    let left = home.path().join(".phi-init");
    if left.exists() {
        fs::remove_dir_all(left).unwrap();
    }
    if home.store().url.is_none() {
        return;
    }
    match Issuer::join(home.path(), home.store(), KdfStrength::Fast) {
        Ok(mut issuer) => {
            let now = START.plus(60);
            issuer.publish_keyset(&passphrase(), &at(now)).unwrap();
            check(home.path(), &[]);
        }
        Err(error) => assert_eq!(error.code(), "store-missing", "{error:?}"),
    }
}
