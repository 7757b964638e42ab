//! Branches, tags, and where a session stands.
//!
//! Invariant: refs are made and moved at once, for everybody, so never within a transaction. What does not belong here: the rules
//! of refs, which are the SDK's.

use strandline::format::{Base, RefName, Reference};
use strandline::{ErrorKind, Ref, Result};

use super::{Run, invalid};
use crate::catalog::{At, PUBLIC};
use crate::sql::reference;
use crate::sql::statement::{CreateTag, Name, RefKind, Use};

impl Run<'_> {
    /// What a reference names from here; where none is given, where the session stands.
    async fn named(&self, text: Option<&str>) -> Result<Ref> {
        match text {
            Some(text) => Box::pin(reference::find(self.lake, &self.standing.place, None, text)).await,
            None => Box::pin(self.lake.at(reference::of(&self.standing.place))).await,
        }
    }

    pub(super) async fn create_branch(
        &self,
        name: String,
        from: Option<String>,
        if_absent: bool,
    ) -> Result<()> {
        self.outside_of_transactions("a branch")?;
        let from = self.named(from.as_deref()).await?;
        or_if(self.lake.create_branch(name).from(from).await, if_absent, ErrorKind::AlreadyExists)
    }

    pub(super) async fn rename_branch(&mut self, name: String, to: String) -> Result<()> {
        self.outside_of_transactions("a branch")?;
        self.lake.rename_branch(name.as_str(), to.as_str()).await?;
        // Whoever stood at it stands at it still.
        if matches!(&self.standing.place, At::Branch(branch) if RefName::new(name).is_ok_and(|name| name == *branch))
        {
            self.stand(At::Branch(RefName::new(to)?));
        }
        Ok(())
    }

    pub(super) async fn fast_forward(&self, branch: String, to: String) -> Result<()> {
        self.outside_of_transactions("a branch")?;
        let to = self.named(Some(&to)).await?;
        self.lake.fast_forward(branch).to(to).await.map(drop)
    }

    pub(super) async fn create_tag(&self, tag: CreateTag) -> Result<()> {
        self.outside_of_transactions("a tag")?;
        let on = self.named(tag.on.as_deref()).await?;
        let mut made = self.lake.create_tag(tag.name).on(on);
        if let Some(message) = tag.message {
            made = made.message(message);
        }
        if tag.or_replace {
            made = made.moving();
        }
        or_if(made.await, tag.if_absent, ErrorKind::AlreadyExists)
    }

    pub(super) async fn drop_ref(&self, kind: RefKind, name: String, if_exists: bool) -> Result<()> {
        match kind {
            RefKind::Branch => {
                self.outside_of_transactions("a branch")?;
                self.refuse_own_branch(&name)?;
                or_if(self.lake.delete_branch(name).await, if_exists, ErrorKind::NotFound)
            }
            RefKind::Tag => {
                self.outside_of_transactions("a tag")?;
                or_if(self.lake.delete_tag(name).await, if_exists, ErrorKind::NotFound)
            }
        }
    }

    fn refuse_own_branch(&self, name: &str) -> Result<()> {
        let name = RefName::new(name)?;
        match &self.standing.place {
            At::Branch(branch) if *branch == name => Err(invalid(format!(
                "this session stands at branch {:?}: USE another one first",
                name.as_str()
            ))),
            _ => Ok(()),
        }
    }

    pub(super) async fn use_something(&mut self, used: Use) -> Result<()> {
        let place = match used {
            Use::Schema(name) => return self.use_schema(&name).await,
            Use::Branch(name) => {
                let branch =
                    Box::pin(self.lake.at(Reference::new(Base::Branch(RefName::new(name)?), Vec::new())))
                        .await?;
                At::Branch(branch.branch().clone())
            }
            Use::Tag(name) => At::Ref(
                Box::pin(self.lake.at(Reference::new(Base::Tag(RefName::new(name)?), Vec::new()))).await?,
            ),
            Use::Version(text) => At::Ref(self.named(Some(&text)).await?),
        };
        self.outside_of_transactions("where a session stands")?;
        self.stand(place);
        Ok(())
    }

    async fn use_schema(&self, name: &Name) -> Result<()> {
        let namespace = self.namespace(name)?;
        if namespace != PUBLIC {
            self.seen().check_namespace(&namespace).await?;
        }
        let state = self.ctx.state_ref();
        state.write().config_mut().options_mut().catalog.default_schema = namespace;
        Ok(())
    }
}

/// An outcome in which an error of a kind is none if that was allowed.
fn or_if<T>(outcome: Result<T>, allowed: bool, kind: ErrorKind) -> Result<()> {
    match outcome {
        Err(error) if allowed && error.kind() == kind => Ok(()),
        outcome => outcome.map(drop),
    }
}
