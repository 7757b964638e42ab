//! What lies in the bucket: objects by key, and one register for each ref.
//!
//! A key is a content and the era that it was put under [GC-11]; a set of keys is a bit mask. A pointer holds what the rules
//! of refs and of collection speak of, and nothing else. Nobody acts here.

/// An era, as it stands in pointers, pins and keys.
pub(crate) type Era = u8;

/// A content: what a hash stands for.
pub(crate) type Content = u8;

/// The bytes that everybody in a model uploads.
pub(crate) const SHARED: Content = 0;
/// Other bytes.
pub(crate) const OTHER: Content = 1;

/// Eras that a key can have; the bounds of every model stay below.
pub(crate) const ERAS: u8 = 8;

/// A set of keys.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Keys(u16);

impl Keys {
    pub(crate) const NONE: Self = Self(0);

    pub(crate) const fn one(content: Content, era: Era) -> Self {
        Self(1 << (content * ERAS + era))
    }

    /// All keys of a content, under whatever era.
    pub(crate) const fn all_of(content: Content) -> Self {
        Self(0xff << (content * ERAS))
    }

    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(crate) const fn holds(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The oldest era under which a content is in the set.
    pub(crate) fn oldest(self, content: Content) -> Option<Era> {
        (0..ERAS).find(|era| self.holds(Self::one(content, *era)))
    }

    pub(crate) fn each(self) -> impl Iterator<Item = (Content, Era)> {
        [SHARED, OTHER]
            .into_iter()
            .flat_map(|content| (0..ERAS).map(move |era| (content, era)))
            .filter(move |(content, era)| self.holds(Self::one(*content, *era)))
    }
}

/// Who made a commit: a transaction's id.
pub(crate) type Txn = u8;

/// A commit: its transaction, and the keys that its catalog reaches.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Commit {
    pub(crate) txn: Txn,
    pub(crate) tree: Keys,
}

/// A pin [GC-5]: what it keeps, and the era of the pointer that it was swapped in on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Pin {
    pub(crate) era: Era,
    pub(crate) keys: Keys,
}

/// Commits that one history can hold; a property says that no model ever needs more.
pub(crate) const LONGEST: usize = 6;

/// The place among a pointer's pins of the one that letting go leaves [GC-10]; those of the takers follow.
pub(crate) const LET_GO: usize = 0;

/// The object of a branch, a tombstone if it is not live. Its place in `commits` is a commit's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Pointer {
    pub(crate) live: bool,
    pub(crate) era: Era,
    commits: [Commit; LONGEST],
    len: u8,
    pub(crate) expired_before: u8,
    pub(crate) pins: [Option<Pin>; 3],
}

impl Pointer {
    pub(crate) fn new(live: bool, era: Era, commits: &[Commit]) -> Self {
        let mut pointer =
            Self { live, era, commits: Default::default(), len: 0, expired_before: 0, pins: [None; 3] };
        for commit in commits {
            pointer.push(*commit);
        }
        pointer
    }

    /// The first-parent history, the head last.
    pub(crate) fn history(&self) -> &[Commit] {
        &self.commits[..usize::from(self.len)]
    }

    pub(crate) fn head(&self) -> Commit {
        self.commits[usize::from(self.version())]
    }

    /// The head's version.
    pub(crate) const fn version(&self) -> u8 {
        self.len - 1
    }

    pub(crate) fn is_full(&self) -> bool {
        usize::from(self.len) == LONGEST
    }

    pub(crate) fn push(&mut self, commit: Commit) {
        self.commits[usize::from(self.len)] = commit;
        self.len += 1;
    }

    /// The same in another era.
    pub(crate) fn in_era(self, era: Era) -> Self {
        Self { era, ..self }
    }

    /// Its tombstone.
    pub(crate) fn deleted(self) -> Self {
        Self { live: false, ..self }
    }

    /// Back to an older head, as a store without conditions lets happen.
    pub(crate) fn truncate(&mut self, version: u8) {
        for commit in &mut self.commits[usize::from(version) + 1..] {
            *commit = Commit::default();
        }
        self.len = version + 1;
    }

    /// Whether the head of `old` is in the history of this one [TXN-8].
    pub(crate) fn continues(&self, old: &Self) -> bool {
        self.history().starts_with(old.history())
    }

    /// What the retained versions reach; a tombstone has none [GC-6].
    pub(crate) fn by_history(&self) -> Keys {
        if !self.live {
            return Keys::NONE;
        }
        let retained = &self.history()[usize::from(self.expired_before)..];
        retained.iter().fold(Keys::NONE, |keys, commit| keys.and(commit.tree))
    }

    /// What this pointer keeps: retained versions and pins [GC-6].
    pub(crate) fn kept(&self) -> Keys {
        self.pins.iter().flatten().fold(self.by_history(), |keys, pin| keys.and(pin.keys))
    }

    /// Whether it keeps them by its history, or by a pin that is not older than `era`.
    pub(crate) fn keeps_since(&self, keys: Keys, era: Era) -> bool {
        let pinned = self.pins.iter().flatten().any(|pin| pin.era >= era && pin.keys.holds(keys));
        pinned || self.by_history().holds(keys)
    }
}

/// What a holder of a token knows. Tokens never repeat [PTR-4] and are only compared, so all that matters of one is whether its
/// bytes still stand.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Token {
    /// Other bytes stand there, or nothing was read yet.
    #[default]
    Stale,
    Standing,
}

/// The answer to a conditional put [STO-6]. Unknown is no answer: see [`crate::writer::Step::TimeOut`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Answer {
    Swapped,
    Moved,
    Error,
}

/// A request that its sender waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Sending {
    /// On its way to the store.
    Flying,
    /// Judged; the answer is on its way back, and may get lost.
    Answered(Answer),
}
