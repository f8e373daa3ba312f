//! Calls that were answered under a key, so that whoever lost the answer asks again and is not
//! charged again: draft-ietf-httpapi-idempotency-key-header.
//!
//! What was done is remembered, here and for a while: another node does not know it, nor this one
//! when it was restarted. A refusal has done nothing, and its key is free again.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use phi_enforce::{Boot, Clock};
use sha2::{Digest as _, Sha256};

use super::{Denied, Limited, TakenAnswer};

/// An answer is remembered for so long: more than a call takes, and what lies between gives up and
/// tries again meanwhile.
pub const REMEMBERED: Duration = Duration::from_secs(5 * 60);
/// So many answers are remembered at once, in half a kilobyte each.
pub const MAX_REMEMBERED: usize = 128 * 1024;
/// Of one client's, so that none takes all: a hundred in each second.
pub const MAX_REMEMBERED_EACH: usize = 32 * 1024;
/// The longest key: UUIDs and hashes are shorter by far.
pub const MAX_KEY: usize = 255;

type Answer = Arc<Limited<TakenAnswer>>;

/// Whose key it is, and which: by a digest, because keys may be long.
type Name = [u8; 32];
/// What was asked for.
type Asked = [u8; 32];

/// The answers of a node.
pub(super) struct Repeats {
    clock: Arc<dyn Clock>,
    room: Room,
    all: Mutex<All>,
}

/// How many answers are remembered.
#[derive(Clone, Copy, Debug)]
struct Room {
    of_all: usize,
    of_each: usize,
}

impl fmt::Debug for Repeats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repeats").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct All {
    by_name: HashMap<Name, (Asked, State)>,
    /// How many of these are whose.
    of_client: HashMap<Arc<str>, usize>,
    /// When which is forgotten, in this order.
    ends: VecDeque<(Boot, Name, Arc<str>)>,
}

enum State {
    InWork,
    Answered(Answer),
}

/// Whether a call is the first under its key.
pub(super) enum Begun<'r> {
    First(Turn<'r>),
    Again(Answer),
}

/// The first call under a key, while it is in work.
pub(super) struct Turn<'r> {
    repeats: &'r Repeats,
    name: Name,
    client: Arc<str>,
}

impl Repeats {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let room = Room {
            of_all: MAX_REMEMBERED,
            of_each: MAX_REMEMBERED_EACH,
        };
        Self {
            clock,
            room,
            all: Mutex::default(),
        }
    }

    /// Begins a call of this client for this, under this key.
    pub(super) fn begin(
        &self,
        client: &str,
        key: &str,
        asked: &[impl AsRef<[u8]>],
    ) -> Result<Begun<'_>, Denied> {
        check_key(key)?;
        let name = digest(&[client.as_bytes(), key.as_bytes()]);
        let asked = digest(asked);
        let mut all = self.all();
        all.forget(self.clock.now().boot);
        match all.by_name.get(&name) {
            Some((other, _)) if *other != asked => return Err(Denied::KeyReused),
            Some((_, State::InWork)) => return Err(Denied::KeyInWork),
            Some((_, State::Answered(answer))) => return Ok(Begun::Again(Arc::clone(answer))),
            None => {}
        }
        if all.by_name.len() >= self.room.of_all {
            return Err(Denied::Busy);
        }
        let client: Arc<str> = client.into();
        let count = all.of_client.entry(Arc::clone(&client)).or_default();
        if *count >= self.room.of_each {
            return Err(Denied::TooManyKeys);
        }
        *count += 1;
        all.by_name.insert(name, (asked, State::InWork));
        Ok(Begun::First(Turn {
            repeats: self,
            name,
            client,
        }))
    }

    fn all(&self) -> MutexGuard<'_, All> {
        // It is changed by steps that cannot panic.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// It was done: this is the answer from now on.
    pub(super) fn answered(self, answer: &Limited<TakenAnswer>) {
        let mut all = self.repeats.all();
        let until = self.repeats.clock.now().boot.plus(REMEMBERED);
        if let Some((_, state)) = all.by_name.get_mut(&self.name) {
            *state = State::Answered(Arc::new(answer.clone()));
            let client = Arc::clone(&self.client);
            all.ends.push_back((until, self.name, client));
        }
    }
}

/// Without an answer nothing was done.
impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut all = self.repeats.all();
        if let Some((_, State::InWork)) = all.by_name.get(&self.name) {
            all.remove(&self.name, &self.client);
        }
    }
}

impl All {
    fn forget(&mut self, now: Boot) {
        while self.ends.front().is_some_and(|(until, _, _)| *until <= now) {
            if let Some((_, name, client)) = self.ends.pop_front() {
                self.remove(&name, &client);
            }
        }
    }

    fn remove(&mut self, name: &Name, client: &Arc<str>) {
        self.by_name.remove(name);
        if let Some(count) = self.of_client.get_mut(client) {
            *count -= 1;
            if *count == 0 {
                self.of_client.remove(client);
            }
        }
    }
}

fn check_key(key: &str) -> Result<(), Denied> {
    let printable = key.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if key.is_empty() || key.len() > MAX_KEY || !printable {
        let problem = "has 1 to 255 printable characters of ASCII";
        return Err(Denied::invalid("idempotency key", problem));
    }
    Ok(())
}

/// Each part by its own digest, so that no two run into each other.
fn digest(parts: &[impl AsRef<[u8]>]) -> [u8; 32] {
    let mut whole = Sha256::new();
    for part in parts {
        whole.update(Sha256::digest(part));
    }
    whole.finalize().into()
}

#[cfg(test)]
mod tests {
    use phi_enforce::{HandClock, Moment};
    use phi_verify::{LicenseId, UnixTime};

    use super::*;
    use crate::service::LimitedBy;

    fn repeats() -> (Arc<HandClock>, Repeats) {
        let clock = Arc::new(HandClock::at(Moment {
            boot: Boot::default(),
            wall: UnixTime::EPOCH.into(),
        }));
        let repeats = Repeats::new(Arc::<HandClock>::clone(&clock));
        (clock, repeats)
    }

    fn answer(left: u64) -> Limited<TakenAnswer> {
        let answer = TakenAnswer {
            license: LicenseId::from_bytes([1; 8]),
            quota: "calls".into(),
            code: 0,
            units: 1,
            left,
            resets: None,
            standing: LimitedBy::Within,
        };
        let limit = None;
        Limited { answer, limit }
    }

    fn first<'r>(repeats: &'r Repeats, client: &str, key: &str) -> Turn<'r> {
        match repeats.begin(client, key, &[b"one"]) {
            Ok(Begun::First(turn)) => turn,
            Ok(Begun::Again(_)) => panic!("{client} {key} was answered"),
            Err(denied) => panic!("{client} {key}: {denied}"),
        }
    }

    fn left(repeats: &Repeats, key: &str) -> Option<u64> {
        match repeats.begin("web", key, &[b"one"]) {
            Ok(Begun::Again(again)) => Some(again.answer.left),
            Ok(Begun::First(_)) => None,
            Err(denied) => panic!("{denied}"),
        }
    }

    fn denied(repeats: &Repeats, key: &str, asked: &[&[u8]]) -> Option<Denied> {
        repeats.begin("web", key, asked).err()
    }

    #[test]
    fn a_key_has_one_answer_for_its_time() {
        let (clock, repeats) = repeats();
        let turn = first(&repeats, "web", "k");
        assert_eq!(denied(&repeats, "k", &[b"one"]), Some(Denied::KeyInWork));
        assert_eq!(denied(&repeats, "k", &[b"two"]), Some(Denied::KeyReused));
        turn.answered(&answer(9));
        assert_eq!(left(&repeats, "k"), Some(9));
        // What is asked for is compared part by part, and a key is its client's own.
        assert_eq!(
            denied(&repeats, "k", &[b"on", b"e"]),
            Some(Denied::KeyReused)
        );
        drop(first(&repeats, "team", "k"));
        drop(first(&repeats, "we", "bk"));
        clock.pass(REMEMBERED / 2);
        assert_eq!(left(&repeats, "k"), Some(9));
        clock.pass(REMEMBERED / 2);
        assert_eq!(left(&repeats, "k"), None);
        assert!(repeats.all().by_name.is_empty() && repeats.all().of_client.is_empty());
    }

    #[test]
    fn what_was_not_done_is_not_remembered() {
        let (clock, repeats) = repeats();
        drop(first(&repeats, "web", "k"));
        assert_eq!(denied(&repeats, "k", &[b"two"]), None, "the key is free");
        // A call that outlives the answers before it keeps its key.
        first(&repeats, "web", "other").answered(&answer(1));
        let long = first(&repeats, "web", "k");
        clock.pass(2 * REMEMBERED);
        assert_eq!(denied(&repeats, "k", &[b"one"]), Some(Denied::KeyInWork));
        long.answered(&answer(2));
        assert_eq!(left(&repeats, "k"), Some(2));
    }

    #[test]
    fn no_client_has_all_the_room() {
        let (clock, mut repeats) = repeats();
        repeats.room = Room {
            of_all: 9,
            of_each: 3,
        };
        let fill = |client: &str| {
            for key in ["1", "2", "3"] {
                first(&repeats, client, key).answered(&answer(0));
            }
        };
        fill("web");
        assert_eq!(
            denied(&repeats, "more", &[b"one"]),
            Some(Denied::TooManyKeys)
        );
        assert_eq!(left(&repeats, "2"), Some(0), "what is known is known");
        drop(first(&repeats, "team", "more"));
        clock.pass(REMEMBERED);
        drop(first(&repeats, "web", "more"));
        ["one", "two", "three"].into_iter().for_each(fill);
        assert_eq!(denied(&repeats, "more", &[b"one"]), Some(Denied::Busy));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let (_, repeats) = repeats();
        for key in ["", "a\nb", "\u{e9}", &"k".repeat(256)] {
            let refused = denied(&repeats, key, &[b"one"]);
            assert!(matches!(refused, Some(Denied::Invalid { .. })), "{key:?}");
        }
        assert_eq!(denied(&repeats, &"k".repeat(255), &[b"one"]), None);
    }
}
