//! What a reference names [REFG-2..6].
//!
//! Invariants: a word is what exists first of its readings, and the explicit forms are looked for as what they say, only;
//! all suffixes go along the first parents of one line, so they are arithmetic on its versions, and one commit is fetched at
//! the end; refs are listed only to find a hash beyond the default branch, and to offer near names in an error. What does
//! not belong here: the grammar (the format's), and hashes (`prefix`).

use std::sync::Arc;

use strandline_format::{Base, HistoryEntry, RefName, Reference, Seq, Suffix, Timestamp, Word};
use tokio::sync::OnceCell;

use crate::error::{Error, ErrorKind, Result};
use crate::history::revision::Meant;
use crate::history::{Keeper, Line, Ref, Revision};
use crate::lake::{Found, Lake, StandingTag};
use crate::near::{nearest, offer};
use crate::storage::RefKind;

/// A version of a line, and what the history says of it, if that was read.
pub(super) struct Spot {
    pub(super) line: Arc<Line>,
    pub(super) version: Seq,
    pub(super) entry: Option<HistoryEntry>,
}

impl Spot {
    pub(super) fn tip(line: Arc<Line>) -> Self {
        Self { version: line.tip().version(), line, entry: None }
    }

    pub(super) fn of(line: Arc<Line>, entry: HistoryEntry) -> Self {
        Self { line, version: entry.seq, entry: Some(entry) }
    }
}

impl Lake {
    /// The version that a reference names now: `main`, `main~3`, `v12`, `dev@{2026-01-02}`, `tag:v1`, `commit:3fa9c1`.
    ///
    /// Requests: one for each ref that is looked at (a word is a branch first, then a tag); for a version or a time the
    /// nodes on one way down the history, two among 100,000 versions, and the commit. A hash reads all of the retained
    /// history of the default branch, and if it is not there, that of the others.
    ///
    /// # Errors
    /// `InvalidInput` if the text is no reference, saying where, or if more than one commit fits a hash, naming them;
    /// `NotFound`, offering near names; `SnapshotExpired` if the version is not kept any more; `Unsupported`, `Corrupt` and the
    /// store's errors. Dropping the future leaves nothing.
    pub async fn at(&self, revision: impl Into<Revision>) -> Result<Ref> {
        match revision.into().meant()? {
            Meant::Found(found) if found.lake().id() == self.id() => Ok(found),
            Meant::Found(_) => Err(Error::new(ErrorKind::InvalidInput, "this ref is of another lake")),
            Meant::Reference(reference) => {
                let resolver = Resolver { lake: self, line: OnceCell::new() };
                resolver.resolve(&reference).await.map_err(|error| {
                    error.at(format_args!("reference {reference:?}", reference = reference.to_string()))
                })
            }
        }
    }

    /// The error of a branch that was to be written to and is not there: that its name is a tag's, or what is near. Lists, on
    /// the way of an error only.
    pub(crate) async fn explain_branch(&self, name: &RefName, error: Error) -> Error {
        if error.kind() != ErrorKind::NotFound {
            return error;
        }
        let resolver = Resolver { lake: self, line: OnceCell::new() };
        let more = match resolver.tag(name).await {
            Ok(Some(_)) => ", it is a tag, and only branches are written to: make one from it".to_owned(),
            _ => resolver.offer(name.as_str(), true, false).await,
        };
        Error::new(ErrorKind::NotFound, format!("{}{more}", error.message()))
    }

    /// The line of a branch, if it is live.
    pub(crate) async fn branch_line(&self, name: &RefName) -> Result<Option<Arc<Line>>> {
        match self.look(name).await? {
            Found::Head(head) => Ok(Some(Arc::new(Line::of_head(self.clone(), head)))),
            Found::Absent | Found::Deleted => Ok(None),
        }
    }

    /// The line of a branch that has a tag's commit in its history: that which the tag names, or the default branch [REFG-5].
    pub(crate) async fn line_behind(&self, tag: &StandingTag) -> Result<Option<Arc<Line>>> {
        let target = tag.tag.target();
        let named = [&target.branch, self.default_branch()];
        let different = if named[0] == named[1] { 1 } else { 2 };
        for name in &named[..different] {
            if let Some(line) = self.branch_line(name).await?
                && line.holds(target.commit, target.version).await?
            {
                return Ok(Some(line));
            }
        }
        Ok(None)
    }
}

/// The version of a line, which must be kept. As many requests as the history has levels, and one for the commit.
pub(super) async fn on_line(line: &Arc<Line>, version: Seq, entry: Option<HistoryEntry>) -> Result<Ref> {
    if version == line.tip().version() {
        return Ok(Ref::tip(Arc::clone(line)));
    }
    if let Keeper::Tag(tag) = line.keeper() {
        return behind_tag(line, tag, version).await;
    }
    line.check_kept(version)?;
    let entry = match entry {
        Some(entry) => entry,
        None => line.entry(version).await?.ok_or_else(|| above(line, version))?,
    };
    Ok(Ref::on(Arc::clone(line), line.commit(&entry).await?))
}

/// A tag keeps its commit only, so what stands before it is read through a branch.
async fn behind_tag(line: &Line, tag: &StandingTag, version: Seq) -> Result<Ref> {
    let Some(behind) = line.lake().line_behind(tag).await? else {
        let text =
            format!("{line} keeps its commit alone, and no branch that it came from keeps version {version}");
        return Err(Error::new(ErrorKind::SnapshotExpired, text));
    };
    behind.check_kept(version)?;
    let entry = behind.entry(version).await?.ok_or_else(|| above(&behind, version))?;
    let commit = behind.commit(&entry).await?;
    Ok(Ref::on(behind, commit))
}

fn above(line: &Line, version: Seq) -> Error {
    let text = format!("{line} has no version {version}: its newest is {}", line.tip().version());
    Error::new(ErrorKind::NotFound, text)
}

/// One reference that is being looked up.
pub(super) struct Resolver<'l> {
    pub(super) lake: &'l Lake,
    /// The default branch, once it was looked at; `None`: it is not there.
    line: OnceCell<Option<Arc<Line>>>,
}

impl Resolver<'_> {
    async fn resolve(&self, reference: &Reference) -> Result<Ref> {
        let mut spot = match self.find(reference.base()).await? {
            Some(spot) => spot,
            None => return Err(self.missing(reference.base()).await),
        };
        for suffix in reference.suffixes() {
            spot = step(spot, *suffix).await?;
        }
        on_line(&spot.line, spot.version, spot.entry).await
    }

    async fn find(&self, base: &Base) -> Result<Option<Spot>> {
        let Base::Word(word) = base else { return self.find_as(base).await };
        for reading in word.readings() {
            if let Some(spot) = self.find_as(&reading).await? {
                return Ok(Some(spot));
            }
        }
        Ok(None)
    }

    /// What an explicit form names.
    async fn find_as(&self, base: &Base) -> Result<Option<Spot>> {
        match base {
            Base::Branch(name) => Ok(self.branch(name).await?.map(Spot::tip)),
            Base::Tag(name) => Ok(self.tag(name).await?.map(Spot::tip)),
            Base::Version(version) => {
                Ok(self.default_line().await?.and_then(|line| at_version(line, *version)))
            }
            Base::Time(time) => match self.default_line().await? {
                Some(line) => at_time(line, time.timestamp()).await,
                None => Ok(None),
            },
            Base::Commit(prefix) => self.commit(prefix).await,
            // A word has no words among its readings.
            Base::Word(_) => Ok(None),
        }
    }

    async fn branch(&self, name: &RefName) -> Result<Option<Arc<Line>>> {
        if name == self.lake.default_branch() {
            self.default_line().await
        } else {
            self.lake.branch_line(name).await
        }
    }

    pub(super) async fn tag(&self, name: &RefName) -> Result<Option<Arc<Line>>> {
        match self.lake.standing_tag(name).await?.filter(StandingTag::is_live) {
            Some(tag) => Ok(Some(Arc::new(Line::of_tag(self.lake.clone(), tag).await?))),
            None => Ok(None),
        }
    }

    pub(super) async fn default_line(&self) -> Result<Option<Arc<Line>>> {
        let look = || self.lake.branch_line(self.lake.default_branch());
        Ok(self.line.get_or_try_init(look).await?.clone())
    }

    /// Says that nothing is named so, and what is near.
    async fn missing(&self, base: &Base) -> Error {
        let text = match base {
            Base::Branch(name) => format!(
                "there is no branch {:?}{}",
                name.as_str(),
                self.offer(name.as_str(), true, false).await
            ),
            Base::Tag(name) => {
                format!("there is no tag {:?}{}", name.as_str(), self.offer(name.as_str(), false, true).await)
            }
            Base::Word(word) => {
                let near = self.offer(word.as_str(), true, true).await;
                format!("nothing is named {:?}: it is no {}{near}", word.as_str(), kinds(word))
            }
            Base::Commit(prefix) => {
                format!("no retained commit of any branch or tag begins with {}", prefix.as_str())
            }
            Base::Version(_) | Base::Time(_) => self.missing_on_default(base).await,
        };
        Error::new(ErrorKind::NotFound, text)
    }

    async fn missing_on_default(&self, base: &Base) -> String {
        let name = self.lake.default_branch().as_str();
        match self.default_line().await {
            Ok(Some(line)) => match base {
                Base::Version(version) => above(&line, *version).message().to_owned(),
                _ => format!("branch {name:?} has no commit that is as old"),
            },
            _ => format!("versions and times are of branch {name:?}, which is not there"),
        }
    }

    /// The nearest names of live refs. Lists, on the way of an error only; what fails here is not worth another error.
    async fn offer(&self, wanted: &str, branches: bool, tags: bool) -> String {
        let mut near = Vec::new();
        if branches {
            for name in self.near(wanted, RefKind::Branch).await {
                if let Ok(Some(line)) = self.lake.branch_line(&name).await {
                    near.push(line.branch().as_str().to_owned());
                }
            }
        }
        if tags {
            for name in self.near(wanted, RefKind::Tag).await {
                let tag = self.lake.standing_tag(&name).await.ok().flatten();
                near.extend(tag.filter(StandingTag::is_live).map(|tag| tag.tag.name().as_str().to_owned()));
            }
        }
        near.dedup();
        offer(&near)
    }

    async fn near(&self, wanted: &str, kind: RefKind) -> Vec<RefName> {
        let listed = self.lake.storage().refs().list(kind).await.unwrap_or_default();
        let near = nearest(wanted, listed.iter().map(RefName::as_str));
        near.into_iter().filter_map(|name| RefName::new(name).ok()).collect()
    }
}

/// What a word would have been.
fn kinds(word: &Word) -> String {
    let kind = |reading: Base| match reading {
        Base::Branch(_) => "branch",
        Base::Tag(_) => "tag",
        Base::Version(_) => "version of the default branch",
        Base::Time(_) => "time with a commit",
        Base::Commit(_) => "commit",
        Base::Word(_) => "word",
    };
    word.readings().into_iter().map(kind).collect::<Vec<_>>().join(" and no ")
}

fn at_version(line: Arc<Line>, version: Seq) -> Option<Spot> {
    (version <= line.tip().version()).then_some(Spot { line, version, entry: None })
}

async fn at_time(line: Arc<Line>, time: Timestamp) -> Result<Option<Spot>> {
    let entry = line.entry_at(time).await?;
    Ok(entry.map(|entry| Spot::of(line, entry)))
}

/// One suffix further, along first parents [REFG-5].
async fn step(spot: Spot, suffix: Suffix) -> Result<Spot> {
    match suffix {
        Suffix::Parent(0) => Ok(spot),
        Suffix::Parent(steps) => match spot.version.0.checked_sub(steps) {
            Some(version) => Ok(Spot { version: Seq(version), entry: None, ..spot }),
            None => {
                let text = format!(
                    "~{steps} is beyond the first commit: version {0} has {0} before it",
                    spot.version
                );
                Err(Error::new(ErrorKind::NotFound, text))
            }
        },
        Suffix::AtVersion(version) if version <= spot.version => Ok(Spot { version, entry: None, ..spot }),
        Suffix::AtVersion(version) => {
            let text = format!("@{{{version}}} is above version {}, which stands before it", spot.version);
            Err(Error::new(ErrorKind::NotFound, text))
        }
        Suffix::AtTime(time) => step_to_time(spot, time.timestamp()).await,
    }
}

/// Times do not go back along a line, so below a version of it they are found from its tip as well.
async fn step_to_time(spot: Spot, time: Timestamp) -> Result<Spot> {
    match spot.line.entry_at(time).await? {
        Some(entry) if entry.seq < spot.version => Ok(Spot::of(spot.line, entry)),
        Some(_) => Ok(spot),
        None => {
            let text = format!("{} has no commit that is as old as {time}", spot.line);
            Err(Error::new(ErrorKind::NotFound, text))
        }
    }
}
