//! The rows of all groups that wait to become row groups or runs.
//!
//! Invariants: what waits is within its share of memory; if it is not, the largest groups go first, until half of the
//! share is free, so that groups with few rows get the time to grow. All of it follows from the rows in their order
//! alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use strandline_format::SplitValues;

use super::buffer::{Buffer, Limits, Rows};
use super::split::{Key, Part};
use crate::error::Result;

/// About what a group costs besides its rows.
const GROUP_BYTES: u64 = 512;

/// Rows of one group that are to be encoded next.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) key: Key,
    pub(super) split: Option<SplitValues>,
    pub(super) rows: Rows,
}

/// The groups that have rows waiting.
#[derive(Debug)]
pub(super) struct Waiting {
    groups: BTreeMap<Key, Group>,
    bytes: u64,
    share: u64,
    limits: Limits,
}

#[derive(Debug)]
struct Group {
    split: Option<SplitValues>,
    buffer: Buffer,
}

impl Group {
    fn weight(&self) -> u64 {
        GROUP_BYTES + self.buffer.bytes()
    }
}

impl Waiting {
    pub(super) fn new(limits: Limits, share: u64) -> Self {
        Self { groups: BTreeMap::new(), bytes: 0, share, limits }
    }

    /// What all that waits weighs.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes rows in, and gives out what is to be encoded.
    pub(super) fn push(&mut self, part: Part) -> Result<Vec<Section>> {
        let Part { key, values, batch } = part;
        let mut group = match self.groups.remove(&key) {
            Some(group) => {
                self.bytes -= group.weight();
                group
            }
            None => Group { split: values, buffer: Buffer::default() },
        };
        let full = group.buffer.push(batch, &self.limits)?;
        let section = |rows| Section { key: Arc::clone(&key), split: group.split.clone(), rows };
        let mut sections: Vec<Section> = full.into_iter().map(section).collect();
        if !group.buffer.is_empty() {
            self.bytes += group.weight();
            self.groups.insert(key, group);
        }
        if self.bytes > self.share && self.groups.len() > 1 {
            sections.extend(self.largest());
        }
        Ok(sections)
    }

    /// The rows of the largest groups, until half of the share is free.
    fn largest(&mut self) -> Vec<Section> {
        let mut keys: Vec<(u64, Key)> =
            self.groups.iter().map(|(key, group)| (group.weight(), Arc::clone(key))).collect();
        keys.sort_by(|a, b| b.cmp(a));
        let mut sections = Vec::new();
        for (_, key) in keys {
            if self.bytes <= self.share / 2 {
                break;
            }
            sections.extend(self.take(&key));
        }
        sections
    }

    fn take(&mut self, key: &Key) -> Option<Section> {
        let mut group = self.groups.remove(key)?;
        self.bytes -= group.weight();
        let rows = group.buffer.take()?;
        Some(Section { key: Arc::clone(key), split: group.split, rows })
    }

    /// The rows of one more group, at the end.
    pub(super) fn drain(&mut self) -> Option<Section> {
        let key = Arc::clone(self.groups.first_key_value()?.0);
        self.take(&key)
    }
}
