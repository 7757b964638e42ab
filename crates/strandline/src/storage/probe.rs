//! Whether a store keeps the conditions that commits rely on, found out by trying [design section 3].
//!
//! Invariants: a store that breaks one condition once is refused, by the name of what it broke; a store that could not be
//! asked (no answer, no rights) is not judged at all; the objects lie under `tmp/probe-<nonce>/` and are removed again.
//! A passed probe is evidence, not proof: it catches the stores and proxies that ignore, strip or misread conditions.

use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use strandline_format::{Nonce, ObjectPath};

use super::refs::{Loaded, RefStore, Reloaded, Swap, Token};
use crate::error::{Error, ErrorKind, Result};
use crate::runtime::Runtime;

/// How many writers race for one object.
const RACERS: u64 = 16;
/// How many objects it puts.
const OBJECTS: u64 = 3;
/// How often one write is sent until it is answered, and the pause before it is sent again. Some servers close a connection
/// behind each refusal without saying so, and the next request on it is lost.
const ATTEMPTS: usize = 4;
const PAUSE: Duration = Duration::from_millis(50);
/// How long removing what a probe left may take.
const CLEAN_UP: Duration = Duration::from_secs(3);

/// Evidence that the store keeps its conditions: only a passed probe makes one.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::storage::Conditions;
///
/// let passed: Conditions = lake.storage().probe().await?;
/// println!("{passed:?}: this store can keep lakes");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conditions(());

/// Tries every condition that commits rely on. About 60 small requests, two times 16 of them at once; a write whose answer is
/// lost is sent again, [`ATTEMPTS`] times at most.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::storage::probe;
///
/// let storage = lake.storage();
/// probe(storage.refs(), storage.runtime()).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// `StoreUnsuitable`, naming what the store did wrong; else whatever kept it from being asked. A dropped future
/// leaves scratch objects, which are nobody's.
pub async fn probe(refs: &dyn RefStore, runtime: &Runtime) -> Result<Conditions> {
    let nonce = runtime.nonce()?;
    let probe = Probe { refs, nonce };
    let verdict = probe.run().await;
    // What stays is nobody's: a store that no longer answers is not waited for.
    let _ = tokio::time::timeout(CLEAN_UP, refs.remove_scratch(nonce, OBJECTS)).await;
    verdict.map(|()| Conditions(()))
}

struct Probe<'a> {
    refs: &'a dyn RefStore,
    nonce: Nonce,
}

fn unsuitable(what: &str) -> Error {
    let text = format!("{what}: commits could be lost here. No lake is kept in such a store");
    Error::new(ErrorKind::StoreUnsuitable, text)
}

fn ensure(holds: bool, what: &str) -> Result<()> {
    if holds { Ok(()) } else { Err(unsuitable(what)) }
}

impl Probe<'_> {
    async fn run(&self) -> Result<()> {
        let path = self.path(0);
        ensure(self.refs.load(&path).await?.is_none(), "it found an object that nobody put")?;
        let first =
            self.must_swap(&path, None, 1, "it refused to create an object that was not there").await?;
        self.must_hold(&path, 1, &first).await?;
        self.must_refuse(&path, None, 2, "it created an object that was there already").await?;
        let second = self.must_swap(&path, Some(&first), 3, "it refused a swap with the right token").await?;
        ensure(first != second, "it gave different bytes the same token")?;
        self.must_refuse(&path, Some(&first), 4, "it took a swap with a stale token").await?;
        self.must_hold(&path, 3, &second).await?;
        self.must_notice(&path, &first).await?;
        self.absent_key_is_refused(&second).await?;
        self.race(&self.path(2), None, "a race to create one object").await?;
        let base = self.refs.load(&path).await?.map(|loaded| loaded.token);
        self.race(&path, base.as_ref(), "a race to swap one object").await
    }

    fn path(&self, number: u64) -> ObjectPath {
        ObjectPath::scratch(self.nonce, number)
    }

    /// No two bodies of a probe are equal, so that equal tokens for them are a fault.
    fn body(&self, number: u64) -> Bytes {
        format!("{{\"probe\":\"{}\",\"n\":{number}}}", self.nonce).into()
    }

    /// The token of a write that was applied, by whichever of its attempts; `None`: it was refused.
    async fn swap(&self, path: &ObjectPath, expected: Option<&Token>, number: u64) -> Result<Option<Token>> {
        let mut lost = None;
        for _ in 0..ATTEMPTS {
            match self.refs.swap(path, expected, self.body(number)).await? {
                Swap::Swapped(token) => return Ok(Some(token)),
                Swap::Moved(_) if lost.is_none() => return Ok(None),
                // The refusal may be for an earlier attempt of ours, whose answer was lost.
                Swap::Moved(_) => return self.own(path, number).await,
                Swap::Unknown(error) if error.kind() == ErrorKind::StoreUnsuitable => return Err(error),
                Swap::Unknown(error) => lost = Some(error),
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(lost.unwrap_or_else(|| Error::new(ErrorKind::Unavailable, "the store gave no answer")))
    }

    /// The token of what stands there, if it is this body.
    async fn own(&self, path: &ObjectPath, number: u64) -> Result<Option<Token>> {
        let found = self.refs.load(path).await?;
        Ok(found.filter(|found| found.bytes == self.body(number)).map(|found| found.token))
    }

    async fn must_swap(
        &self,
        path: &ObjectPath,
        expected: Option<&Token>,
        n: u64,
        else_: &str,
    ) -> Result<Token> {
        self.swap(path, expected, n).await?.ok_or_else(|| unsuitable(else_))
    }

    async fn must_refuse(
        &self,
        path: &ObjectPath,
        expected: Option<&Token>,
        n: u64,
        else_: &str,
    ) -> Result<()> {
        let swapped = self.swap(path, expected, n).await?;
        ensure(swapped.is_none(), else_)
    }

    async fn must_hold(&self, path: &ObjectPath, number: u64, token: &Token) -> Result<()> {
        let found = self.refs.load(path).await?;
        let expected = Loaded { bytes: self.body(number), token: token.clone() };
        ensure(found == Some(expected), "it did not show what had just been written")
    }

    /// A poll that says "unchanged" of what has changed would hide commits.
    async fn must_notice(&self, path: &ObjectPath, stale: &Token) -> Result<()> {
        let polled = self.refs.load_if_changed(path, stale).await?;
        ensure(matches!(polled, Reloaded::Changed(_)), "it said that a changed object was unchanged")
    }

    async fn absent_key_is_refused(&self, token: &Token) -> Result<()> {
        let absent = self.path(1);
        self.must_refuse(&absent, Some(token), 5, "it took a swap of an object that is not there").await?;
        ensure(self.refs.load(&absent).await?.is_none(), "a swap that it refused was applied")
    }

    async fn race(&self, path: &ObjectPath, expected: Option<&Token>, what: &str) -> Result<()> {
        let racers = (0..RACERS).map(|n| self.refs.swap(path, expected, self.body(100 + n)));
        let outcomes: Vec<Swap> = join_all(racers).await.into_iter().collect::<Result<_>>()?;
        let found = self.refs.load(path).await?;
        self.judge_race(&outcomes, found.as_ref()).map_err(|error| error.at(what))
    }

    fn judge_race(&self, outcomes: &[Swap], found: Option<&Loaded>) -> Result<()> {
        let winners = outcomes.iter().filter(|outcome| matches!(outcome, Swap::Swapped(_))).count();
        ensure(winners <= 1, "it told several writers that each had won")?;
        let holder = (100..)
            .zip(outcomes)
            .find(|(number, _)| found.is_some_and(|found| found.bytes == self.body(*number)))
            .map(|(_, outcome)| outcome);
        match holder {
            Some(Swap::Swapped(_)) => Ok(()),
            Some(Swap::Unknown(_)) if winners == 0 => Ok(()),
            Some(_) => Err(unsuitable("it applied a write that it had refused")),
            None if winners > 0 => Err(unsuitable("it lost the write of the winner")),
            None if outcomes.iter().any(|outcome| matches!(outcome, Swap::Unknown(_))) => {
                Err(Error::new(ErrorKind::Unavailable, "the store gave too few answers to be judged"))
            }
            None => Err(unsuitable("it refused every writer")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::refs::{ObjectRefs, RefKind, TokenKind, Transport};
    use async_trait::async_trait;
    use object_store::memory::InMemory;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use strandline_format::RefName;

    /// What a broken store does wrong.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Broken {
        Nothing,
        IgnoresCreate,
        IgnoresToken,
        CreatesOnSwap,
        RefusesEverything,
        RefusesButApplies,
        SaysUnchanged,
        ShowsStale,
        RepeatsToken,
        Answerless,
        /// Every other write is applied and its answer lost.
        LosesAnswers,
        /// The same, and it does not look at tokens.
        LosesAnswersAndTokens,
        ForbidsWrites,
        /// What it has put has no token.
        NamesNothing,
    }

    /// A memory store that breaks one promise.
    #[derive(Debug)]
    struct Store {
        inner: ObjectRefs,
        broken: Broken,
        writes: AtomicU64,
    }

    impl Store {
        fn new(broken: Broken) -> Self {
            let memory = Arc::new(InMemory::new());
            let place = Arc::from("memory");
            let inner = ObjectRefs::new(memory.clone(), memory, Transport::Opaque, TokenKind::ETag, place);
            Self { inner, broken, writes: AtomicU64::new(0) }
        }

        async fn force(&self, path: &ObjectPath, bytes: &Bytes) -> Result<Swap> {
            loop {
                let current = self.inner.load(path).await?.map(|loaded| loaded.token);
                let swap = self.inner.swap(path, current.as_ref(), bytes.clone()).await?;
                if !matches!(swap, Swap::Moved(_)) {
                    return Ok(swap);
                }
            }
        }
    }

    #[async_trait]
    impl RefStore for Store {
        async fn load(&self, path: &ObjectPath) -> Result<Option<Loaded>> {
            let found = self.inner.load(path).await?;
            let stale = self.broken == Broken::ShowsStale && self.writes.load(Ordering::Relaxed) == 1;
            Ok(match self.broken {
                Broken::RepeatsToken => found.map(|found| Loaded { token: Token::new("same"), ..found }),
                _ if stale => None,
                _ => found,
            })
        }

        async fn load_if_changed(&self, path: &ObjectPath, token: &Token) -> Result<Reloaded> {
            match self.broken {
                Broken::SaysUnchanged => Ok(Reloaded::Unchanged),
                _ => self.inner.load_if_changed(path, token).await,
            }
        }

        async fn swap(&self, path: &ObjectPath, expected: Option<&Token>, bytes: Bytes) -> Result<Swap> {
            let number = self.writes.fetch_add(1, Ordering::Relaxed);
            let lost = || Swap::Unknown(Error::new(ErrorKind::Unavailable, "no answer"));
            let there = self.inner.load(path).await?.is_some();
            match self.broken {
                Broken::IgnoresCreate if expected.is_none() => self.force(path, &bytes).await,
                Broken::IgnoresToken if expected.is_some() && there => self.force(path, &bytes).await,
                Broken::CreatesOnSwap if !there => self.force(path, &bytes).await,
                Broken::RefusesEverything => Ok(Swap::Moved(None)),
                Broken::RefusesButApplies if !there && expected.is_some() => {
                    self.force(path, &bytes).await.map(|_| Swap::Moved(None))
                }
                Broken::RepeatsToken => {
                    self.force(path, &bytes).await.map(|_| Swap::Swapped(Token::new("same")))
                }
                Broken::Answerless => Ok(lost()),
                Broken::LosesAnswers if number.is_multiple_of(2) => {
                    self.inner.swap(path, expected, bytes).await.map(|_| lost())
                }
                Broken::LosesAnswersAndTokens if number.is_multiple_of(2) && expected.is_some() => {
                    self.force(path, &bytes).await.map(|_| lost())
                }
                Broken::NamesNothing => {
                    let nameless = Error::new(ErrorKind::StoreUnsuitable, "no ETag");
                    Ok(match self.inner.swap(path, expected, bytes).await? {
                        Swap::Swapped(_) => Swap::Unknown(nameless),
                        other => other,
                    })
                }
                Broken::ForbidsWrites => Err(Error::new(ErrorKind::PermissionDenied, "read only")),
                _ => self.inner.swap(path, expected, bytes).await,
            }
        }

        async fn list(&self, kind: RefKind) -> Result<Vec<RefName>> {
            self.inner.list(kind).await
        }

        async fn remove_scratch(&self, probe: Nonce, objects: u64) {
            self.inner.remove_scratch(probe, objects).await;
        }
    }

    #[tokio::test]
    async fn each_broken_promise_is_named() {
        for (broken, kind, names) in [
            (Broken::IgnoresCreate, ErrorKind::StoreUnsuitable, "created an object that was there already"),
            (Broken::IgnoresToken, ErrorKind::StoreUnsuitable, "stale token"),
            (Broken::CreatesOnSwap, ErrorKind::StoreUnsuitable, "took a swap of an object that is not there"),
            (Broken::RefusesEverything, ErrorKind::StoreUnsuitable, "refused to create"),
            (Broken::RefusesButApplies, ErrorKind::StoreUnsuitable, "a swap that it refused was applied"),
            (Broken::SaysUnchanged, ErrorKind::StoreUnsuitable, "unchanged"),
            (Broken::ShowsStale, ErrorKind::StoreUnsuitable, "did not show what had just been written"),
            (Broken::RepeatsToken, ErrorKind::StoreUnsuitable, "created an object that was there already"),
            (Broken::Answerless, ErrorKind::Unavailable, "no answer"),
            (Broken::LosesAnswersAndTokens, ErrorKind::StoreUnsuitable, "stale token"),
            (Broken::ForbidsWrites, ErrorKind::PermissionDenied, "read only"),
            (Broken::NamesNothing, ErrorKind::StoreUnsuitable, "no ETag"),
        ] {
            let error = probe(&Store::new(broken), &Runtime::system()).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{broken:?}: {error}");
            assert!(error.to_string().contains(names), "{broken:?}: {error}");
        }
    }

    #[tokio::test]
    async fn a_store_that_keeps_its_promises_passes_and_is_left_clean() {
        let memory = Arc::new(InMemory::new());
        let refs = ObjectRefs::new(
            memory.clone(),
            memory.clone(),
            Transport::Opaque,
            TokenKind::ETag,
            Arc::from("memory"),
        );
        probe(&refs, &Runtime::system()).await.unwrap();
        for fair in [Broken::Nothing, Broken::LosesAnswers] {
            probe(&Store::new(fair), &Runtime::system()).await.unwrap();
        }
        let left: Vec<_> = futures::StreamExt::collect(object_store::ObjectStore::list(&*memory, None)).await;
        assert!(left.is_empty(), "{left:?}");
    }

    #[test]
    fn a_race_is_judged_by_what_stands_there() {
        let store = Store::new(Broken::Nothing);
        let probe = Probe { refs: &store, nonce: Nonce::from_bytes([1; 16]) };
        let moved = || Swap::Moved(None);
        let won = || Swap::Swapped(Token::new("t"));
        let lost = || Swap::Unknown(Error::new(ErrorKind::Unavailable, "no answer"));
        let holds = |n: u64| Some(Loaded { bytes: probe.body(100 + n), token: Token::new("t") });
        let check = |outcomes: &[Swap], found: Option<Loaded>, expected: Option<ErrorKind>| {
            let verdict = probe.judge_race(outcomes, found.as_ref());
            assert_eq!(verdict.map_err(|error| error.kind()).err(), expected, "{outcomes:?}");
        };
        check(&[moved(), won()], holds(1), None);
        check(&[moved(), lost()], holds(1), None);
        check(&[won(), won()], holds(1), Some(ErrorKind::StoreUnsuitable));
        check(&[won(), moved()], holds(1), Some(ErrorKind::StoreUnsuitable));
        check(&[won(), moved()], None, Some(ErrorKind::StoreUnsuitable));
        check(&[moved(), moved()], None, Some(ErrorKind::StoreUnsuitable));
        check(&[moved(), lost()], None, Some(ErrorKind::Unavailable));
    }
}
