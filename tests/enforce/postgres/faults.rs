//! What a server, and the way to it, can do to nodes in the middle of their work. Units are counted
//! where they are spent, outside of every store: never more than the limit.

use std::{
    sync::{
        Arc, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use phi_enforce::{
    Act, Ask, Caller, Epoch, Fault, Finding, Held, Incarnation, Outcome, Postgres, PostgresOptions,
    Return, Store as _, StoreError, SystemClock,
};
use phi_tests::{
    postgres::{Schema, Server, Stop, is_there},
    proxy::{Cut, Proxy},
};
use postgres::{Client as Sql, NoTls};

use crate::{
    client::{CALLS, Client, ask},
    rig::{clock, open_postgres, options},
};

/// Leases this short let a store that went back learn for little more than a tenth of a second.
const SHORT: Duration = Duration::from_millis(100);

fn sql(server: &Server) -> Sql {
    Sql::connect(&server.url("postgres"), NoTls).unwrap()
}

/// Lets a setting hold that needs no new start.
fn set(server: &Server, name: &str, value: &str) {
    server.configure(&format!("{name} = '{value}'")).unwrap();
    server.reload().unwrap();
    let mut sql = sql(server);
    let shown = format!("SELECT current_setting('{name}')");
    while sql.query_one(&shown, &[]).unwrap().get::<_, &str>(0) != value {
        thread::yield_now();
    }
}

#[test]
fn a_way_that_ends_during_the_commit_leaves_it_unknown_and_is_asked_again() {
    if !is_there() {
        return;
    }
    let schema = Schema::create().unwrap().unwrap();
    let proxy = Proxy::to(schema.port().unwrap()).unwrap();
    let url = format!("127.0.0.1:{}", proxy.port());
    let store = open_postgres(&schema.url_at(&url), &clock()).unwrap();
    let mut client = Client::new(Arc::new(store), 1);
    for cut in [Cut::BeforeCommit, Cut::AfterCommit] {
        proxy.cut(cut);
        assert_eq!(client.try_grant(ask(10, 3)), Outcome::Unknown, "{cut:?}");
        let again = client.store.grant(client.caller, &[ask(10, 3)]).unwrap();
        let Outcome::Done(done) = again else {
            panic!("{again:?}");
        };
        client.caller.seen = done.seq;
        assert_eq!(done.value[0].units, 3);
    }
    // One that ended before anything was in it is not even noticed.
    proxy.cut(Cut::AtBegin);
    assert_eq!(client.units(ask(10, 4)), 4, "nothing was charged twice");
    assert_eq!(client.units(ask(10, 1)), 0);
}

#[test]
fn a_server_that_forgets_is_refused_and_a_commit_that_no_standby_has_is_unknown() {
    if !is_there() {
        return;
    }
    let server = Server::start().unwrap();
    for setting in ["fsync", "full_page_writes"] {
        set(&server, setting, "off");
        let error = open_postgres(&server.url("postgres"), &clock()).unwrap_err();
        assert_eq!(error.fault(), Fault::Unfit);
        assert!(error.to_string().contains(setting), "{error}");
        set(&server, setting, "on");
    }
    no_standby(&server);
}

/// However it ends.
fn no_standby(server: &Server) {
    let url = server.url("postgres");
    let options = options(&clock()).answer_within(Duration::from_secs(1));
    let store = Postgres::open(&url, None, options).unwrap();
    let mut client = Client::new(Arc::new(store), 1);
    set(server, "synchronous_standby_names", "nobody");
    // Somebody cancels the wait: the server calls that a success.
    let canceller = thread::spawn(move || {
        let mut sql = Sql::connect(&url, NoTls).unwrap();
        let cancel = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity
                      WHERE application_name = 'phi-enforce' AND wait_event = 'SyncRep'";
        while sql.query_one(cancel, &[]).unwrap().get::<_, i64>(0) == 0 {
            thread::yield_now();
        }
    });
    assert_eq!(client.try_grant(ask(10, 3)), Outcome::Unknown);
    canceller.join().unwrap();
    // Nobody does: whoever waits leaves, and the server holds the row.
    let unknown = client.store.grant(client.caller, &[ask(10, 3)]).unwrap();
    assert_eq!(unknown, Outcome::Unknown);
    let busy = client.store.grant(client.caller, &[ask(10, 3)]);
    assert_eq!(busy.unwrap_err().fault(), Fault::Busy);
    set(server, "synchronous_standby_names", "");
    let done = client.store.grant(client.caller, &[ask(10, 3)]).unwrap();
    assert!(matches!(&done, Outcome::Done(done) if done.value[0].units == 3));
    client.caller.seen = 0;
    assert_eq!(client.units(ask(10, 7)), 7, "nothing was charged twice");
    assert_eq!(client.units(ask(10, 1)), 0);
}

#[test]
fn a_node_that_stops_in_a_transaction_holds_up_the_others_for_a_while_only() {
    if !is_there() {
        return;
    }
    let schema = Schema::create().unwrap().unwrap();
    let options = options(&clock()).answer_within(Duration::from_secs(1));
    let store = Postgres::open(&schema.url(), None, options).unwrap();
    let mut client = Client::new(Arc::new(store), 1);
    let mut other = schema.connect().unwrap();
    let lock = "SET idle_in_transaction_session_timeout = 2000;
                BEGIN; SELECT * FROM phi_enforce FOR UPDATE";
    other.batch_execute(lock).unwrap();
    client.caller.request = 1;
    let mut busy = 0;
    let outcome = loop {
        match client.store.grant(client.caller, &[ask(10, 10)]) {
            Ok(outcome) => break outcome,
            Err(error) => assert_eq!(error.fault(), Fault::Busy),
        }
        busy += 1;
    };
    assert!(busy > 0 && matches!(&outcome, Outcome::Done(done) if done.value[0].units == 10));
    assert!(other.batch_execute("COMMIT").is_err(), "it was thrown out");
}

/// A node that spends what it is granted at once, whatever happens to its store.
struct Spender<'a> {
    urls: String,
    name: u8,
    ask: Ask,
    spent: &'a AtomicU64,
    over: &'a AtomicBool,
    /// Written to while the server is away: whoever failed waits for it, and others can use the
    /// machine.
    away: &'a RwLock<()>,
}

/// What a node went through.
#[derive(Debug, Default)]
struct Story {
    held: u64,
    unknown: u32,
    failed: u32,
    stale: u32,
}

impl Spender<'_> {
    fn open(&self) -> Result<Postgres, StoreError> {
        let options = PostgresOptions::new(Arc::new(SystemClock)).longest_lease(SHORT);
        Postgres::open(
            &self.urls,
            None,
            options.answer_within(Duration::from_secs(2)),
        )
    }

    fn run(self) -> Story {
        let mut story = Story::default();
        let incarnation = Incarnation::from_bytes([self.name; 16]);
        let line = self.open().unwrap();
        let mut caller: Option<Caller> = None;
        let mut label = None;
        while !self.over.load(Ordering::SeqCst) {
            let Some(known) = &mut caller else {
                caller = introduce(&line, incarnation, None, 0);
                continue;
            };
            match line.grant(*known, &[self.ask]) {
                Ok(Outcome::Done(done)) => {
                    let grant = done.value[0];
                    story.held += grant.units;
                    self.spent.fetch_add(grant.units, Ordering::SeqCst);
                    label = Some(grant.label);
                    (known.request, known.seen) = (known.request + 1, done.seq);
                }
                Ok(Outcome::Unknown) => story.unknown += 1,
                Ok(Outcome::StaleEpoch) => {
                    story.stale += 1;
                    let seen = Some((known.epoch, known.seen));
                    let again = introduce(&line, incarnation, seen, known.request + 1);
                    let Some(again) = again else { continue };
                    let held = label.map(|label| {
                        let (key, units) = (CALLS, story.held);
                        Held::Units(Return { key, label, units })
                    });
                    let held: Vec<Held> = held.into_iter().collect();
                    *known = again;
                    while !matches!(line.reassert(*known, &held), Ok(Outcome::Done(_)))
                        && !self.over.load(Ordering::SeqCst)
                    {
                        story.failed += 1;
                    }
                    known.request += 1;
                }
                Ok(Outcome::Learning { .. }) => thread::yield_now(),
                Ok(other) => panic!("{other:?}"),
                Err(error) => {
                    let known = [Fault::Unreachable, Fault::Busy, Fault::Unfit];
                    assert!(known.contains(&error.fault()), "{error:?}");
                    story.failed += 1;
                    drop(self.away.read());
                }
            }
        }
        story
    }
}

fn introduce(
    store: &Postgres,
    incarnation: Incarnation,
    seen: Option<(Epoch, u64)>,
    request: u64,
) -> Option<Caller> {
    let hello = store.hello(incarnation, "spender", seen).ok()?;
    Some(Caller {
        incarnation,
        epoch: hello.epoch,
        request: request.max(1),
        seen: hello.seq,
    })
}

/// Runs nodes while the server suffers, until the whole limit is spent, and a little longer.
fn spend(urls: &str, limit: u64, suffer: impl FnOnce(&AtomicU64, &RwLock<()>)) -> Vec<Story> {
    let (spent, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let away = RwLock::new(());
    let stories = thread::scope(|scope| {
        let node = |name| {
            let spender = Spender {
                urls: urls.into(),
                name,
                ask: Ask {
                    at_least: 1,
                    at_most: 7,
                    ..ask(limit, 0)
                },
                spent: &spent,
                over: &over,
                away: &away,
            };
            scope.spawn(move || spender.run())
        };
        let nodes: Vec<_> = (1..=3).map(node).collect();
        suffer(&spent, &away);
        let mut before = u64::MAX;
        // The last units go one by one; then three rounds in which nothing is left.
        while spent.load(Ordering::SeqCst) < limit || before != spent.load(Ordering::SeqCst) {
            before = spent.load(Ordering::SeqCst);
            assert!(before <= limit, "{before} of {limit}");
            thread::yield_now();
        }
        over.store(true, Ordering::SeqCst);
        let stories = nodes.into_iter().map(|node| node.join().unwrap());
        stories.collect::<Vec<_>>()
    });
    let spent = spent.into_inner();
    println!("{spent} of {limit} spent; {stories:?}");
    assert_eq!(spent, limit);
    assert_eq!(stories.iter().map(|story| story.held).sum::<u64>(), limit);
    stories
}

/// Lets so many more be spent.
fn spend_more(spent: &AtomicU64, units: u64) {
    let goal = spent.load(Ordering::SeqCst) + units;
    while spent.load(Ordering::SeqCst) < goal {
        thread::yield_now();
    }
}

#[test]
fn a_server_that_is_killed_again_and_again_exceeds_nothing() {
    if !is_there() {
        return;
    }
    let server = Server::start().unwrap();
    let url = server.url("postgres");
    let stories = spend(&url, 2_000, |spent, away| {
        for how in [
            Stop::Immediate,
            Stop::Immediate,
            Stop::Fast,
            Stop::Immediate,
        ] {
            // In the middle of the work: the next grants are on their way.
            spend_more(spent, 100);
            let _away = away.write();
            server.stop(how).unwrap();
            server.start_again().unwrap();
        }
    });
    assert!(stories.iter().map(|story| story.failed).sum::<u32>() > 0);
    assert!(stories.iter().all(|story| story.stale == 0), "{stories:?}");
    let store = open_postgres(&url, &clock()).unwrap();
    assert_eq!(store.period_usage().unwrap()[0].charged(), 2_000);
    assert_eq!(store.audit().unwrap(), Vec::<String>::new());
}

#[test]
fn a_standby_that_takes_over_exceeds_nothing() {
    if !is_there() {
        return;
    }
    let primary = Server::start().unwrap();
    let standby = primary.standby("second").unwrap();
    let url = primary.url("postgres");
    let unwaited = Finding::StandbysNotAwaited { standbys: 1 };
    let found = open_postgres(&url, &clock()).unwrap().findings();
    assert_eq!(found, [unwaited]);
    set(&primary, "synchronous_standby_names", "second");
    let found = open_postgres(&url, &clock()).unwrap().findings();
    assert_eq!(found, []);
    let error = open_postgres(&standby.url("postgres"), &clock()).unwrap_err();
    assert_eq!(error.fault(), Fault::Unfit, "{error}");
    let stories = spend(&both(&primary, &standby), 2_000, |spent, away| {
        spend_more(spent, 100);
        let away = away.write();
        primary.stop(Stop::Immediate).unwrap();
        standby.promote().unwrap();
        drop(away);
        spend_more(spent, 100);
    });
    // Each noticed that the history is told by another server, and said what it holds.
    assert!(stories.iter().all(|story| story.stale > 0), "{stories:?}");
    assert_eq!(reasserted(&standby, 2_000), 0, "it had everything");
}

pub(super) fn both(primary: &Server, standby: &Server) -> String {
    let (one, other) = (primary.port(), standby.port());
    format!("postgres://phi@127.0.0.1:{one},127.0.0.1:{other}/postgres")
}

/// How often a node told of what the store did not know, in a store that adds up in the end.
fn reasserted(server: &Server, limit: u64) -> usize {
    let store = open_postgres(&server.url("postgres"), &clock()).unwrap();
    assert_eq!(store.period_usage().unwrap()[0].charged(), limit);
    assert_eq!(store.audit().unwrap(), Vec::<String>::new());
    let events = store.usage(0, usize::MAX).unwrap().into_iter();
    events.filter(|event| event.act == Act::Reasserted).count()
}
