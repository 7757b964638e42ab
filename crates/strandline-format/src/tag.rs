//! A tag: a name for a commit that keeps it, and its tombstone once it is deleted [TAG-1].
//!
//! Invariant: like a pointer, a tag is replaced only by a conditional put with a fresh nonce, and its object stays when the
//! tag is deleted, so that a late create cannot bring it back [TAG-3]. What does not belong here: which commit a name stands
//! for in a query, which is `reference`'s grammar and the SDK's resolution.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::feature::{self, Features, FeaturesV1};
use crate::hash::{ObjectRef, RefV1};
use crate::id::{LakeId, Nonce, Seq};
use crate::json::{self, Header, MAX_REF_BYTES, Wire};
use crate::name::RefName;
use crate::pointer::{RefState, SwapSeq};
use crate::text::{Author, Message};
use crate::time::Timestamp;

/// What a tag says of its commit.
///
/// ```
/// use strandline_format::{Author, Era, Features, Hash, Message, ObjectRef, RefName, Seq, TagTarget, Timestamp};
///
/// let target = TagTarget {
///     commit: ObjectRef { hash: Hash::of(b"{}"), era: Era(0), size: 2 },
///     version: Seq(7),
///     branch: RefName::new("main")?,
///     time: Timestamp::EPOCH,
///     author: Author::new("ada")?,
///     message: Message::new("the books are closed")?,
///     features: Features::default(),
/// };
/// assert_eq!(target.message.as_str(), "the books are closed");
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagTarget {
    /// The commit.
    pub commit: ObjectRef,
    /// Its version.
    pub version: Seq,
    /// The branch on which that is its version.
    pub branch: RefName,
    /// When the tag was set.
    pub time: Timestamp,
    /// Who set it.
    pub author: Author,
    /// Why.
    pub message: Message,
    /// The features in force where the commit was taken from: who reads the commit must know them [VER-6].
    pub features: Features,
}

/// A tag.
///
/// ```
/// use strandline_format::{
///     Author, Era, Features, Hash, LakeId, Message, Nonce, ObjectRef, RefName, RefState, Seq, Tag, TagTarget, Timestamp,
/// };
/// let target = TagTarget {
///     commit: ObjectRef { hash: Hash::of(b"{}"), era: Era(0), size: 2 },
///     version: Seq(7),
///     branch: RefName::new("main")?,
///     time: Timestamp::EPOCH,
///     author: Author::new("ada")?,
///     message: Message::default(),
///     features: Features::default(),
/// };
/// let lake = LakeId::from_random([1; 16]);
/// let reserved = Tag::reserve(lake, RefName::new("v1")?, target.clone(), Nonce::from_bytes([2; 16]));
/// assert_eq!(reserved.state(), RefState::Deleted);
/// let tag = reserved.retarget(target, Nonce::from_bytes([3; 16]))?;
/// assert_eq!(Tag::parse(&tag.to_json()?)?, tag);
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    lake: LakeId,
    name: RefName,
    seq: SwapSeq,
    nonce: Nonce,
    target: TagTarget,
    state: RefState,
}

impl Tag {
    /// The reservation of a tag, to be put if absent: a deleted tag, which does no harm whenever it lands, and is then
    /// brought to life by [`Tag::retarget`] [BR-5].
    #[must_use]
    pub fn reserve(lake: LakeId, name: RefName, target: TagTarget, nonce: Nonce) -> Self {
        Self { lake, name, seq: SwapSeq(0), nonce, target, state: RefState::Deleted }
    }

    /// The same tag, live or deleted, with another token: what a collection swaps it to [GC-2].
    ///
    /// # Errors
    /// `TooLarge` when the swaps are used up.
    pub fn renew(&self, nonce: Nonce) -> Result<Self> {
        Ok(Self { seq: self.seq.next()?, nonce, ..self.clone() })
    }

    /// The live tag with this target, to replace this one: a tag that is moved, or created over its reservation or
    /// tombstone.
    ///
    /// # Errors
    /// `TooLarge` when the swaps are used up.
    pub fn retarget(&self, target: TagTarget, nonce: Nonce) -> Result<Self> {
        Ok(Self { seq: self.seq.next()?, nonce, target, state: RefState::Live, ..self.clone() })
    }

    /// The tombstone to replace this tag. It remembers what the tag said, but keeps nothing [TAG-4].
    ///
    /// # Errors
    /// `Invalid` if the tag is deleted; `TooLarge` when the swaps are used up.
    pub fn tombstone(&self, nonce: Nonce) -> Result<Self> {
        if self.state == RefState::Deleted {
            return Err(Error::invalid(format!("tag {} is deleted", self.name)));
        }
        Ok(Self { seq: self.seq.next()?, nonce, state: RefState::Deleted, ..self.clone() })
    }

    /// Checks that this is the tag that was asked for [TAG-2].
    ///
    /// # Errors
    /// `Malformed`, naming both.
    pub fn check_name(&self, asked: &RefName) -> Result<()> {
        if self.name == *asked {
            return Ok(());
        }
        Err(Error::malformed(format!("the tag {asked} says that it is {}", self.name)))
    }

    /// The lake that the tag is in.
    #[must_use]
    pub fn lake(&self) -> LakeId {
        self.lake
    }

    /// The name as it was written.
    #[must_use]
    pub fn name(&self) -> &RefName {
        &self.name
    }

    /// How often the tag was swapped.
    #[must_use]
    pub fn seq(&self) -> SwapSeq {
        self.seq
    }

    /// What makes this attempt differ from every other.
    #[must_use]
    pub fn nonce(&self) -> Nonce {
        self.nonce
    }

    /// What the tag stands for, or stood for.
    #[must_use]
    pub fn target(&self) -> &TagTarget {
        &self.target
    }

    /// Whether the tag stands.
    #[must_use]
    pub fn state(&self) -> RefState {
        self.state
    }
}

#[derive(Serialize, Deserialize)]
struct TagV1 {
    #[serde(flatten)]
    header: Header,
    lake: LakeId,
    tag: String,
    features: FeaturesV1,
    seq: u64,
    nonce: Nonce,
    commit: RefV1,
    version: Seq,
    branch: String,
    time: Timestamp,
    author: String,
    message: String,
    state: String,
}

impl Wire for TagV1 {
    const KIND: &'static str = "tag";
    const LIMIT: usize = MAX_REF_BYTES;
    fn header(&self) -> &Header {
        &self.header
    }
}

impl Tag {
    /// Reads a tag's text.
    ///
    /// # Errors
    /// `Malformed`, `TooLarge`, or `Unsupported` for a newer format, a required feature or a state that is not known.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let wire: TagV1 = json::parse(text).map_err(|error| feature::explain(text, error))?;
        Self::from_wire(wire).map_err(|error| feature::explain(text, error.stored().at(TagV1::KIND)))
    }

    /// The tag's text.
    ///
    /// # Errors
    /// `TooLarge` beyond its bound.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        json::write(&TagV1 {
            header: Header::of::<TagV1>(),
            lake: self.lake,
            tag: self.name.as_str().to_owned(),
            features: (&self.target.features).into(),
            seq: self.seq.0,
            nonce: self.nonce,
            commit: self.target.commit.into(),
            version: self.target.version,
            branch: self.target.branch.as_str().to_owned(),
            time: self.target.time,
            author: self.target.author.as_str().to_owned(),
            message: self.target.message.as_str().to_owned(),
            state: self.state.as_str().to_owned(),
        })
    }

    fn from_wire(wire: TagV1) -> Result<Self> {
        let target = TagTarget {
            features: wire.features.try_into()?,
            commit: wire.commit.into(),
            version: wire.version,
            branch: RefName::new(wire.branch)?,
            time: wire.time,
            author: Author::new(wire.author).map_err(|error| error.at("author"))?,
            message: Message::new(wire.message).map_err(|error| error.at("message"))?,
        };
        Ok(Self {
            state: RefState::parse(&wire.state)?,
            lake: wire.lake,
            name: RefName::new(wire.tag)?,
            seq: SwapSeq(wire.seq),
            nonce: wire.nonce,
            target,
        })
    }
}
