//! Where one side has rows in places in which the base has not got them [REB-7].
//!
//! A row that was changed or moved since stands in a file that the side added. Where a version took rows from another one, as a
//! reset does, it may as well stand in a place that it had long before: in a file of which the base has deleted it, or that the base no longer
//! lists. Invariant: every row that the side has and the base has not in that place is in one of these. What does not belong here:
//! what became of such rows (`rows`).

use strandline_format::FileEntry;

use crate::changes::{FileChange, Part, Sides, is_fresh, only};
use crate::error::Result;
use crate::merge::known::Known;
use crate::scan::deletion_vector;
use crate::table::TableState;
use crate::tree::Trees;

/// The places that a side has and the base has not, but for files of rows that the base cannot know: each file with nothing but the
/// rows that came. Requests: those of the difference, and deletion vectors of which some are objects.
pub(super) async fn came(
    trees: &Trees,
    (base, side): (&TableState, &TableState),
    known: &Known,
) -> Result<Vec<FileEntry>> {
    let changes = Sides { trees, before: &base.table, after: &side.table, known }.files().await?;
    let mut places = Vec::new();
    for change in &changes {
        let part = came_with(change, (base, side), known).await?;
        places.extend(part.filter(|part| !part.is_fresh).map(|part| part.entry));
    }
    Ok(places)
}

/// Of one file, whatever rows it has; those of a file that both have in place are never fresh.
pub(super) async fn came_with(
    change: &FileChange,
    (base, side): (&TableState, &TableState),
    known: &Known,
) -> Result<Option<Part>> {
    let Some(after) = &change.after else { return Ok(None) };
    let Some(before) = &change.before else {
        return Ok(Some(Part { entry: after.clone(), is_fresh: is_fresh(after, base, known) }));
    };
    if before.deletes.is_none() {
        return Ok(None);
    }
    let (old, new) = futures::try_join!(
        deletion_vector(&base.objects, base.table.id, before),
        deletion_vector(&side.objects, side.table.id, after)
    )?;
    let came = only(after, &old.unwrap_or_default().added_since(&new.unwrap_or_default()))?;
    Ok(came.map(|entry| Part { entry, is_fresh: false }))
}
