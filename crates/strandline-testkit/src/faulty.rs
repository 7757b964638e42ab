//! A store that fails by script.
//!
//! Invariants:
//! - Without a fault for it, a request passes unchanged.
//! - "Applied" means that the store below has done it, its condition checked; "not applied" that it never saw it.
//! - A zombie is applied at most once, alone, with its condition checked when it lands.
//! - Requests are numbered in the order in which they were first polled, so a deterministic test has a deterministic run.
//!
//! What does not belong here: which faults there are (`fault`) and what they look like to a caller (`answer`).

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures::{FutureExt, TryFutureExt};
use object_store::{ObjectStore, Result};

use crate::answer::{Answer, Dialect};
use crate::damage;
use crate::fault::{Effect, Fault, Release, Script};
use crate::intercept::{Body, Intercepted, Layer, Reply, Sending};
use crate::request::Request;
use crate::running::Running;
use crate::shared::Shared;

/// A store that fails by script. Clones share the script.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use std::sync::Arc;
/// use object_store::{ObjectStoreExt, memory::InMemory, path::Path};
/// use strandline_testkit::{Answer, Effect, FaultyStore, RequestKind, Script, Target};
///
/// let lost_answer = Script::empty().and(Target::any().kind(RequestKind::Put), Effect::apply_then(Answer::Timeout));
/// let store = FaultyStore::new(Arc::new(InMemory::new()), lost_answer);
/// assert!(store.put(&Path::from("a"), "x".into()).await.is_err());
/// assert!(store.get(&Path::from("a")).await.is_ok(), "{}", store.log());
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
pub type FaultyStore = Intercepted<Faults>;

/// The script of a [`FaultyStore`] and what has become of it.
#[derive(Debug, Default)]
pub struct Faults {
    state: Shared<State>,
}

/// What became of a zombie when it landed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Landing {
    /// The request.
    pub request: Request,
    /// Why the store refused it, if it did: mostly because its condition no longer held.
    pub refused: Option<String>,
}

#[derive(Debug, Default)]
struct State {
    dialect: Dialect,
    running: Running,
    /// How many requests have ended.
    ended: usize,
    zombies: VecDeque<Zombie>,
    landings: Vec<Landing>,
}

/// A request still on its way although its caller has given it up.
struct Zombie {
    request: Request,
    send: Sending<()>,
    /// How many requests must have ended when it lands by itself.
    due: Option<usize>,
}

impl fmt::Debug for Zombie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Zombie")
            .field("request", &self.request)
            .field("due", &self.due)
            .finish_non_exhaustive()
    }
}

impl FaultyStore {
    /// `inner`, failing by `script`.
    pub fn new(inner: Arc<dyn ObjectStore>, script: impl Into<Script>) -> Self {
        let store = Self::layered(inner, Faults::default());
        store.set_script(script);
        store
    }

    /// `inner` without faults: to record a run.
    pub fn recording(inner: Arc<dyn ObjectStore>) -> Self {
        Self::new(inner, Script::empty())
    }

    /// The same store with the errors of another client.
    #[must_use]
    pub fn with_dialect(self, dialect: Dialect) -> Self {
        self.layer().state.with(|state| state.dialect = dialect);
        self
    }

    /// Begins another script and another recording. Zombies stay on their way.
    pub fn set_script(&self, script: impl Into<Script>) {
        let running = Running::from(script.into());
        self.layer().state.with(|state| {
            state.running = running;
            state.landings.clear();
        });
    }

    /// The requests since the script began, in the order in which they were sent.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.layer().state.with(|state| state.running.requests())
    }

    /// The faults of the script that have not fired: a test with one of them has not tested it.
    #[must_use]
    pub fn unfired(&self) -> Vec<Fault> {
        self.layer().state.with(|state| state.running.unfired())
    }

    /// The zombies that are still on their way, oldest first.
    #[must_use]
    pub fn zombies(&self) -> Vec<Request> {
        self.layer().state.with(|state| state.zombies.iter().map(|zombie| zombie.request.clone()).collect())
    }

    /// Lets all zombies land now, oldest first, and says what became of each.
    pub async fn release_zombies(&self) -> Vec<Landing> {
        let mut landings = Vec::new();
        while let Some(zombie) = self.layer().state.with(|state| state.zombies.pop_front()) {
            landings.push(self.layer().land(zombie).await);
        }
        landings
    }

    /// What became of all zombies that have landed since the script began.
    #[must_use]
    pub fn landings(&self) -> Vec<Landing> {
        self.layer().state.with(|state| state.landings.clone())
    }

    /// The run with its faults, a line for each request, for the message of an assertion.
    #[must_use]
    pub fn log(&self) -> String {
        self.layer().state.with(|state| {
            let landings = state.landings.iter().map(|landing| format!("     {landing}\n"));
            state.running.lines().chain(landings).collect()
        })
    }
}

impl fmt::Display for Landing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.refused {
            None => write!(f, "landed late: {}", self.request),
            Some(why) => write!(f, "landed late and was refused: {}: {why}", self.request),
        }
    }
}

impl Layer for Faults {
    const NAME: &'static str = "FaultyStore";

    fn pass<T: Reply>(self: Arc<Self>, request: Request, send: Sending<T>) -> Sending<T> {
        async move {
            let effect = self.state.with(|state| state.running.begin(&request));
            let reply = self.suffer(&request, effect, send).await;
            self.end().await;
            reply
        }
        .boxed()
    }
}

impl Faults {
    async fn suffer<T: Reply>(
        &self,
        request: &Request,
        effect: Option<Effect>,
        send: Sending<T>,
    ) -> Result<T> {
        match effect {
            None => send.await,
            Some(Effect::Fail { applied, answer }) => {
                apply(applied, send).await;
                Err(self.error(answer, request))
            }
            Some(Effect::Hang { applied }) => {
                apply(applied, send).await;
                std::future::pending().await
            }
            Some(Effect::Zombie(release)) => {
                self.keep(request, release, send);
                Err(self.error(Answer::Timeout, request))
            }
            Some(Effect::Flip { bit }) => {
                send.await?.with_body(move |bytes| whole(damage::flip(&bytes, bit))).await
            }
            Some(Effect::Cut { bytes: tail }) => {
                send.await?.with_body(move |bytes| whole(damage::cut(&bytes, tail))).await
            }
            Some(Effect::Break { after }) => {
                let broken = self.state.with(|state| state.dialect.broken_body());
                send.await?
                    .with_body(move |bytes| Body {
                        bytes: damage::first(&bytes, after),
                        broken: Some(broken),
                    })
                    .await
            }
            // No store takes half of what was announced.
            Some(Effect::Tear { .. }) => Err(self.error(Answer::Closed, request)),
            Some(Effect::Slow(time)) => {
                tokio::time::sleep(time).await;
                send.await
            }
            Some(Effect::Trickle(time)) => {
                let reply = send.await?;
                tokio::time::sleep(time).await;
                Ok(reply)
            }
        }
    }

    fn error(&self, answer: Answer, request: &Request) -> object_store::Error {
        self.state.with(|state| answer.error(state.dialect, request))
    }

    fn keep<T: Reply>(&self, request: &Request, release: Release, send: Sending<T>) {
        let send = send.map_ok(drop).boxed();
        self.state.with(|state| {
            let due = match release {
                // The request itself ends, too.
                Release::After(later) => Some(state.ended + 1 + later),
                Release::ByHand => None,
            };
            state.zombies.push_back(Zombie { request: request.clone(), send, due });
        });
    }

    /// Notes that a request has ended, and lets the zombies land that are due.
    async fn end(&self) {
        self.state.with(|state| state.ended += 1);
        while let Some(zombie) = self.state.with(State::next_due) {
            self.land(zombie).await;
        }
    }

    async fn land(&self, zombie: Zombie) -> Landing {
        let refused = zombie.send.await.err().map(|error| error.to_string());
        let landing = Landing { request: zombie.request, refused };
        self.state.with(|state| state.landings.push(landing.clone()));
        landing
    }
}

impl State {
    fn next_due(&mut self) -> Option<Zombie> {
        let at = self.zombies.iter().position(|zombie| zombie.due.is_some_and(|due| due <= self.ended))?;
        self.zombies.remove(at)
    }
}

/// Lets the store do what it is asked, or not; nobody learns how it went.
async fn apply<T>(applied: bool, send: Sending<T>) {
    if applied {
        drop(send.await);
    }
}

fn whole(bytes: Bytes) -> Body {
    Body { bytes, broken: None }
}

#[cfg(test)]
mod tests;
