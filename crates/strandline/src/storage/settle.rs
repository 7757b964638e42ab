//! A swap whose outcome is found out: the one answer to [`Swap::Unknown`] [design section 6].
//!
//! The rule: look for what is ours in what stands there, on *every* look, whether the last answer was "moved" or none at
//! all. If it is there, the swap was applied. If it is not and the token has changed, no earlier request can land any more,
//! because tokens never repeat. If the token is the same, the same bytes are sent again, which at most one of the requests
//! can turn into a change. Rejected: "is the newest one mine?" (somebody may have built upon it); reading once and deciding
//! (the request may land after the read); taking a timeout for a failure. What to do about a lost race (rebase, fence,
//! give up) is the caller's.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use strandline_format::ObjectPath;

use super::refs::{Loaded, RefStore, Swap, Token};
use crate::error::{Error, ErrorKind, Result};
use crate::runtime::{Deadline, Runtime};

/// How long the first pause is, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// Finds out whether a change stands in what a ref holds, or in the history behind it.
///
/// ```
/// use async_trait::async_trait;
/// use strandline::storage::{Loaded, Recognise};
///
/// /// Ours is whatever has our mark in it.
/// struct Marked(&'static [u8]);
///
/// #[async_trait]
/// impl Recognise for Marked {
///     async fn is_mine(&self, current: &Loaded) -> strandline::Result<bool> {
///         Ok(current.bytes.windows(self.0.len()).any(|part| part == self.0))
///     }
/// }
///
/// // A closure does as well.
/// let _closure: &dyn Recognise = &|current: &Loaded| Ok(current.bytes.ends_with(b"mine"));
/// let _marked: &dyn Recognise = &Marked(b"mine");
/// ```
#[async_trait]
pub trait Recognise: Send + Sync {
    /// Whether the change is in `current`.
    ///
    /// # Errors
    /// If it could not be found out; a retryable one is tried again until the deadline.
    async fn is_mine(&self, current: &Loaded) -> Result<bool>;

    /// The same, once a sending has gone unanswered: what others can bring about as well, such as a branch that is live at
    /// some commit, passes for ours only then [BR-1].
    ///
    /// # Errors
    /// As [`Recognise::is_mine`].
    async fn is_mine_in_doubt(&self, current: &Loaded) -> Result<bool> {
        self.is_mine(current).await
    }

    /// Whether the change may be sent now, asked before each sending: the store may be another one by now [STO-9]. No request.
    ///
    /// # Errors
    /// Why not. If an earlier sending is in doubt, it stays so.
    fn may_be_sent(&self) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl<F: Fn(&Loaded) -> Result<bool> + Send + Sync> Recognise for F {
    async fn is_mine(&self, current: &Loaded) -> Result<bool> {
        self(current)
    }
}

/// The outcome of a swap that was followed up.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use std::time::Duration;
/// use strandline::Deadline;
/// use strandline::format::{Nonce, ObjectPath};
/// use strandline::storage::{Change, Loaded, Settled, settle};
///
/// let storage = lake.storage();
/// let path = ObjectPath::scratch(Nonce::from_bytes([7; 16]), 1);
/// let change = Change { path, expected: None, bytes: "mine".into() };
/// let mine = |current: &Loaded| Ok(current.bytes == "mine");
/// let deadline = Deadline::after(Duration::from_secs(5));
/// match settle(storage.refs(), &change, &mine, deadline, storage.runtime()).await? {
///     Settled::Applied(stands) => assert_eq!(stands.bytes, "mine"),
///     Settled::NotApplied(other) => panic!("lost against {other:?}"),
///     Settled::Unknown(error) => panic!("could not be found out: {error}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a lost race and an unknown outcome are told by this value alone"]
pub enum Settled {
    /// It was applied. What stands there by it, or by now upon it.
    Applied(Loaded),
    /// It was not applied and never will be. What stands there instead; `None`: nothing.
    NotApplied(Option<Loaded>),
    /// The time was up before it could be found out; it may still be applied.
    Unknown(Error),
}

/// One swap to be carried through: which ref, from what, to what.
///
/// ```
/// use strandline::format::{Nonce, ObjectPath};
/// use strandline::storage::Change;
///
/// // It must not be there yet.
/// let path = ObjectPath::scratch(Nonce::from_bytes([7; 16]), 1);
/// let change = Change { path, expected: None, bytes: "mine".into() };
/// assert!(change.expected.is_none());
/// ```
#[derive(Clone, Debug)]
pub struct Change {
    /// The ref.
    pub path: ObjectPath,
    /// What it replaces; `None`: it must not be there yet.
    pub expected: Option<Token>,
    /// What it puts there. The same bytes are sent each time, so they hold a nonce of their own.
    pub bytes: Bytes,
}

/// Swaps, and finds out what came of it, until the deadline.
///
/// One request if nobody is in the way; two for a lost race. A dropped future leaves the outcome unknown.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use std::time::Duration;
/// use strandline::Deadline;
/// use strandline::format::{Nonce, ObjectPath};
/// use strandline::storage::{Change, Loaded, Settled, settle};
///
/// let storage = lake.storage();
/// let path = ObjectPath::scratch(Nonce::from_bytes([7; 16]), 1);
/// let theirs = Change { path: path.clone(), expected: None, bytes: "theirs".into() };
/// let ours = Change { path, expected: None, bytes: "ours".into() };
/// let deadline = Deadline::after(Duration::from_secs(5));
/// for (change, who) in [(&theirs, "theirs"), (&ours, "ours")] {
///     let mine = move |current: &Loaded| Ok(current.bytes == who);
///     let settled = settle(storage.refs(), change, &mine, deadline, storage.runtime()).await?;
///     assert_eq!(matches!(settled, Settled::Applied(_)), who == "theirs");
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// An error means for certain that nothing was applied and never will be.
pub async fn settle(
    refs: &dyn RefStore,
    change: &Change,
    mine: &dyn Recognise,
    deadline: Deadline,
    runtime: &Runtime,
) -> Result<Settled> {
    let mut attempts = Attempts {
        refs,
        change,
        mine,
        deadline,
        doubt: None,
        unread: false,
        missed: false,
        absent: false,
        trouble: None,
    };
    let (mut pause, longest) = PAUSES;
    loop {
        if let Some(settled) = attempts.send().await? {
            return Ok(settled);
        }
        if let Some(settled) = attempts.look().await? {
            return Ok(settled);
        }
        if deadline.passed() {
            return attempts.give_up();
        }
        deadline.sleep(jittered(pause, runtime)?).await;
        pause = (pause * 2).min(longest);
    }
}

struct Attempts<'a> {
    refs: &'a dyn RefStore,
    change: &'a Change,
    mine: &'a dyn Recognise,
    deadline: Deadline,
    /// Why an earlier request may still be applied.
    doubt: Option<Error>,
    /// Whether the ref was not read since the last sending. An answer of "moved" is then no proof that nothing was applied: a
    /// proxy may have sent the request twice, and passed on what its own success made of the second one.
    unread: bool,
    /// Whether it could not be read since: then others may have changed it before it is [UNK-2].
    missed: bool,
    /// Whether the last sending was told that nothing is there to be replaced.
    absent: bool,
    /// What last kept us from an answer, where nothing is in doubt.
    trouble: Option<Error>,
}

impl Attempts<'_> {
    async fn send(&mut self) -> Result<Option<Settled>> {
        match self.mine.may_be_sent() {
            Ok(()) => {}
            Err(error) if self.doubt.is_some() || self.unread => return Ok(Some(Settled::Unknown(error))),
            Err(error) => return Err(error),
        }
        let Change { path, expected, bytes } = self.change;
        let swap = self.refs.swap(path, expected.as_ref(), bytes.clone());
        let unread = std::mem::replace(&mut self.unread, true);
        let sent = self.deadline.run("the swap", swap).await;
        self.absent =
            matches!(&sent, Ok(Ok(Swap::Moved(Some(reason)))) if reason.kind() == ErrorKind::NotFound);
        match sent {
            Ok(Ok(Swap::Swapped(token))) => {
                return Ok(Some(Settled::Applied(Loaded { bytes: bytes.clone(), token })));
            }
            Ok(Ok(Swap::Moved(None))) => {}
            Ok(Ok(Swap::Moved(Some(reason)))) => self.trouble = Some(kept_out(&reason)),
            Ok(Ok(Swap::Unknown(error))) => self.doubt = Some(error),
            Ok(Err(error)) => {
                // It was never sent, or refused.
                self.unread = unread;
                return self.fail(error);
            }
            // The request was dropped on its way.
            Err(late) => self.doubt = Some(late.at(path)),
        }
        Ok(None)
    }

    async fn look(&mut self) -> Result<Option<Settled>> {
        let current = match self.deadline.run("reading it back", self.refs.load(&self.change.path)).await {
            Ok(Ok(current)) => current,
            Ok(Err(error)) | Err(error) => return self.miss(error),
        };
        if current.is_none() && self.change.expected.is_some() && (self.doubt.is_some() || !self.absent) {
            // What was replaced is never gone: whoever answers so is not the store, unless the sending was told the same.
            let text = "read back, it is not there, though it was before: it was removed by hand, or it is not the store that answers";
            return self.miss(Error::new(ErrorKind::Unavailable, text).at(&self.change.path));
        }
        if let Some(loaded) = &current {
            match self.deadline.run("looking for the change", self.recognise(loaded)).await {
                Ok(Ok(true)) => return Ok(current.map(Settled::Applied)),
                Ok(Ok(false)) => {}
                Ok(Err(error)) | Err(error) => return self.miss(error),
            }
        }
        (self.unread, self.missed) = (false, false);
        let untouched = current.as_ref().map(|loaded| &loaded.token) == self.change.expected.as_ref();
        Ok((!untouched).then_some(Settled::NotApplied(current)))
    }

    async fn recognise(&self, current: &Loaded) -> Result<bool> {
        if self.doubt.is_some() || self.missed {
            self.mine.is_mine_in_doubt(current).await
        } else {
            self.mine.is_mine(current).await
        }
    }

    fn miss(&mut self, error: Error) -> Result<Option<Settled>> {
        self.missed = true;
        self.fail(error)
    }

    /// Something went wrong that did not apply anything by itself.
    fn fail(&mut self, error: Error) -> Result<Option<Settled>> {
        match (error.is_retryable(), self.doubt.is_some() || self.unread) {
            (true, _) => {
                self.trouble = Some(error);
                Ok(None)
            }
            (false, true) => Ok(Some(Settled::Unknown(error))),
            (false, false) => Err(error),
        }
    }

    fn give_up(self) -> Result<Settled> {
        if let Some(doubt) = self.doubt {
            return Ok(Settled::Unknown(doubt));
        }
        let busy = || Error::new(ErrorKind::Unavailable, "other writers kept it busy").at(&self.change.path);
        let error = self.trouble.unwrap_or_else(busy);
        if self.unread { Ok(Settled::Unknown(error)) } else { Err(error) }
    }
}

/// Nobody else's change stands there, but the store did not take ours: it alone knows why.
fn kept_out(reason: &Error) -> Error {
    Error::new(ErrorKind::Unavailable, format!("not taken until the time was up: {}", reason.message()))
}

/// Between half of the pause and all of it.
fn jittered(pause: Duration, runtime: &Runtime) -> Result<Duration> {
    let [random] = runtime.random::<1>()?;
    Ok(pause / 2 + pause / 2 * u32::from(random) / 255)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::refs::{RefKind, Reloaded};
    use std::collections::VecDeque;
    use std::sync::Mutex;
    use strandline_format::{Nonce, RefName};

    /// What the store does to one swap, whatever it answers.
    #[derive(Clone, Copy, Debug)]
    enum Act {
        Honest,
        ApplyAndForget,
        ApplyAndSayMoved,
        Drop,
        Busy,
        Refuse,
        Immutable,
        Gone,
        Full,
        Overtaken,
    }

    #[derive(Debug)]
    struct Scripted {
        value: Mutex<Option<(u64, Bytes)>>,
        script: Mutex<VecDeque<Act>>,
        /// What becomes of the first reads; those after them are answered. One that is `NotFound` finds nothing.
        reads: Mutex<VecDeque<ErrorKind>>,
    }

    impl Scripted {
        fn new(script: &[Act]) -> Self {
            Self {
                value: Mutex::new(Some((0, "base".into()))),
                script: Mutex::new(script.iter().copied().collect()),
                reads: Mutex::default(),
            }
        }

        /// The same, with reads that fail so.
        fn unreadable(script: &[Act], reads: &[ErrorKind]) -> Self {
            Self { reads: Mutex::new(reads.iter().copied().collect()), ..Self::new(script) }
        }

        fn apply(&self, expected: Option<&Token>, bytes: Bytes) -> Swap {
            let mut value = self.value.lock().unwrap();
            if value.as_ref().map(|(version, _)| Token::new(&version.to_string())).as_ref() != expected {
                return Swap::Moved(None);
            }
            let next = value.as_ref().map_or(1, |(version, _)| version + 1);
            *value = Some((next, bytes));
            Swap::Swapped(Token::new(&next.to_string()))
        }
    }

    fn lost() -> Error {
        Error::new(ErrorKind::Unavailable, "no answer")
    }

    #[async_trait]
    impl RefStore for Scripted {
        async fn load(&self, _: &ObjectPath) -> Result<Option<Loaded>> {
            if let Some(kind) = self.reads.lock().unwrap().pop_front() {
                if kind == ErrorKind::NotFound {
                    return Ok(None);
                }
                return Err(Error::new(kind, "not read"));
            }
            let value = self.value.lock().unwrap().clone();
            Ok(value.map(|(version, bytes)| Loaded { bytes, token: Token::new(&version.to_string()) }))
        }

        async fn load_if_changed(&self, _: &ObjectPath, _: &Token) -> Result<Reloaded> {
            unreachable!()
        }

        async fn swap(&self, _: &ObjectPath, expected: Option<&Token>, bytes: Bytes) -> Result<Swap> {
            let act = self.script.lock().unwrap().pop_front().unwrap_or(Act::Honest);
            match act {
                Act::Honest => Ok(self.apply(expected, bytes)),
                Act::ApplyAndForget => {
                    let _ = self.apply(expected, bytes);
                    Ok(Swap::Unknown(lost()))
                }
                Act::ApplyAndSayMoved => {
                    let _ = self.apply(expected, bytes);
                    Ok(Swap::Moved(None))
                }
                Act::Drop => Ok(Swap::Unknown(lost())),
                Act::Busy => Ok(Swap::Moved(None)),
                Act::Immutable => Ok(Swap::Moved(Some(Error::new(ErrorKind::AlreadyExists, "immutable")))),
                Act::Gone => Ok(Swap::Moved(Some(Error::new(ErrorKind::NotFound, "it is not there")))),
                Act::Full => Err(Error::new(ErrorKind::StoreFull, "no space")),
                Act::Refuse => Err(Error::new(ErrorKind::PermissionDenied, "no")),
                Act::Overtaken => {
                    let _ = self.apply(expected, bytes.clone());
                    let value = [&bytes[..], b"+theirs"].concat();
                    let _ = self.apply(Some(&Token::new("1")), value.into());
                    Ok(Swap::Unknown(lost()))
                }
            }
        }

        async fn list(&self, _: RefKind) -> Result<Vec<RefName>> {
            unreachable!()
        }

        async fn remove_scratch(&self, _: Nonce, _: u64) {}
    }

    async fn run(store: &Scripted, expected: &str) -> Result<Settled> {
        let change = Change {
            path: ObjectPath::branch(&RefName::new("main").unwrap()),
            expected: Some(Token::new(expected)),
            bytes: "mine".into(),
        };
        let mine = |current: &Loaded| Ok(current.bytes.starts_with(b"mine"));
        settle(store, &change, &mine, Deadline::after(Duration::from_secs(5)), &Runtime::system()).await
    }

    #[tokio::test(start_paused = true)]
    async fn every_fault_that_passes_ends_applied_exactly_once() {
        for script in [
            &[][..],
            &[Act::ApplyAndForget],
            &[Act::ApplyAndSayMoved],
            &[Act::Drop],
            &[Act::Drop, Act::ApplyAndForget],
            &[Act::Busy, Act::Busy],
            &[Act::Drop, Act::Busy, Act::ApplyAndSayMoved],
            &[Act::Overtaken],
        ] {
            let store = Scripted::new(script);
            assert!(matches!(run(&store, "0").await.unwrap(), Settled::Applied(_)), "{script:?}");
            let version = store.value.lock().unwrap().as_ref().unwrap().0;
            let changes = if matches!(script, [Act::Overtaken]) { 2 } else { 1 };
            assert_eq!(version, changes, "{script:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_race_names_what_stands_there() {
        let store = Scripted::new(&[]);
        let Settled::NotApplied(Some(current)) = run(&store, "stale").await.unwrap() else { panic!() };
        assert_eq!(current.bytes, "base");
    }

    #[tokio::test(start_paused = true)]
    async fn a_doubt_is_never_reported_as_a_failure() {
        let all_lost = Scripted::new(&[Act::Drop; 64]);
        assert!(matches!(run(&all_lost, "0").await.unwrap(), Settled::Unknown(_)));
        let refused_later = Scripted::new(&[Act::Drop, Act::Refuse]);
        assert!(matches!(run(&refused_later, "0").await.unwrap(), Settled::Unknown(_)));
        let refused = Scripted::new(&[Act::Refuse]);
        assert_eq!(run(&refused, "0").await.unwrap_err().kind(), ErrorKind::PermissionDenied);
        let busy = Scripted::new(&[Act::Busy; 64]);
        assert_eq!(run(&busy, "0").await.unwrap_err().kind(), ErrorKind::Unavailable);
    }

    /// A proxy that sends a swap twice passes on what its own success made of the second one: "moved" is no proof until the ref
    /// was read after it [UNK-2].
    #[tokio::test(start_paused = true)]
    async fn moved_is_in_doubt_until_the_ref_was_read() {
        const GONE: ErrorKind = ErrorKind::Unavailable;
        const REFUSED: ErrorKind = ErrorKind::PermissionDenied;
        let check = async |script: &[Act], reads: &[ErrorKind], expected: &str| {
            let store = Scripted::unreadable(script, reads);
            let found = match run(&store, "0").await {
                Ok(Settled::Applied(_)) => "applied",
                Ok(Settled::NotApplied(_)) => "not applied",
                Ok(Settled::Unknown(_)) => "unknown",
                Err(_) => "error",
            };
            assert_eq!(found, expected, "{script:?} {reads:?}");
        };
        for act in [Act::ApplyAndSayMoved, Act::Busy] {
            check(&[act; 64], &[GONE; 64], "unknown").await;
            check(&[act], &[REFUSED], "unknown").await;
            check(&[act, Act::Refuse], &[GONE], "unknown").await;
        }
        check(&[Act::ApplyAndSayMoved], &[GONE], "applied").await;
        // Whoever stands in front of the store may know of nothing that it has.
        const NOTHING: ErrorKind = ErrorKind::NotFound;
        check(&[Act::ApplyAndForget], &[NOTHING], "applied").await;
        check(&[Act::ApplyAndSayMoved], &[GONE, NOTHING], "applied").await;
        check(&[Act::ApplyAndForget], &[NOTHING; 64], "unknown").await;
        check(&[Act::ApplyAndSayMoved], &[NOTHING], "applied").await;
        check(&[Act::ApplyAndSayMoved; 64], &[NOTHING; 64], "unknown").await;
        check(&[Act::Busy], &[NOTHING], "applied").await;
        // Only if both say the same is it gone.
        check(&[Act::Gone], &[NOTHING], "not applied").await;
        check(&[Act::ApplyAndForget, Act::Gone], &[GONE, NOTHING, NOTHING], "applied").await;
        check(&[Act::Busy, Act::Busy, Act::Refuse], &[], "error").await;
        check(&[Act::Busy, Act::Refuse], &[], "error").await;
        check(&[Act::Full], &[GONE], "error").await;
    }

    /// Takes what anybody may have brought about for its own, once a sending is in doubt.
    #[derive(Debug)]
    struct InDoubt;

    #[async_trait]
    impl Recognise for InDoubt {
        async fn is_mine(&self, _: &Loaded) -> Result<bool> {
            Ok(false)
        }

        async fn is_mine_in_doubt(&self, current: &Loaded) -> Result<bool> {
            Ok(current.bytes.starts_with(b"mine"))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_others_can_bring_about_is_ours_only_in_doubt() {
        let away: &[ErrorKind] = &[ErrorKind::Unavailable];
        for (act, reads, expected) in [
            (Act::ApplyAndForget, &[][..], true),
            (Act::ApplyAndSayMoved, &[], false),
            (Act::ApplyAndSayMoved, away, true),
        ] {
            let store = Scripted::unreadable(&[act], reads);
            let change = Change {
                path: ObjectPath::branch(&RefName::new("main").unwrap()),
                expected: Some(Token::new("0")),
                bytes: "mine".into(),
            };
            let deadline = Deadline::after(Duration::from_secs(5));
            let settled = settle(&store, &change, &InDoubt, deadline, &Runtime::system()).await.unwrap();
            assert_eq!(matches!(settled, Settled::Applied(_)), expected, "{act:?} {reads:?}");
        }
    }

    /// Lets a change be sent so often.
    #[derive(Debug)]
    struct Sendable(Mutex<u32>);

    #[async_trait]
    impl Recognise for Sendable {
        async fn is_mine(&self, current: &Loaded) -> Result<bool> {
            Ok(current.bytes.starts_with(b"mine"))
        }

        fn may_be_sent(&self) -> Result<()> {
            let mut left = self.0.lock().unwrap();
            *left = left.checked_sub(1).ok_or_else(|| Error::new(ErrorKind::Unavailable, "another store"))?;
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_not_be_sent_again_stays_in_doubt() {
        for (times, act, expected) in [
            (0, Act::Honest, "error"),
            (1, Act::Honest, "applied"),
            (1, Act::ApplyAndForget, "applied"),
            (1, Act::Drop, "unknown"),
            (2, Act::Drop, "applied"),
        ] {
            let store = Scripted::new(&[act]);
            let change = Change {
                path: ObjectPath::branch(&RefName::new("main").unwrap()),
                expected: Some(Token::new("0")),
                bytes: "mine".into(),
            };
            let (mine, deadline) = (Sendable(Mutex::new(times)), Deadline::after(Duration::from_secs(5)));
            let found = match settle(&store, &change, &mine, deadline, &Runtime::system()).await {
                Ok(Settled::Applied(_)) => "applied",
                Ok(Settled::Unknown(_)) => "unknown",
                Ok(Settled::NotApplied(_)) => "not applied",
                Err(_) => "error",
            };
            assert_eq!(found, expected, "{times} {act:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_store_said_last_is_in_the_error() {
        let immutable = Scripted::new(&[Act::Immutable; 64]);
        let error = run(&immutable, "0").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.message().contains("immutable"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_disk_ends_at_once() {
        let begun = tokio::time::Instant::now();
        let error = run(&Scripted::new(&[Act::Full; 64]), "0").await.unwrap_err();
        assert_eq!((error.kind(), begun.elapsed()), (ErrorKind::StoreFull, Duration::ZERO));
    }
}
