//! A way to a PostgreSQL server that ends at a moment of the test's choice.

use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    thread,
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
}

/// A port on this machine that leads to another one.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    cut: Arc<AtomicU8>,
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
            cut: Arc::new(AtomicU8::new(Cut::Never as u8)),
        };
        let cut = Arc::clone(&proxy.cut);
        thread::spawn(move || {
            for client in listener.incoming() {
                let server = TcpStream::connect(("127.0.0.1", port));
                if let (Ok(client), Ok(server)) = (client, server) {
                    let cut = Arc::clone(&cut);
                    thread::spawn(move || lead(&client, &server, &cut));
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
        self.cut.store(when as u8, Ordering::SeqCst);
    }
}

/// Leads both ways until one side is done, or the way is cut.
fn lead(client: &TcpStream, server: &TcpStream, cut: &AtomicU8) {
    thread::scope(|scope| {
        scope.spawn(|| {
            let _ = there(client, server, cut);
            close(client, server);
        });
        scope.spawn(|| {
            let _ = io::copy(&mut &*server, &mut &*client);
            close(client, server);
        });
    });
}

fn there(mut client: &TcpStream, mut server: &TcpStream, cut: &AtomicU8) -> io::Result<()> {
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
            let next = cut.compare_exchange(
                when as u8,
                Cut::Never as u8,
                Ordering::SeqCst,
                Ordering::SeqCst,
            );
            next.is_ok()
        };
        if says(b"BEGIN ISOLATION LEVEL READ COMMITTED") && is_next(Cut::AtBegin)
            || says(b"COMMIT\0") && is_next(Cut::BeforeCommit)
        {
            return Ok(());
        }
        if says(b"COMMIT\0") && is_next(Cut::AfterCommit) {
            client.shutdown(Shutdown::Both)?;
            server.write_all(sent)?;
            // Ends when the server has answered and closed.
            server.shutdown(Shutdown::Write)?;
            io::copy(&mut server, &mut io::sink())?;
            return Ok(());
        }
        server.write_all(sent)?;
    }
}

fn close(client: &TcpStream, server: &TcpStream) {
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}
