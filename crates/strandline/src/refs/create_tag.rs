//! Setting and moving a tag [BR-5].

use std::future::IntoFuture;

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use strandline_format::{
    Author, Hash, Message, Nonce, ObjectPath, RefName, RefState, Tag as TagNode, TagTarget,
};

use crate::error::{Error, ErrorKind, Result};
use crate::history::{Ref, Revision};
use crate::lake::settle_probed;
use crate::lake::{KNOWN_FEATURES, Lake, StandingTag};
use crate::refs::create_branch::{default_revision, reason};
use crate::refs::list::Tag;
use crate::refs::taking::{Source, Taking};
use crate::refs::{PATIENCE, check_expected, check_time, not_known, vanished};
use crate::runtime::Deadline;
use crate::storage::{Change, Loaded, Recognise, Settled};

/// A tag that is about to be set: `.await` it.
///
/// The requests of making a branch: the commit is pinned where it is kept, the name reserved by a deleted tag, the source
/// asked, the tag brought to life, the pin dropped. A dropped or failed attempt leaves at most a pin and a deleted tag, and
/// setting the tag again succeeds.
///
/// # Errors
/// `AlreadyExists` if there is such a tag and it is not to be moved; `Conflict` if it does not name the commit that was
/// expected; `NotFound` or `SnapshotExpired` if the version is not there or not kept; `InvalidInput` for a name or text that is
/// not allowed; `CommitUnknown` if the last step went unanswered: look the tag up, or set it again; `PermissionDenied`, naming the
/// ref; `Unavailable` and what else the store says.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use strandline::Lake;
/// let lake = Lake::create("memory://tags").await?;
/// lake.create_tag("v1").on("main").message("first release").await?;
/// assert_eq!(lake.at("v1").await?.version().0, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a tag is set when this is awaited"]
pub struct CreateTag {
    lake: Lake,
    name: String,
    on: Option<Revision>,
    author: String,
    message: String,
    moving: bool,
    expecting: Option<Hash>,
}

impl Lake {
    /// Sets a tag, on the head of the default branch unless told otherwise; see [`CreateTag`].
    pub fn create_tag(&self, name: impl Into<String>) -> CreateTag {
        CreateTag {
            lake: self.clone(),
            name: name.into(),
            on: None,
            author: String::new(),
            message: String::new(),
            moving: false,
            expecting: None,
        }
    }
}

impl CreateTag {
    /// The version that it names.
    pub fn on(mut self, revision: impl Into<Revision>) -> Self {
        self.on = Some(revision.into());
        self
    }

    /// Who sets it.
    pub fn author(mut self, author: impl Into<String>) -> Self {
        self.author = author.into();
        self
    }

    /// What for.
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    /// Moves the tag if there is one.
    pub fn moving(mut self) -> Self {
        self.moving = true;
        self
    }

    /// Moves the tag, only if it names this commit.
    pub fn expecting(mut self, commit: Hash) -> Self {
        self.expecting = Some(commit);
        self.moving()
    }

    async fn run(self) -> Result<Tag> {
        let name = RefName::new(self.name.as_str())?;
        let (author, message) = (Author::new(self.author.as_str())?, Message::new(self.message.as_str())?);
        let (lake, deadline) = (&self.lake, Deadline::after(PATIENCE));
        let on = self.on.clone().unwrap_or_else(|| default_revision(lake));
        let (at, there) = futures::try_join!(lake.at(on), lake.standing_tag(&name))?;
        let setter = Setter { wanted: &self, name: &name, at: &at, author, message, deadline };
        setter.check(there.as_ref())?;
        let mut taking = Box::pin(Taking::begin_in_pointer(&at, reason("tag", &name), deadline)).await?;
        let set = Box::pin(setter.set(&mut taking)).await;
        taking.end().await;
        Ok(Tag::of(&set?.tag))
    }
}

impl IntoFuture for CreateTag {
    type Output = Result<Tag>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        self.run().boxed()
    }
}

struct Setter<'a> {
    wanted: &'a CreateTag,
    name: &'a RefName,
    at: &'a Ref,
    author: Author,
    message: Message,
    deadline: Deadline,
}

impl Setter<'_> {
    /// Whether what stands there may be replaced.
    fn check(&self, there: Option<&StandingTag>) -> Result<()> {
        match there.filter(|there| there.is_live()) {
            Some(_) if !self.wanted.moving => {
                let text =
                    format!("there is a tag {:?}: move it, or choose another name", self.name.as_str());
                Err(Error::new(ErrorKind::AlreadyExists, text))
            }
            Some(there) => check_expected("tag", self.name, self.wanted.expecting, there.commit().hash),
            None if self.wanted.expecting.is_some() => {
                Err(Error::new(ErrorKind::NotFound, format!("there is no tag {:?}", self.name.as_str())))
            }
            None => Ok(()),
        }
    }

    async fn set(&self, taking: &mut Taking) -> Result<StandingTag> {
        let lake = &self.wanted.lake;
        let mut target = lake.standing_tag(self.name).await?;
        loop {
            check_time(self.deadline, format_args!("tag {:?} was not set", self.name.as_str()))?;
            self.check(target.as_ref())?;
            let Some(base) = target else {
                target = self.reserve(taking).await?;
                continue;
            };
            let source = taking.check(self.deadline).await?;
            match self.retarget(&base, self.target(source)).await? {
                Settled::Applied(now) => return StandingTag::of(lake, self.name, &now),
                Settled::NotApplied(Some(now)) => target = Some(StandingTag::of(lake, self.name, &now)?),
                Settled::NotApplied(None) => return Err(vanished("tag", self.name)),
                Settled::Unknown(error) => {
                    let act = format!("tag {:?} was set", self.name.as_str());
                    return Err(not_known(act, "it was if it names that commit, else set it again", &error));
                }
            }
        }
    }

    fn target(&self, source: Source) -> TagTarget {
        TagTarget {
            commit: self.at.commit().object(),
            version: self.at.version(),
            branch: self.at.branch().clone(),
            time: self.wanted.lake.storage().runtime().now(),
            author: self.author.clone(),
            message: self.message.clone(),
            features: source.features,
        }
    }

    /// Puts a deleted tag where nothing stands; `None` if what stands there then is not seen yet.
    async fn reserve(&self, taking: &Taking) -> Result<Option<StandingTag>> {
        let (lake, storage) = (&self.wanted.lake, self.wanted.lake.storage());
        let nonce = storage.runtime().nonce()?;
        let tag = TagNode::reserve(lake.id(), self.name.clone(), self.target(taking.source()), nonce);
        let mine = |now: &Loaded| Ok(TagNode::parse(&now.bytes)?.nonce() == nonce);
        let settled = put(lake, self.name, None, &tag, &mine, self.deadline).await;
        match settled.map_err(|error| self.named(error))? {
            Settled::Applied(now) | Settled::NotApplied(Some(now)) => {
                Ok(Some(StandingTag::of(lake, self.name, &now)?))
            }
            Settled::NotApplied(None) => Ok(None),
            // A deleted tag may come to stand there, which is as good as none: the tag was not set.
            Settled::Unknown(error) => Err(self.named(error)),
        }
    }

    async fn retarget(&self, base: &StandingTag, target: TagTarget) -> Result<Settled> {
        let (lake, nonce) = (&self.wanted.lake, self.wanted.lake.storage().runtime().nonce()?);
        let mine = Set { nonce, commit: target.commit.hash };
        let next = base.tag.retarget(target, nonce)?;
        put(lake, self.name, Some(base), &next, &mine, self.deadline).await.map_err(|error| self.named(error))
    }

    fn named(&self, error: Error) -> Error {
        error.at(format_args!("tag {:?} was not set", self.name.as_str()))
    }
}

/// Swaps a tag, or puts it where none stands.
pub(super) async fn put(
    lake: &Lake,
    name: &RefName,
    base: Option<&StandingTag>,
    next: &TagNode,
    mine: &dyn Recognise,
    deadline: Deadline,
) -> Result<Settled> {
    if let Some(base) = base {
        base.tag.target().features.check_write(KNOWN_FEATURES)?;
    }
    let change = Change {
        path: ObjectPath::tag(name),
        expected: base.map(|base| base.token.clone()),
        bytes: Bytes::from(next.to_json()?),
    };
    settle_probed(lake.storage(), &change, lake.head().pointer().probed(), mine, deadline).await
}

/// Knows the tag that we set: by our nonce, and once a sending is in doubt, by its commit: a collection has swapped it since.
struct Set {
    nonce: Nonce,
    commit: Hash,
}

#[async_trait]
impl Recognise for Set {
    async fn is_mine(&self, current: &Loaded) -> Result<bool> {
        Ok(TagNode::parse(&current.bytes)?.nonce() == self.nonce)
    }

    async fn is_mine_in_doubt(&self, current: &Loaded) -> Result<bool> {
        let now = TagNode::parse(&current.bytes)?;
        Ok(now.nonce() == self.nonce
            || now.state() == RefState::Live && now.target().commit.hash == self.commit)
    }
}
