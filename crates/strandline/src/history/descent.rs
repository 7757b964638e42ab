//! Whether one version comes from another one, by way of merges too.

use crate::error::Result;
use crate::history::Ref;
use crate::merge::Kin;

impl Ref {
    /// Whether all that led to another version has led to this one as well: it is this version, one before it, or one that was merged
    /// on the way. A commit that was only picked is not. No request if the two parted within what their commits hold; else the nodes
    /// in which their histories differ, and those of what was merged.
    ///
    /// ```
    #[doc = include_str!("../orders.example")]
    /// let main = lake.main().await?;
    /// let dev = lake.create_branch("dev").await?;
    /// assert!(main.contains(&dev).await?);
    /// let change = dev.begin().await?;
    /// change.drop_table("orders").await?;
    /// change.commit().await?;
    /// let dev = lake.at("dev").await?;
    /// assert!(!main.contains(&dev).await? && dev.contains(&main).await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `InvalidInput` if they are not of one lake; `SnapshotExpired` if what they come from is not kept any more; `Corrupt` and the
    /// store's errors. Dropping the future leaves nothing.
    pub async fn contains(&self, other: &Self) -> Result<bool> {
        Kin::of(self, other).await?.has_come(&[Some(other.commit().hash())]).await
    }
}
