//! What is checked on every read of a base, before anything is swapped upon it [TXN-4].
//!
//! Invariant: the order of the checks is that of the rule, and none is left out because of what the last answer was: an id
//! that is in the history has committed, whatever its writer was told.

use std::cmp::Ordering;

use futures::TryStreamExt;
use strandline_format::tree::Children;
use strandline_format::{Hash, History, HistoryColumns, HistoryEntry, HistorySummary, Mask, Seq, TxnId};

use crate::commit::Member;
use crate::commit::resolve::read_commit;
use crate::error::{Error, ErrorKind, Result};
use crate::history::Commit;
use crate::lake::Head;
use crate::storage::Objects;
use crate::tree::{KeyRange, Select};

/// Looks for the commit of an idempotency key in the whole history of a head, the head included [HIST-6].
///
/// Gives its commit; of one that was expired what the history says of it [EXP-3]. Requests: the inner nodes of
/// the history above keyed entries, one leaf, and one more of a hundred leaves; and the commit.
pub(crate) async fn find_key(head: &Head, txn: TxnId) -> Result<Option<Commit>> {
    match at_head(head, txn) {
        Some(commit) => Ok(Some(commit)),
        None => found(head, search(head, &Keyed(txn)).await?).await,
    }
}

/// Looks for a transaction in the history of a head above the version that it began on, the head included [TXN-5]. What is below was
/// searched for its key when it began.
///
/// No request as long as the head's buffer holds what came since; else the nodes that do, and the commit.
pub(crate) async fn find_since(head: &Head, txn: TxnId, start: Seq) -> Result<Option<Commit>> {
    match at_head(head, txn) {
        Some(commit) => Ok(Some(commit)),
        None if head.commit().seq <= start => Ok(None),
        None => found(head, search(head, &Since(KeyRange::new(start..), txn)).await?).await,
    }
}

fn at_head(head: &Head, txn: TxnId) -> Option<Commit> {
    (head.commit().txn == txn).then(|| head.version().clone())
}

async fn found(head: &Head, entry: Option<HistoryEntry>) -> Result<Option<Commit>> {
    match entry {
        None => Ok(None),
        // Its object may have been collected.
        Some(entry) if entry.seq < head.pointer().expired_before() => Ok(Some(Commit::remembered(&entry))),
        Some(entry) => read_commit(head.trees(), &entry.commit).await.map(Some),
    }
}

async fn search(head: &Head, select: &impl Select<History>) -> Result<Option<HistoryEntry>> {
    let mut batches = std::pin::pin!(head.trees().scan(&head.commit().history, select));
    while let Some(batch) = batches.try_next().await? {
        if let Some(entry) = batch.entries().next() {
            return Ok(Some(entry));
        }
    }
    Ok(None)
}

/// The entry of a transaction with a key.
struct Keyed(TxnId);

impl Select<History> for Keyed {
    fn children(&self, children: &Children<History>) -> Mask {
        let may_hold = |run: &HistorySummary| {
            run.keyed > 0 && run.keys.as_ref().is_none_or(|keys| keys.may_hold(self.0))
        };
        children.summary.as_slice().iter().map(may_hold).collect()
    }

    fn entries(&self, entries: &HistoryColumns) -> Mask {
        entries.as_slice().iter().map(|entry| entry.keyed && entry.txn == self.0).collect()
    }
}

/// The entry of a transaction, from a version on.
struct Since(KeyRange<Seq>, TxnId);

impl Select<History> for Since {
    fn children(&self, children: &Children<History>) -> Mask {
        Select::<History>::children(&self.0, children)
    }

    fn entries(&self, entries: &HistoryColumns) -> Mask {
        let recent = Select::<History>::entries(&self.0, entries);
        let found = entries.as_slice().iter().map(|entry| entry.txn == self.1).collect();
        recent.and(&found)
    }
}

/// The commit that is a version of a head's first-parent history, the head included. As many requests as the history has
/// levels that are not at hand.
pub(crate) async fn commit_at(head: &Head, version: Seq) -> Result<Option<Hash>> {
    let commit = head.commit();
    match version.cmp(&commit.seq) {
        Ordering::Equal => Ok(Some(head.pointer().head().hash)),
        Ordering::Greater => Ok(None),
        Ordering::Less => {
            let entry = head.trees().get(&commit.history, &version).await?;
            Ok(entry.map(|entry| entry.commit.hash))
        }
    }
}

/// Refuses a base in whose first-parent history the start does not stand: the branch was deleted and made anew, and the
/// transaction may have committed on the old one [TXN-4].
pub(crate) async fn check_start(head: &Head, start: &Commit) -> Result<()> {
    if commit_at(head, start.version()).await? == Some(start.hash()) {
        return Ok(());
    }
    let branch = head.pointer().branch().as_str();
    let message = format!("branch {branch:?} was made anew since this transaction began on it: begin again");
    Err(Error::new(ErrorKind::Conflict, message))
}

/// Refuses a base that no longer keeps what the transaction reads and reuses [EXP-4].
pub(crate) fn check_retained(head: &Head, start: &Commit) -> Result<()> {
    let kept = head.pointer().expired_before();
    if start.version() >= kept {
        return Ok(());
    }
    let message = format!(
        "this transaction began on version {}, and the versions before {kept} were expired since: begin again",
        start.version()
    );
    Err(Error::new(ErrorKind::SnapshotExpired, message))
}

/// Puts again what was uploaded in an era that the base no longer allows, from a verified copy of the own upload [GC-4].
///
/// Two requests for each such object; its size in memory.
pub(crate) async fn renew_uploads(member: &mut Member, head: &Head, objects: &Objects) -> Result<()> {
    for draft in member.work.drafts_mut() {
        let table = draft.table.id;
        let outdated: Vec<_> = draft
            .uploads
            .values()
            .filter(|(_, object)| !head.pointer().allows(object.era))
            .copied()
            .collect();
        if !outdated.is_empty() {
            member.uploads.stored().await?;
        }
        for (kind, object) in outdated {
            let bytes = objects.get_data(kind, table, &object).await.map_err(|error| gone(&error))?;
            let renewed = objects.put_data(kind, table, bytes, head.pointer().era()).await?;
            draft.renew(kind, renewed);
        }
    }
    Ok(())
}

/// An upload that a collection took while the transaction slept.
fn gone(error: &Error) -> Error {
    match error.kind() {
        ErrorKind::Corrupt => {
            let message = format!(
                "two collections passed while this transaction was open, and took what it had uploaded: write it again ({})",
                error.message()
            );
            Error::new(ErrorKind::Conflict, message)
        }
        kind => Error::new(kind, error.message()),
    }
}

/// Whether a transaction has committed already, seen from a base in whose history its start stands.
pub(crate) async fn landed(head: &Head, member: &Member) -> Result<Option<Commit>> {
    find_since(head, member.txn, member.start.version()).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use strandline_format::HistoryEntry;
    use strandline_format::tree::Columns;

    #[test]
    fn entries_without_the_key_are_passed_over() {
        let entry = |seq, txn: u8, keyed| HistoryEntry {
            seq: Seq(seq),
            commit: strandline_format::ObjectRef {
                hash: strandline_format::Hash::of(&[txn]),
                era: strandline_format::Era(0),
                size: 1,
            },
            time: strandline_format::Timestamp::EPOCH,
            txn: TxnId::from_bytes([txn; 16]),
            keyed,
            merged: None,
        };
        let columns = HistoryColumns::from_items(&[entry(0, 1, false), entry(1, 2, true), entry(2, 1, true)]);
        let found = Select::<History>::entries(&Keyed(TxnId::from_bytes([1; 16])), &columns);
        assert_eq!(found.ones().collect::<Vec<_>>(), [2]);
        let since = Since(KeyRange::new(Seq(1)..), TxnId::from_bytes([1; 16]));
        assert_eq!(since.entries(&columns).ones().collect::<Vec<_>>(), [2]);
    }
}
