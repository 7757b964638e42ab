//! The steps of a history, as random choices: numbers that are taken modulo what there is when the step comes.
//!
//! Invariant: a step means something in whatever state it comes, so that taking steps away leaves a history, and a failing one
//! shrinks. What does not belong here: what the steps do (`world`).

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::histories::call::{Alter, Call};
use crate::histories::model::{Column, K, Reach, Row, State, Table, U};
use crate::histories::process::Fate;

/// One step.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Begin {
        process: usize,
        branch: u8,
        serializable: bool,
        key: Option<u8>,
    },
    Act {
        transaction: usize,
        act: Act,
        fate: Fate,
    },
    /// One transaction, or all that its process has open, at once.
    Commit {
        transaction: usize,
        together: bool,
        fate: Fate,
    },
    Abandon {
        transaction: usize,
        silently: bool,
    },
    CreateBranch {
        process: usize,
        name: u8,
        from: u8,
        back: u8,
        fate: Fate,
    },
    DeleteBranch {
        process: usize,
        name: u8,
        fate: Fate,
    },
    FastForward {
        process: usize,
        name: u8,
        to: u8,
        fate: Fate,
    },
    CreateTag {
        process: usize,
        name: u8,
        from: u8,
        back: u8,
        fate: Fate,
    },
    DeleteTag {
        process: usize,
        name: u8,
        fate: Fate,
    },
    /// An era passes: what was uploaded two of them ago is uploaded again.
    Collect {
        process: usize,
    },
    Past {
        process: usize,
        branch: u8,
        back: u8,
    },
    Reopen {
        process: usize,
    },
}

/// What a transaction does, before it is known which tables there are.
#[derive(Clone, Debug)]
pub(crate) struct Act {
    kind: u8,
    table: u8,
    name: u8,
    column: u8,
    reach: (u8, u8),
    rows: Vec<u8>,
}

const TABLES: [&str; 5] = ["t0", "t1", "t2", "n.t0", "n.t1"];
const COLUMNS: [&str; 3] = ["a", "b", "c"];

fn fates() -> BoxedStrategy<Fate> {
    let (cut, crash) = ((0_u8..12).prop_map(Fate::Cut), (0_u8..24).prop_map(Fate::Crash));
    prop_oneof![6 => Just(Fate::Run), 1 => cut, 2 => crash].boxed()
}

fn acts(kinds: impl Strategy<Value = u8>) -> impl Strategy<Value = Act> {
    let reach = (0_u8..4, 0_u8..8);
    (kinds, 0_u8..6, 0_u8..5, 0_u8..3, reach, prop::collection::vec(0_u8..8, 0..6))
        .prop_map(|(kind, table, name, column, reach, rows)| Act { kind, table, name, column, reach, rows })
}

/// Steps of transactions that change rows, some of which read others as well.
pub(crate) fn row_steps() -> impl Strategy<Value = Step> {
    let kinds = prop_oneof![1 => 13_u8..16, 1 => 24_u8..26, 2 => 30_u8..32, 1 => 35_u8..37, 12 => 40_u8..52, 2 => 52_u8..54];
    let serializable = prop::bool::weighted(0.2);
    let begin = (0_usize..2, serializable).prop_map(|(process, serializable)| Step::Begin {
        process,
        branch: 0,
        serializable,
        key: None,
    });
    let act = (0_usize..4, acts(kinds)).prop_map(|(transaction, act)| Step::Act {
        transaction,
        act,
        fate: Fate::Run,
    });
    let commit = (0_usize..4, any::<bool>()).prop_map(|(transaction, together)| Step::Commit {
        transaction,
        together,
        fate: Fate::Run,
    });
    prop_oneof![5 => begin, 12 => act, 6 => commit]
}

/// Any step, the likelier the more there is to find.
pub(crate) fn steps() -> impl Strategy<Value = Step> {
    let process = 0_usize..2;
    let transaction = 0_usize..6;
    let begin = (
        process.clone(),
        prop_oneof![4 => Just(0_u8), 1 => 1_u8..3],
        any::<bool>(),
        prop::option::weighted(0.2, 0_u8..3),
    );
    let refs = (process.clone(), 0_u8..2, 0_u8..3, 0_u8..3, fates());
    let act_fates = prop_oneof![12 => Just(Fate::Run), 1 => fates()];
    prop_oneof![
        8 => begin.prop_map(|(process, branch, serializable, key)| Step::Begin { process, branch, serializable, key }),
        24 => (transaction.clone(), acts(0_u8..54), act_fates).prop_map(|(transaction, act, fate)| Step::Act { transaction, act, fate }),
        10 => (transaction.clone(), any::<bool>(), fates())
            .prop_map(|(transaction, together, fate)| Step::Commit { transaction, together, fate }),
        1 => (transaction, any::<bool>()).prop_map(|(transaction, silently)| Step::Abandon { transaction, silently }),
        2 => refs.clone().prop_map(|(process, name, from, back, fate)| Step::CreateBranch { process, name, from, back, fate }),
        1 => refs.clone().prop_map(|(process, name, _, _, fate)| Step::DeleteBranch { process, name, fate }),
        1 => refs.clone().prop_map(|(process, name, to, _, fate)| Step::FastForward { process, name, to, fate }),
        1 => refs.clone().prop_map(|(process, name, from, back, fate)| Step::CreateTag { process, name, from, back, fate }),
        1 => refs.prop_map(|(process, name, _, _, fate)| Step::DeleteTag { process, name, fate }),
        2 => process.clone().prop_map(|process| Step::Collect { process }),
        2 => (process.clone(), 0_u8..3, 0_u8..8).prop_map(|(process, branch, back)| Step::Past { process, branch, back }),
        1 => process.prop_map(|process| Step::Reopen { process }),
    ]
}

impl Act {
    /// The call that it is in a state; `None`: nothing that makes sense there. `next` numbers the rows.
    pub(crate) fn call(&self, state: &State, next: &mut i64) -> Option<Call> {
        let ids: Vec<&u32> = state.tables.keys().collect();
        let table = ids.get(usize::from(self.table) % ids.len().max(1)).map(|id| &state.tables[*id]);
        let name = TABLES[usize::from(self.name)].to_owned();
        match (self.kind, table) {
            (0, _) => return Some(Call::CreateNamespace("n".to_owned())),
            (1, _) => return Some(Call::DropNamespace("n".to_owned())),
            (2 | 3, _) => return Some(Call::CreateTable { name, split: self.kind == 3 }),
            (4, _) => return Some(Call::List),
            _ => {}
        }
        let table = table?;
        let column = COLUMNS[usize::from(self.column)].to_owned();
        let to = COLUMNS[usize::from(self.name) % COLUMNS.len()].to_owned();
        let mut rows = |reach: &Reach| self.rows(&table.columns, reach, next);
        Some(match self.kind {
            5 => Call::DropTable(table.name.clone()),
            6 | 7 => Call::Rename(table.name.clone(), name),
            8 | 9 => {
                let (long, initial) =
                    (self.reach.0.is_multiple_of(2), (self.reach.1 > 3).then_some(i64::from(self.reach.1)));
                Call::Alter(table.name.clone(), Alter::Add { name: column, long, initial })
            }
            10 => Call::Alter(table.name.clone(), Alter::Drop(column)),
            11 if column != to => Call::Alter(table.name.clone(), Alter::Rename(column, to)),
            12 => {
                table.columns.values().find(|known| known.name == column && !known.long)?;
                Call::Alter(table.name.clone(), Alter::Widen(column))
            }
            13..=20 => {
                let batches = (0..1 + self.column / 2).map(|_| rows(&Reach::All)).collect();
                Call::Append { table: table.name.clone(), rows: batches, streamed: self.kind > 18 }
            }
            21..=23 => self.overwrite(table.name.clone(), Reach::All, false, &mut rows),
            24..=27 => self.overwrite(table.name.clone(), self.reach(), false, &mut rows),
            28 | 29 if table.split => {
                let rows = rows(&Reach::All);
                let splits = rows.iter().filter_map(|row| row[&K]).collect();
                Call::Overwrite { table: table.name.clone(), what: Reach::In(splits), splits: true, rows }
            }
            28..=34 => Call::Delete(table.name.clone(), self.reach()),
            40..=43 => self.update(table),
            44..=46 => Call::DeleteRows { table: table.name.clone(), numbers: self.some(table) },
            47..=51 => self.upsert(table, next),
            52 | 53 => Call::Compact { table: table.name.clone(), all: self.kind == 53 },
            _ => Call::Read(table.name.clone(), self.reach()),
        })
    }

    /// A column of rows in reach gets another value.
    fn update(&self, table: &Table) -> Call {
        let others: Vec<u32> = table.columns.keys().copied().filter(|id| *id != U).collect();
        let column = others[usize::from(self.name) % others.len()];
        let value = i64::from(self.column) + 3;
        let value = (column == K || self.rows.len().is_multiple_of(2)).then_some(value);
        Call::Update { table: table.name.clone(), reach: self.reach(), column, value }
    }

    /// Some rows that are there, by the values of `U`.
    fn some(&self, table: &Table) -> BTreeSet<i64> {
        let numbers: Vec<i64> = table.rows.keys().copied().collect();
        let at = |pick: &u8| numbers.get(usize::from(*pick) * 3 % numbers.len().max(1)).copied();
        self.rows.iter().filter_map(at).collect()
    }

    /// Some rows that are there and some that are not.
    fn upsert(&self, table: &Table, next: &mut i64) -> Call {
        let mut rows = self.rows(&table.columns, &Reach::All, next);
        for (row, number) in rows.iter_mut().zip(self.some(table)).skip(usize::from(self.column)) {
            row.insert(U, Some(number));
        }
        Call::Upsert { table: table.name.clone(), rows }
    }

    fn overwrite(
        &self,
        table: String,
        what: Reach,
        splits: bool,
        rows: &mut impl FnMut(&Reach) -> Vec<Row>,
    ) -> Call {
        let rows = rows(&what);
        Call::Overwrite { table, what, splits, rows }
    }

    fn reach(&self) -> Reach {
        let bound = i64::from(self.reach.1);
        match self.reach.0 {
            0 => Reach::Below(bound),
            1 => Reach::Equal(bound),
            2 => Reach::From(bound),
            _ => Reach::In(BTreeSet::from([bound, i64::from(self.column)])),
        }
    }

    /// Rows with these values of `k`, as far as they are in reach.
    fn rows(&self, columns: &BTreeMap<u32, Column>, reach: &Reach, next: &mut i64) -> Vec<Row> {
        let row = |k: &u8| {
            let u = *next;
            *next += 1;
            let value = |id: u32| match id {
                K => Some(i64::from(*k)),
                U => Some(u),
                _ => (!(u + i64::from(id)).rem_euclid(3).eq(&0)).then_some(u % 100),
            };
            columns.keys().map(|id| (*id, value(*id))).collect()
        };
        self.rows.iter().map(row).collect::<Vec<Row>>().into_iter().filter(|row| reach.holds(row)).collect()
    }
}
