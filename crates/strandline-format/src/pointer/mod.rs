//! The pointer of a branch: the one object that is ever replaced, and every way in which it may change [PTR-1].
//!
//! Invariants: a pointer is changed only through [`Pointer::next`], which counts the swap and takes a fresh nonce, so no
//! two attempts have equal bytes [PTR-4]; the era and `expired_before` never go back [PTR-6, PTR-7]; a deleted branch keeps
//! its pins and nothing else [PTR-9]. What does not belong here: the swap itself, and whether a change is allowed to be
//! tried (the rules of eras aside, which are arithmetic).

mod pack;
mod pin;
mod update;
mod wire;

use std::fmt;
use std::str::FromStr;

pub use pack::{MAX_PACK_BYTES, Pack, PackBuilder};
pub use pin::{MAX_PINS, NewPin, Pin, Release};
pub use update::PointerUpdate;

use crate::error::{Error, Result};
use crate::feature::Features;
use crate::hash::{ObjectRef, clip};
use crate::id::{Era, LakeId, Nonce, Seq};
use crate::name::RefName;

/// How many eras an upload may lie behind the pointer that it is committed to: one whole collection [GC-4].
pub const ERA_SLACK: u64 = 1;

/// How many stores a pointer remembers as probed.
pub const MAX_PROBED: usize = 16;

/// How often a pointer or a tag has been swapped. Not a version of the branch: a fence or a pin counts too.
///
/// ```
#[doc = include_str!("pointer.example")]
/// use strandline_format::SwapSeq;
///
/// let fenced = pointer.next(Nonce::from_bytes([3; 16]))?.fence(Era(1))?.finish();
/// // A swap, and no version of the branch.
/// assert_eq!(fenced.seq(), pointer.seq().next()?);
/// assert_eq!(fenced.head(), pointer.head());
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SwapSeq(pub u64);

impl SwapSeq {
    /// The number after this one.
    ///
    /// # Errors
    /// `TooLarge` at the end of the range.
    pub fn next(self) -> Result<Self> {
        self.0.checked_add(1).map(Self).ok_or_else(|| Error::too_large("no number is left for this swap"))
    }
}

impl fmt::Display for SwapSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Whether a ref stands, or is the tombstone of one that was deleted.
///
/// ```
#[doc = include_str!("pointer.example")]
/// use strandline_format::{Label, PinId, RefState, Release, Timestamp};
///
/// let release = Release { id: PinId::from_bytes([4; 16]), reason: Label::new("deleted")?, time: Timestamp::EPOCH };
/// let tombstone = pointer.next(Nonce::from_bytes([3; 16]))?.tombstone(release)?.finish();
/// assert_eq!((pointer.state(), tombstone.state()), (RefState::Live, RefState::Deleted));
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefState {
    /// It stands.
    Live,
    /// It was deleted; the object stays, so that a late create cannot bring it back [PTR-9].
    Deleted,
}

/// Stands for a store that a lake was reached through, so that one probe of its conditions is enough [PTR-10].
///
/// ```
/// use strandline_format::StoreFingerprint;
///
/// // A bucket that was copied elsewhere is another store, which has to be probed anew.
/// let here = StoreFingerprint::of("s3", "https://s3.eu-west-1.amazonaws.com", "lake", "");
/// let there = StoreFingerprint::of("s3", "http://minio:9000", "lake", "");
/// assert_ne!(here, there);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreFingerprint([u8; 8]);

impl StoreFingerprint {
    /// The fingerprint of the store of this kind, at this endpoint, with this bucket and root.
    ///
    /// ```
    /// use strandline_format::StoreFingerprint;
    /// let one = StoreFingerprint::of("s3", "https://s3.eu-west-1.amazonaws.com", "lake", "a/b");
    /// let other = StoreFingerprint::of("s3", "https://s3.eu-west-1.amazonaws.com", "lakea", "/b");
    /// assert_ne!(one, other);
    /// assert_eq!(one.to_string().parse(), Ok(one));
    /// ```
    #[must_use]
    pub fn of(kind: &str, endpoint: &str, bucket: &str, root: &str) -> Self {
        Self::of_parts(&[kind, endpoint, bucket, root])
    }

    /// The same while a server that calls itself so answers there: another one behind the same address is another store.
    ///
    /// ```
    /// use strandline_format::StoreFingerprint;
    /// let served = |server| StoreFingerprint::served("s3", "http://store:9000", "lake", "", server);
    /// assert_ne!(served("MinIO"), served("rclone/v1.75.2"));
    /// // One that does not say what it is.
    /// assert_eq!(served(""), StoreFingerprint::of("s3", "http://store:9000", "lake", ""));
    /// ```
    #[must_use]
    pub fn served(kind: &str, endpoint: &str, bucket: &str, root: &str, server: &str) -> Self {
        match server {
            "" => Self::of(kind, endpoint, bucket, root),
            server => Self::of_parts(&[kind, endpoint, bucket, root, server]),
        }
    }

    fn of_parts(parts: &[&str]) -> Self {
        let hash = blake3::derive_key("strandline store fingerprint", parts.join("\0").as_bytes());
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&hash[..8]);
        Self(bytes)
    }
}

impl fmt::Display for StoreFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for StoreFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for StoreFingerprint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        crate::id::parse_hex(text).map(Self).ok_or_else(|| {
            Error::malformed(format!(
                "a store's fingerprint has 16 lower-case hex digits, not {:?}",
                clip(text)
            ))
        })
    }
}

/// Where a branch begins: at its creation, or when a deleted one is created again.
///
/// ```
#[doc = include_str!("pointer.example")]
/// let main = start();
/// let dev = BranchStart { branch: RefName::new("dev")?, ..main.clone() };
/// let reserved = Pointer::reserve(pointer.lake(), dev, Nonce::from_bytes([3; 16]));
/// assert_eq!((reserved.branch().as_str(), reserved.head()), ("dev", main.head));
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct BranchStart {
    /// The name as it is written.
    pub branch: RefName,
    /// The features in force.
    pub features: Features,
    /// The era to begin in: that of the pointer which the head was taken from, 0 in a lake that begins.
    pub era: Era,
    /// The first head.
    pub head: ObjectRef,
    /// Versions below are expired: what the pointer that the head was taken from says.
    pub expired_before: Seq,
    /// What a reader needs next.
    pub pack: Pack,
}

/// The pointer of a branch.
///
/// ```
/// use strandline_format::{BranchStart, Era, Features, Hash, LakeId, Nonce, ObjectRef, Pack, Pointer, RefName, Seq};
/// let start = BranchStart {
///     branch: RefName::new("main")?,
///     features: Features::default(),
///     era: Era(0),
///     head: ObjectRef { hash: Hash::of(b"{}"), era: Era(0), size: 2 },
///     expired_before: Seq(0),
///     pack: Pack::default(),
/// };
/// let pointer = Pointer::create_main(LakeId::from_random([1; 16]), start, Nonce::from_bytes([2; 16]));
/// assert_eq!(Pointer::parse(&pointer.to_json()?)?, pointer);
///
/// let fenced = pointer.next(Nonce::from_bytes([3; 16]))?.fence(Era(1))?.finish();
/// assert_eq!(fenced.era(), Era(1));
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Pointer {
    lake: LakeId,
    branch: RefName,
    features: Features,
    seq: SwapSeq,
    nonce: Nonce,
    era: Era,
    head: ObjectRef,
    expired_before: Seq,
    pins: Vec<Pin>,
    state: RefState,
    probed: Vec<StoreFingerprint>,
    pack: Pack,
}

impl Pointer {
    /// The pointer of `main` in a lake that begins, to be put if absent. No other branch becomes live by such a put, which
    /// could land after its head was collected [BR-2]: see [`Pointer::reserve`].
    #[must_use]
    pub fn create_main(lake: LakeId, start: BranchStart, nonce: Nonce) -> Self {
        Self { state: RefState::Live, pack: start.pack.clone(), ..Self::reserve(lake, start, nonce) }
    }

    /// The reservation of a branch, to be put if absent: a tombstone, which does no harm whenever it lands, and is then
    /// brought to life by [`PointerUpdate::revive`] with the same start [BR-1].
    #[must_use]
    pub fn reserve(lake: LakeId, start: BranchStart, nonce: Nonce) -> Self {
        Self {
            lake,
            branch: start.branch,
            features: start.features,
            seq: SwapSeq(0),
            nonce,
            era: start.era,
            head: start.head,
            expired_before: start.expired_before,
            pins: Vec::new(),
            state: RefState::Deleted,
            probed: Vec::new(),
            pack: Pack::default(),
        }
    }

    /// The same first pointer, made in a store that keeps its conditions.
    #[must_use]
    pub fn probed_in(self, store: StoreFingerprint) -> Self {
        PointerUpdate::of(self).probed(store).finish()
    }

    /// Checks that this is the pointer of the branch that was asked for [PTR-3]: an object that was copied to another
    /// branch's path must not pass for that branch.
    ///
    /// # Errors
    /// `Malformed`, naming both.
    pub fn check_branch(&self, asked: &RefName) -> Result<()> {
        if self.branch == *asked {
            return Ok(());
        }
        Err(Error::malformed(format!(
            "the pointer of branch {asked} says that it is that of {}",
            self.branch
        )))
    }

    /// The next pointer, unchanged but for its swap count and nonce; the caller drew the nonce for this attempt alone.
    ///
    /// # Errors
    /// `TooLarge` when the swaps are used up.
    pub fn next(&self, nonce: Nonce) -> Result<PointerUpdate> {
        let mut next = self.clone();
        next.seq = self.seq.next()?;
        next.nonce = nonce;
        next.pack.trim();
        Ok(PointerUpdate::of(next))
    }

    /// Whether an object uploaded in `era` may be committed to this pointer as it stands [GC-4].
    #[must_use]
    pub fn allows(&self, era: Era) -> bool {
        era.0.saturating_add(ERA_SLACK) >= self.era.0
    }

    /// The lake that the branch is in.
    #[must_use]
    pub fn lake(&self) -> LakeId {
        self.lake
    }

    /// The name as it was written.
    #[must_use]
    pub fn branch(&self) -> &RefName {
        &self.branch
    }

    /// The features in force; a writer checks them with [`Features::check_write`].
    #[must_use]
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// How often the pointer was swapped.
    #[must_use]
    pub fn seq(&self) -> SwapSeq {
        self.seq
    }

    /// What makes this attempt differ from every other.
    #[must_use]
    pub fn nonce(&self) -> Nonce {
        self.nonce
    }

    /// The garbage-collection era in which a writer uploads.
    #[must_use]
    pub fn era(&self) -> Era {
        self.era
    }

    /// The newest commit.
    #[must_use]
    pub fn head(&self) -> ObjectRef {
        self.head
    }

    /// Versions below are expired, whether or not their objects are gone yet.
    #[must_use]
    pub fn expired_before(&self) -> Seq {
        self.expired_before
    }

    /// The pins, oldest first.
    #[must_use]
    pub fn pins(&self) -> &[Pin] {
        &self.pins
    }

    /// Whether the branch stands.
    #[must_use]
    pub fn state(&self) -> RefState {
        self.state
    }

    /// The stores whose conditions were probed, newest last.
    #[must_use]
    pub fn probed(&self) -> &[StoreFingerprint] {
        &self.probed
    }

    /// What a reader needs next.
    #[must_use]
    pub fn pack(&self) -> &Pack {
        &self.pack
    }
}
