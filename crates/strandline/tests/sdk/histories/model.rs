//! What a lake is like, without a lake: tables of rows in memory, and what one transaction's work comes to upon another head by
//! the rules of chapter REB, read as serial application.
//!
//! Invariants: every row has a number of its own that no other row ever gets, so rows are told apart as files and positions do;
//! a commit that must not conflict is told from one that must and from one that may, where statistics decide. What does not
//! belong here: files, trees, and anything of the crate under test.

use std::collections::{BTreeMap, BTreeSet};

/// The values of a row by column; those that were added later are not in it.
pub(crate) type Row = BTreeMap<u32, Option<i64>>;

/// The column of every table that predicates ask for, and the one that tells rows apart.
pub(crate) const K: u32 = 0;
pub(crate) const U: u32 = 1;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) long: bool,
    pub(crate) initial: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) columns: BTreeMap<u32, Column>,
    /// By the value of `U`.
    pub(crate) rows: BTreeMap<i64, Row>,
    /// Another mark after each update of a row; rows that were never updated have none.
    pub(crate) marks: BTreeMap<i64, u64>,
    pub(crate) split: bool,
    /// Another one after each change.
    pub(crate) stamp: u64,
    /// Another one after each change of the columns, the rows that came, the rows that went.
    pub(crate) altered: u64,
    pub(crate) written: u64,
    pub(crate) removed: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) namespaces: BTreeMap<u32, String>,
    pub(crate) tables: BTreeMap<u32, Table>,
}

/// Which rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    All,
    Below(i64),
    Equal(i64),
    From(i64),
    In(BTreeSet<i64>),
    /// Those with these values of `U`.
    Numbers(BTreeSet<i64>),
}

impl Reach {
    pub(crate) fn holds(&self, row: &Row) -> bool {
        let k = row[&K].unwrap();
        match self {
            Self::All => true,
            Self::Below(bound) => k < *bound,
            Self::Equal(bound) => k == *bound,
            Self::From(bound) => k >= *bound,
            Self::In(values) => values.contains(&k),
            Self::Numbers(values) => values.contains(&row[&U].unwrap()),
        }
    }
}

impl Table {
    /// A value as a reader sees it.
    pub(crate) fn value(&self, row: &Row, column: u32) -> Option<i64> {
        row.get(&column).copied().unwrap_or(self.columns[&column].initial)
    }

    /// The rows in reach, with their marks.
    fn matching(&self, reach: &Reach) -> BTreeMap<i64, Option<u64>> {
        let within = self.rows.iter().filter(|(_, row)| reach.holds(row));
        within.map(|(u, _)| (*u, self.marks.get(u).copied())).collect()
    }

    /// What became of a row since `base`.
    fn fate(&self, base: &Self, u: i64) -> Fate {
        match self.rows.contains_key(&u) {
            false => Fate::Deleted,
            true if self.marks.get(&u) != base.marks.get(&u) => Fate::Changed,
            true => Fate::Left,
        }
    }

    fn looks_like(&self, other: &Self) -> bool {
        self.name == other.name && self.columns == other.columns && self.rows.keys().eq(other.rows.keys())
    }
}

/// What a side did to a row. That rows move is nothing to the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Left,
    Deleted,
    Changed,
}

impl State {
    /// What stands under a name: a table or a namespace.
    pub(crate) fn named(&self, name: &str) -> Option<u32> {
        let tables = self.tables.iter().map(|(id, table)| (id, &table.name));
        tables.chain(&self.namespaces).find(|(_, found)| *found == name).map(|(id, _)| *id)
    }

    pub(crate) fn names(&self) -> BTreeMap<&str, u32> {
        let tables = self.tables.iter().map(|(id, table)| (table.name.as_str(), *id));
        tables.chain(self.namespaces.iter().map(|(id, name)| (name.as_str(), *id))).collect()
    }
}

/// A mark that neither side has.
fn mixed(one: u64, other: u64) -> u64 {
    one.wrapping_add(other).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The namespace that a name stands in.
pub(crate) fn around(name: &str) -> Option<&str> {
    name.rsplit_once('.').map(|(namespace, _)| namespace)
}

/// Whether a commit may be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Refusal {
    Never,
    Maybe,
    Always,
}

/// What a transaction has read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reads {
    pub(crate) names: BTreeSet<String>,
    pub(crate) listed: bool,
    /// Namespaces whose members were listed.
    pub(crate) members: BTreeSet<String>,
    pub(crate) schemas: BTreeSet<u32>,
    pub(crate) scans: Vec<(u32, Reach)>,
}

/// What a transaction stands on and what it has done.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    pub(crate) base: State,
    pub(crate) now: State,
    pub(crate) overwrites: Vec<(u32, Reach)>,
    pub(crate) serializable: bool,
    pub(crate) reads: Reads,
}

/// The work upon another head.
pub(crate) struct Merge<'w> {
    work: &'w Work,
    head: &'w State,
    refusal: Refusal,
}

impl Work {
    pub(crate) fn on(base: &State, serializable: bool) -> Self {
        Self {
            base: base.clone(),
            now: base.clone(),
            overwrites: Vec::new(),
            serializable,
            reads: Reads::default(),
        }
    }

    /// What it comes to upon a head, and whether it may be refused there.
    pub(crate) fn upon(&self, head: &State) -> (Refusal, State) {
        let mut merge = Merge { work: self, head, refusal: Refusal::Never };
        let state = merge.run();
        if self.serializable {
            merge.check_reads();
        }
        (merge.refusal, state)
    }
}

impl Merge<'_> {
    fn raise(&mut self, refusal: Refusal) {
        self.refusal = self.refusal.max(refusal);
    }

    fn raise_if(&mut self, collides: bool) {
        self.raise(if collides { Refusal::Always } else { Refusal::Never });
    }

    fn run(&mut self) -> State {
        let (base, head, now) = (&self.work.base, self.head, &self.work.now);
        let mut state = State::default();
        let ids: BTreeSet<u32> =
            [base, head, now].into_iter().flat_map(|side| side.tables.keys().copied()).collect();
        for id in ids {
            let merged = self.table(id, base.tables.get(&id), head.tables.get(&id), now.tables.get(&id));
            state.tables.extend(merged.map(|table| (id, table)));
        }
        let spaces = [head, now].into_iter().flat_map(|side| &side.namespaces);
        for (id, name) in spaces {
            let sides = [base, head, now].map(|side| side.namespaces.contains_key(id));
            if sides[1..] == [true, true] || !sides[0] {
                state.namespaces.insert(*id, name.clone());
            }
        }
        self.check_names(&state);
        state
    }

    fn check_names(&mut self, state: &State) {
        let mut seen = BTreeSet::new();
        let tables = state.tables.values().map(|table| &table.name);
        let twice = tables.chain(state.namespaces.values()).any(|name| !seen.insert(name));
        self.raise_if(twice);
        let homeless = |table: &Table| {
            around(&table.name)
                .is_some_and(|namespace| !state.namespaces.values().any(|name| name == namespace))
        };
        self.raise_if(state.tables.values().any(homeless));
    }

    fn table(
        &mut self,
        id: u32,
        base: Option<&Table>,
        head: Option<&Table>,
        now: Option<&Table>,
    ) -> Option<Table> {
        match (base, head, now) {
            (None, Some(made), None) | (None, None, Some(made)) => Some(made.clone()),
            (Some(base), Some(kept), None) | (Some(base), None, Some(kept)) => {
                if kept.stamp != base.stamp {
                    self.raise(if kept.looks_like(base) { Refusal::Maybe } else { Refusal::Always });
                }
                None
            }
            (Some(base), Some(head), Some(now)) if head.stamp != base.stamp && now.stamp != base.stamp => {
                Some(self.both(id, base, head, now))
            }
            (Some(base), Some(head), Some(now)) => {
                Some(if now.stamp == base.stamp { head.clone() } else { now.clone() })
            }
            _ => None,
        }
    }

    fn both(&mut self, id: u32, base: &Table, head: &Table, now: &Table) -> Table {
        self.check_overwrites(id, base, head);
        let mut merged = head.clone();
        merged.name = self.pick(&base.name, &head.name, &now.name);
        merged.columns = self.columns(base, head, now);
        self.rows(base, head, now, &mut merged);
        let added = now.rows.iter().filter(|(u, _)| !base.rows.contains_key(u));
        for (u, row) in added {
            merged.rows.insert(*u, row.clone());
            merged.marks.extend(now.marks.get(u).map(|mark| (*u, *mark)));
        }
        for (counter, base, yours) in [
            (&mut merged.stamp, base.stamp, now.stamp),
            (&mut merged.altered, base.altered, now.altered),
            (&mut merged.written, base.written, now.written),
            (&mut merged.removed, base.removed, now.removed),
        ] {
            *counter = if *counter == base {
                yours
            } else if yours == base {
                *counter
            } else {
                mixed(*counter, yours)
            };
        }
        merged
    }

    /// Each row of the base, by what became of it on either side.
    fn rows(&mut self, base: &Table, head: &Table, now: &Table, merged: &mut Table) {
        for u in base.rows.keys() {
            match (head.fate(base, *u), now.fate(base, *u)) {
                (Fate::Changed, Fate::Changed | Fate::Deleted) | (Fate::Deleted, Fate::Changed) => {
                    self.raise(Refusal::Always);
                }
                (_, Fate::Deleted) => drop(merged.rows.remove(u)),
                (_, Fate::Changed) => {
                    merged.rows.insert(*u, now.rows[u].clone());
                    merged.marks.insert(*u, now.marks[u]);
                }
                (_, Fate::Left) => {}
            }
        }
    }

    fn check_overwrites(&mut self, id: u32, base: &Table, head: &Table) {
        for (_, reach) in self.work.overwrites.iter().filter(|(table, _)| *table == id) {
            let came = |(u, mark): (i64, Option<u64>)| {
                !base.rows.contains_key(&u) || mark != base.marks.get(&u).copied()
            };
            let written = head.matching(reach).into_iter().any(came);
            self.raise_if(written);
            if (head.written, head.removed) != (base.written, base.removed) {
                self.raise(Refusal::Maybe);
            }
        }
    }

    fn columns(&mut self, base: &Table, head: &Table, now: &Table) -> BTreeMap<u32, Column> {
        let ids: BTreeSet<u32> =
            [base, head, now].into_iter().flat_map(|table| table.columns.keys().copied()).collect();
        let mut columns = BTreeMap::new();
        for id in ids {
            let merged = match (base.columns.get(&id), head.columns.get(&id), now.columns.get(&id)) {
                (Some(base), Some(head), Some(now)) => Some(Column {
                    name: self.pick(&base.name, &head.name, &now.name),
                    long: head.long || now.long,
                    initial: base.initial,
                }),
                (Some(base), Some(kept), None) | (Some(base), None, Some(kept)) => {
                    self.raise_if(kept != base);
                    None
                }
                (None, Some(added), _) | (None, None, Some(added)) => Some(added.clone()),
                _ => None,
            };
            columns.extend(merged.map(|column| (id, column)));
        }
        let names: BTreeSet<&str> = columns.values().map(|column| column.name.as_str()).collect();
        self.raise_if(names.len() < columns.len());
        columns
    }

    fn pick(&mut self, base: &str, head: &str, now: &str) -> String {
        self.raise_if(head != base && now != base && head != now);
        (if head == base { now } else { head }).to_owned()
    }

    fn check_reads(&mut self) {
        let (base, reads) = (&self.work.base, &self.work.reads);
        let names = reads.names.iter().any(|name| base.named(name) != self.head.named(name));
        self.raise_if(names);
        self.raise_if(reads.listed && base.names() != self.head.names());
        let members = |state: &'_ State, space: &str| -> BTreeMap<String, u32> {
            let names = state.names().into_iter();
            names
                .filter(|(name, _)| around(name) == Some(space))
                .map(|(name, id)| (name.to_owned(), id))
                .collect()
        };
        let differs = |space: &String| members(base, space) != members(self.head, space);
        self.raise_if(reads.members.iter().any(differs));
        for id in &reads.schemas {
            if let (Some(before), Some(after)) = (base.tables.get(id), self.head.tables.get(id)) {
                self.raise_if(before.columns != after.columns);
                self.raise(if before.altered == after.altered { Refusal::Never } else { Refusal::Maybe });
            }
        }
        for (id, reach) in &reads.scans {
            if let (Some(before), Some(after)) = (base.tables.get(id), self.head.tables.get(id)) {
                self.raise_if(before.matching(reach) != after.matching(reach));
                let same = (before.written, before.removed) == (after.written, after.removed);
                self.raise(if same { Refusal::Never } else { Refusal::Maybe });
            }
        }
    }
}
