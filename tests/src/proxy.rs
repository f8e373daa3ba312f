//! A way to a PostgreSQL server that ends at a moment of the test's choice, or on which nothing gets
//! through, or only one way, or late.

use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU8, Ordering},
    },
    thread,
    time::Duration,
};

/// When the way ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Cut {
    /// Not at all.
    Never,
    /// Before the server has the commit.
    BeforeCommit,
    /// When the server has made the commit durable, before it is heard of.
    AfterCommit,
    /// When a transaction begins.
    AtBegin,
    /// In the middle of the commit.
    InCommit,
}

/// What does not get through. Whatever waits arrives when the way is [open](Proxy::open) again, also
/// what was sent by somebody who has gone: as on a network that loses packets for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// What is sent to the server.
    Requests,
    /// What the server sends.
    Answers,
    /// Everything.
    Both,
}

/// From when on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// The next transaction, with its beginning.
    Begin,
    /// The next commit.
    Commit,
}

/// How bytes get on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Pace {
    #[default]
    Free,
    Slow(Duration),
    Held,
}

/// How the way is, for all connections.
#[derive(Debug, Default)]
struct State {
    requests: Pace,
    answers: Pace,
    /// What is held, when that moment comes.
    next: Option<(Held, From)>,
}

#[derive(Debug)]
struct Road {
    cut: AtomicU8,
    state: Mutex<State>,
    changed: Condvar,
}

/// A port on this machine that leads to another one.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    road: Arc<Road>,
}

impl Proxy {
    /// A way to this port.
    ///
    /// # Errors
    /// If there is no port for it.
    pub fn to(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let proxy = Self {
            port: listener.local_addr()?.port(),
            road: Arc::new(Road {
                cut: AtomicU8::new(Cut::Never as u8),
                state: Mutex::default(),
                changed: Condvar::new(),
            }),
        };
        let road = Arc::clone(&proxy.road);
        thread::spawn(move || {
            for client in listener.incoming() {
                let server = TcpStream::connect(("127.0.0.1", port));
                if let (Ok(client), Ok(server)) = (client, server) {
                    let road = Arc::clone(&road);
                    thread::spawn(move || lead(&client, &server, &road));
                }
            }
        });
        Ok(proxy)
    }

    /// The port on which it begins.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The next connection of which this is true ends then.
    pub fn cut(&self, when: Cut) {
        self.road.cut.store(when as u8, Ordering::SeqCst);
    }

    /// From that moment on nothing of this gets through, of no connection.
    pub fn hold(&self, what: Held, from: From) {
        self.road.change(|state| state.next = Some((what, from)));
    }

    /// Everything takes so much longer, each way.
    pub fn slow(&self, by: Duration) {
        self.road.change(|state| {
            (state.requests, state.answers) = (Pace::Slow(by), Pace::Slow(by));
        });
    }

    /// Everything gets through again.
    pub fn open(&self) {
        self.road.change(|state| *state = State::default());
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.open();
    }
}

impl Road {
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().expect("nobody panics with it"));
        self.changed.notify_all();
    }

    /// A moment has come.
    fn comes(&self, moment: From) {
        self.change(|state| {
            let Some((what, _)) = state.next.take_if(|(_, from)| *from == moment) else {
                return;
            };
            if what != Held::Answers {
                state.requests = Pace::Held;
            }
            if what != Held::Requests {
                state.answers = Pace::Held;
            }
        });
    }

    /// Waits until bytes get on.
    fn pass(&self, pace: impl Fn(&State) -> Pace) {
        let state = self.state.lock().expect("nobody panics with it");
        let held = |state: &mut State| pace(state) == Pace::Held;
        let state = self.changed.wait_while(state, held);
        let now = pace(&state.expect("nobody panics with it"));
        if let Pace::Slow(by) = now {
            thread::sleep(by);
        }
    }
}

/// Leads both ways until one side is done, or the way is cut.
fn lead(client: &TcpStream, server: &TcpStream, road: &Road) {
    thread::scope(|scope| {
        scope.spawn(|| {
            let _ = there(client, server, road);
            close(client, server);
        });
        scope.spawn(|| {
            let _ = back(client, server, road);
            close(client, server);
        });
    });
}

fn back(mut client: &TcpStream, mut server: &TcpStream, road: &Road) -> io::Result<()> {
    let mut bytes = [0; 16 << 10];
    loop {
        let length = server.read(&mut bytes)?;
        if length == 0 {
            return Ok(());
        }
        road.pass(|state| state.answers);
        client.write_all(&bytes[..length])?;
    }
}

fn there(mut client: &TcpStream, mut server: &TcpStream, road: &Road) -> io::Result<()> {
    let mut bytes = [0; 16 << 10];
    loop {
        let length = client.read(&mut bytes)?;
        if length == 0 {
            return Ok(());
        }
        let sent = &bytes[..length];
        let says = |word: &[u8]| sent.windows(word.len()).any(|part| part == word);
        // Cuts once: whoever comes after it gets through.
        let is_next = |when: Cut| {
            let next = road.cut.compare_exchange(
                when as u8,
                Cut::Never as u8,
                Ordering::SeqCst,
                Ordering::SeqCst,
            );
            next.is_ok()
        };
        let begins = says(b"BEGIN ISOLATION LEVEL READ COMMITTED");
        let commits = says(b"COMMIT\0");
        if begins && is_next(Cut::AtBegin) || commits && is_next(Cut::BeforeCommit) {
            return Ok(());
        }
        if commits && is_next(Cut::InCommit) {
            return server.write_all(&sent[..length / 2]);
        }
        if commits && is_next(Cut::AfterCommit) {
            client.shutdown(Shutdown::Both)?;
            server.write_all(sent)?;
            // Ends when the server has answered and closed.
            server.shutdown(Shutdown::Write)?;
            io::copy(&mut server, &mut io::sink())?;
            return Ok(());
        }
        for (comes, moment) in [(begins, From::Begin), (commits, From::Commit)] {
            if comes {
                road.comes(moment);
            }
        }
        road.pass(|state| state.requests);
        server.write_all(sent)?;
    }
}

fn close(client: &TcpStream, server: &TcpStream) {
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}
