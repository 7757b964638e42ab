//! Which rows with one key count: a pair that one side has by itself is its own affair [REB-17].
//!
//! Invariant: whether a side has a row is told by ids, never by keys. What does not belong here: how the pairs were found (`keys`).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use strandline_format::merge::{KeyedRow, same_keys};
use strandline_format::{DeletionVector, FileEntry, FileId, RowId};

use crate::changes::only;
use crate::error::Result;
use crate::merge::conflict::KeyConflicts;
use crate::merge::keys::{At, KeysMerge, Pair, Twin, Twins};
use crate::scan::{Scan, identify};
use crate::table::TableState;
use crate::transaction::alone;
use crate::transaction::key::Key;

/// The keys that the rows of one side have, by id.
type KeysById = HashMap<u64, Box<[u8]>>;

impl KeysMerge<'_> {
    /// Leaves out the pairs that one side has by itself.
    pub(super) async fn decide(&self, key: &Key, pairs: Vec<Pair>, found: &mut KeyConflicts) -> Result<()> {
        if pairs.is_empty() {
            return Ok(());
        }
        let ids = self.ids(&pairs).await?;
        let (shared, to_theirs) = self.shared(&ids)?;
        let shared_ids = |is_here: fn(&At) -> bool| -> BTreeSet<u64> {
            let elsewhere = ids.iter().filter(|(at, id)| !is_here(at) && shared.contains(id));
            elsewhere.map(|(_, id)| *id).collect()
        };
        let in_ours: BTreeMap<u64, u64> =
            shared_ids(|at| matches!(at, At::Ours(..))).into_iter().map(|id| (id, id)).collect();
        let ours = self.keys_of(key, self.table.ours, &in_ours).await?;
        let whole = match self.table.brought {
            Some(brought) => brought.whole.clone(),
            None => {
                TableState { table: Arc::new(self.table.theirs.table.clone()), ..self.table.ours.clone() }
            }
        };
        let in_theirs = shared_ids(|at| matches!(at, At::Theirs(..))).into_iter();
        let in_theirs: BTreeMap<u64, u64> = in_theirs.filter_map(|id| Some((to_theirs(id)?, id))).collect();
        let theirs = self.keys_of(key, &whole, &in_theirs).await?;
        let mut twins: Vec<Twins> = Vec::new();
        for Pair { key, shown, ours: one, theirs: other } in pairs {
            let row = |at: At| {
                let id = ids[&at];
                let side = |is_here: bool, known: &KeysById| match is_here {
                    true => Some(key.clone()),
                    false => known.get(&id).filter(|_| shared.contains(&id)).cloned(),
                };
                let (is_ours, is_theirs) = (matches!(at, At::Ours(..)), matches!(at, At::Theirs(..)));
                KeyedRow { key: key.clone(), ours: side(is_ours, &ours), theirs: side(is_theirs, &theirs) }
            };
            if !same_keys(&[row(one), row(other)]).is_empty() {
                let twin = |at| Twin {
                    at,
                    row: self.result_id(at, ids[&at]),
                    is_shared: shared.contains(&ids[&at]),
                };
                twins.push(Twins { key: shown, ours: twin(one), theirs: twin(other) });
            }
        }
        twins.sort_by_key(|twins| (twins.ours.row, twins.theirs.row, twins.theirs.at));
        twins.into_iter().for_each(|twins| found.push(twins));
        Ok(())
    }

    /// The ids of rows in pairs. Requests: the columns of ids of files that store them.
    async fn ids(&self, pairs: &[Pair]) -> Result<BTreeMap<At, u64>> {
        let mut ids = BTreeMap::new();
        let mut files: BTreeMap<(bool, FileId), DeletionVector> = BTreeMap::new();
        for at in pairs.iter().flat_map(|pair| [pair.ours, pair.theirs]) {
            match at {
                At::Ours(file, position) => files.entry((false, file)).or_default().insert(position)?,
                At::Theirs(file, position) => files.entry((true, file)).or_default().insert(position)?,
                At::Given(id) => ids.insert(at, id).is_none(),
            };
        }
        let of_ours: Vec<FileId> =
            files.keys().filter(|(of_theirs, _)| !of_theirs).map(|(_, file)| *file).collect();
        let of_ours = self.table.ours.trees.get_many(&self.table.ours.table.files, &of_ours).await?;
        let mut of_ours = of_ours.into_iter();
        for ((of_theirs, file), wanted) in files {
            let (entry, place): (_, fn(FileId, u64) -> At) = match of_theirs {
                true => (self.their_entry(file), At::Theirs),
                false => (of_ours.next().flatten(), At::Ours),
            };
            let Some(entry) = entry else { continue };
            let others = DeletionVector::below(entry.rows)?.added_since(&wanted);
            identify(&self.state(of_theirs), &entry, &others, |row| {
                ids.insert(place(file, row.position), row.id);
                Ok(())
            })
            .await?;
        }
        Ok(ids)
    }

    fn their_entry(&self, file: FileId) -> Option<FileEntry> {
        self.table.theirs.table.files.edits().get(&file).cloned().flatten()
    }

    /// Which of these ids both sides know, and what such an id of ours is in theirs.
    fn shared(&self, ids: &BTreeMap<At, u64>) -> Result<(BTreeSet<u64>, impl Fn(u64) -> Option<u64>)> {
        let to_theirs = self.table.brought.map(|brought| brought.known.rows.reversed()).transpose()?;
        let handed_out = match self.table.brought {
            Some(_) => self.table.ours.table.next_row.0,
            None => self.table.base.table.next_row.0,
        };
        let to_theirs = move |id: u64| match &to_theirs {
            Some(known) => known.get(id),
            None => (id < handed_out).then_some(id),
        };
        let is_shared = |(at, id): &(&At, &u64)| match at {
            At::Ours(..) => to_theirs(**id).is_some(),
            At::Theirs(..) => **id < handed_out,
            At::Given(_) => true,
        };
        let shared = ids.iter().filter(is_shared).map(|(_, id)| *id).collect();
        Ok((shared, to_theirs))
    }

    /// The keys that a side has of the rows with these ids, by what they are called here.
    async fn keys_of(&self, key: &Key, state: &TableState, names: &BTreeMap<u64, u64>) -> Result<KeysById> {
        let mut keys = KeysById::new();
        if names.is_empty() {
            return Ok(keys);
        }
        let read = TableState { schema: Arc::new(self.merged.schema.clone()), ..state.clone() };
        for (entry, _, places) in read.found(names.keys().map(|id| RowId(*id))).await? {
            let ids: HashMap<u64, u64> = places.iter().map(|place| (place.position, place.row.0)).collect();
            let rows = DeletionVector::from_positions(ids.keys().copied())?;
            let Some(entry) = only(&entry, &rows)? else { continue };
            for batch in Scan::of(alone(&read, &entry)).fields(key.fields()).row_ids(true).collect().await? {
                let positions = crate::changes::ids(&batch)?.clone();
                key.tell(&batch, |row, found, _| {
                    let name = ids.get(&positions.value(row)).and_then(|id| names.get(id));
                    keys.extend(name.map(|name| (*name, found.into())));
                    Ok(())
                })?;
            }
        }
        Ok(keys)
    }

    /// The id that a row has in the result.
    fn result_id(&self, at: At, id: u64) -> RowId {
        match at {
            At::Theirs(..) => RowId(self.numbers.rows.get(id).unwrap_or(id)),
            At::Ours(..) | At::Given(_) => RowId(id),
        }
    }
}
