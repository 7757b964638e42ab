//! A table of a lake and a memory table with the same rows, and what they went through together.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int32Builder, Int64Array,
    ListBuilder, RecordBatch, StringArray, StructArray, TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::{DataType, Field as ArrowField};
use datafusion::datasource::MemTable;
use datafusion::prelude::{SessionConfig, SessionContext};
use strandline::Lake;
use strandline::filter::Predicate;
use strandline::format::{ColumnName, Field, PrimitiveType, Value};

use super::dice::Dice;
use super::query;
use crate::fixture::{Counted, lines};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Id,
    Int,
    Long,
    Double,
    Text,
    Decimal,
    Boolean,
    Day,
    Time,
    Nested,
    List,
}

/// A column of the table as it is now.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
}

const LONG: &str = "long long long long long long long long long long long long long long long long";
const TEXTS: [&str; 6] = ["", "a", "aa", "ab", "b", "é"];
const DOUBLES: [f64; 8] = [f64::NAN, -0.0, 0.0, 1.5, -1.5, f64::INFINITY, f64::NEG_INFINITY, 7.0];

impl Kind {
    pub(super) fn is_flat(self) -> bool {
        !matches!(self, Self::Nested | Self::List)
    }

    /// A literal that such a column is compared with.
    pub(super) fn literal(self, dice: &mut Dice) -> String {
        let number = dice.below(40);
        match self {
            Self::Id => (number * 5).to_string(),
            Self::Int | Self::Long | Self::Nested | Self::List => number.to_string(),
            Self::Double => (*dice.pick(&["0.0", "-0.0", "1.5", "-1.5", "7.0", "100.0"])).to_owned(),
            Self::Text if dice.one_in(3) => format!("'{LONG} {number}'"),
            Self::Text => format!("'{}'", dice.pick(&TEXTS)),
            Self::Decimal => format!("{number}.50"),
            Self::Boolean => (*dice.pick(&["TRUE", "FALSE"])).to_owned(),
            Self::Day => format!("DATE '2026-01-{:02}'", 1 + number % 28),
            Self::Time => format!("TIMESTAMP '2026-01-{:02} 00:00:00'", 1 + number % 28),
        }
    }

    fn array(self, dice: &mut Dice, ids: &[i64], base: usize) -> ArrayRef {
        // Files differ, so that there is something to skip.
        let mut number = |_: &i64| (!dice.one_in(6)).then(|| base + dice.below(12));
        let numbers: Vec<Option<usize>> = ids.iter().map(&mut number).collect();
        let small = |number: &Option<usize>| number.map(|number| i32::try_from(number).unwrap());
        match self {
            Self::Id => Arc::new(Int64Array::from(ids.to_vec())),
            Self::Int => Arc::new(numbers.iter().map(small).collect::<Int32Array>()),
            Self::Long => {
                Arc::new(numbers.iter().map(|number| small(number).map(i64::from)).collect::<Int64Array>())
            }
            Self::Double => {
                let special = dice.one_in(2);
                let double = |number: &Option<usize>| {
                    number.map(|number| {
                        if special { DOUBLES[number % 8] } else { f64::from(u32::try_from(number).unwrap()) }
                    })
                };
                Arc::new(numbers.iter().map(double).collect::<Float64Array>())
            }
            Self::Text => {
                let long = dice.one_in(3);
                let text =
                    |number: &Option<usize>| {
                        number.map(|number| {
                            if long { format!("{LONG} {number}") } else { TEXTS[number % 6].to_owned() }
                        })
                    };
                Arc::new(numbers.iter().map(text).collect::<StringArray>())
            }
            Self::Decimal => {
                let decimal =
                    |number: &Option<usize>| number.map(|number| i128::try_from(number).unwrap() * 25);
                let array = numbers.iter().map(decimal).collect::<Decimal128Array>();
                Arc::new(array.with_precision_and_scale(9, 2).unwrap())
            }
            Self::Boolean => {
                let same = dice.one_in(2);
                Arc::new(
                    numbers
                        .iter()
                        .map(|number| number.map(|number| same || number % 2 == 0))
                        .collect::<BooleanArray>(),
                )
            }
            Self::Day => Arc::new(
                numbers.iter().map(|number| small(number).map(|day| 20_454 + day)).collect::<Date32Array>(),
            ),
            Self::Time => {
                let time = |number: &Option<usize>| {
                    small(number).map(|day| (20_454 + i64::from(day)) * 86_400_000_000)
                };
                Arc::new(numbers.iter().map(time).collect::<TimestampMicrosecondArray>())
            }
            Self::Nested => {
                let x = numbers.iter().map(small).collect::<Int32Array>();
                let y = numbers
                    .iter()
                    .map(|number| number.map(|number| TEXTS[number % 6]))
                    .collect::<StringArray>();
                let field = |name: &str, ty| Arc::new(ArrowField::new(name, ty, true));
                Arc::new(StructArray::from(vec![
                    (field("x", DataType::Int32), Arc::new(x) as ArrayRef),
                    (field("y", DataType::Utf8), Arc::new(y) as ArrayRef),
                ]))
            }
            Self::List => {
                let mut lists = ListBuilder::new(Int32Builder::new());
                for number in &numbers {
                    let items = number.unwrap_or(0) % 4;
                    (0..items).for_each(|item| lists.values().append_value(i32::try_from(item).unwrap()));
                    lists.append(number.is_some());
                }
                Arc::new(lists.finish())
            }
        }
    }
}

/// Both tables, and how they came to be.
pub(super) struct World {
    lake: Lake,
    model: SessionContext,
    columns: Vec<Column>,
    next_id: i64,
    /// What columns are called that are added.
    added: usize,
    history: Vec<String>,
}

/// What may skip data, and what else may differ without another answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting {
    pruning: bool,
    pushdown: bool,
    partitions: usize,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl World {
    pub(super) async fn make(dice: &mut Dice) -> Self {
        let kinds = [
            ("id", Kind::Id),
            ("n", Kind::Int),
            ("l", Kind::Long),
            ("f", Kind::Double),
            ("t", Kind::Text),
            ("d", Kind::Decimal),
            ("b", Kind::Boolean),
            ("day", Kind::Day),
            ("at", Kind::Time),
            ("s", Kind::Nested),
            ("xs", Kind::List),
        ];
        let columns = kinds.map(|(name, kind)| Column { name: name.to_owned(), kind });
        let columns =
            columns.into_iter().filter(|column| column.kind == Kind::Id || !dice.one_in(3)).collect();
        let (lake, model) = (Counted::new().await.lake, SessionContext::new());
        let mut world = Self { lake, model, columns, next_id: 0, added: 0, history: Vec::new() };
        world.create(dice).await;
        for _ in 0..3 + dice.below(8) {
            world.step(dice).await;
        }
        world
    }

    pub(super) fn columns(&self) -> &[Column] {
        &self.columns
    }

    pub(super) fn history(&self) -> String {
        self.history.join("\n")
    }

    async fn create(&mut self, dice: &mut Dice) {
        let batch = self.batch(dice);
        let rows = (8 * (1 + dice.below(4))).to_string();
        let transaction = self.lake.begin().await.unwrap();
        let mut table =
            transaction.create_table("t").like(&batch.schema()).property("strandline.row-group-rows", rows);
        if dice.one_in(2) {
            let sorted = &dice.pick(&self.columns).clone();
            if sorted.kind.is_flat() {
                table = table.sorted_by(sorted.name.clone());
                self.history.push(format!("sorted by {}", sorted.name));
            }
        }
        table.await.unwrap();
        transaction.commit().await.unwrap();
        self.set_model(vec![batch.slice(0, 0)], &batch);
        self.append(dice).await;
    }

    fn set_model(&self, batches: Vec<RecordBatch>, like: &RecordBatch) {
        let schema = batches.first().map_or_else(|| like.schema(), RecordBatch::schema);
        self.model.deregister_table("t").unwrap();
        self.model.register_table("t", Arc::new(MemTable::try_new(schema, vec![batches]).unwrap())).unwrap();
    }

    fn batch(&self, dice: &mut Dice) -> RecordBatch {
        let (rows, base) = (1 + dice.below(60), dice.below(4) * 10);
        let rows = i64::try_from(rows).unwrap();
        let ids: Vec<i64> = (self.next_id..self.next_id + rows).collect();
        let arrays = self.columns.iter().map(|column| {
            (column.name.clone(), column.kind.array(dice, &ids, base), column.kind != Kind::Id)
        });
        RecordBatch::try_from_iter_with_nullable(arrays.collect::<Vec<_>>()).unwrap()
    }

    async fn step(&mut self, dice: &mut Dice) {
        match dice.below(9) {
            0..=3 => self.append(dice).await,
            4 | 5 => self.delete(dice).await,
            6 => self.add_column(dice).await,
            7 => self.rename_or_drop(dice).await,
            _ => self.widen().await,
        }
    }

    async fn append(&mut self, dice: &mut Dice) {
        let batch = self.batch(dice);
        self.next_id += i64::try_from(batch.num_rows()).unwrap();
        self.history.push(format!("append {} rows", batch.num_rows()));
        self.lake.append("t", batch.clone()).await.unwrap();
        self.model.deregister_table("more").unwrap();
        self.model.register_batch("more", batch).unwrap();
        let list = self.list(|column| column.name.clone());
        self.remake(&format!("SELECT {list} FROM t UNION ALL SELECT {list} FROM more")).await;
        // The union's types are the table's.
    }

    async fn delete(&mut self, dice: &mut Dice) {
        let flat: Vec<Column> = self
            .columns
            .iter()
            .filter(|column| matches!(column.kind, Kind::Id | Kind::Day | Kind::Boolean))
            .cloned()
            .collect();
        let predicate = query::predicate(dice, &flat, 1);
        self.history.push(format!("delete {predicate}"));
        let transaction = self.lake.begin().await.unwrap();
        transaction.delete("t", Predicate::parse(&predicate).unwrap()).await.unwrap();
        transaction.commit().await.unwrap();
        self.remake(&format!("SELECT * FROM t WHERE ({predicate}) IS NOT TRUE")).await;
    }

    async fn add_column(&mut self, dice: &mut Dice) {
        self.added += 1;
        let name = format!("added{}", self.added);
        let default = (!dice.one_in(3)).then_some(7_i32);
        let field = Field::optional(ColumnName::new(name.clone()).unwrap(), PrimitiveType::Int);
        let field = Field { initial: default.map(Value::Int), default: default.map(Value::Int), ..field };
        self.history.push(format!("add {name} {default:?}"));
        let transaction = self.lake.begin().await.unwrap();
        transaction.alter_table("t").add_column(field).await.unwrap();
        transaction.commit().await.unwrap();
        let value = default.map_or_else(|| "NULL".to_owned(), |default| default.to_string());
        self.remake(&format!("SELECT *, CAST({value} AS INT) AS {name} FROM t")).await;
        self.columns.push(Column { name, kind: Kind::Int });
    }

    /// A name that is free again may be taken by another column later: names are reused on purpose.
    async fn rename_or_drop(&mut self, dice: &mut Dice) {
        let at = 1 + dice.below(self.columns.len());
        let Some(column) = self.columns.get(at).cloned() else { return };
        let transaction = self.lake.begin().await.unwrap();
        if dice.one_in(2) && self.columns.len() > 2 {
            self.history.push(format!("drop {}", column.name));
            transaction.alter_table("t").drop_column(column.name.clone()).await.unwrap();
            transaction.commit().await.unwrap();
            self.columns.remove(at);
            // Another column takes its name, and in the files' eyes its place.
            if let Some(heir) = self.columns.last_mut().filter(|heir| heir.kind == Kind::Int) {
                let old = std::mem::replace(&mut heir.name, column.name);
                self.history.push(format!("rename {old} to {}", heir.name));
                let transaction = self.lake.begin().await.unwrap();
                transaction.alter_table("t").rename_column(old.clone(), heir.name.clone()).await.unwrap();
                transaction.commit().await.unwrap();
                let heir = heir.name.clone();
                let list = self.list(|column| {
                    if column.name == heir { format!("{old} AS {heir}") } else { column.name.clone() }
                });
                return self.remake(&format!("SELECT {list} FROM t")).await;
            }
            let list = self.list(|column| column.name.clone());
            return self.remake(&format!("SELECT {list} FROM t")).await;
        }
        self.added += 1;
        let name = format!("renamed{}", self.added);
        self.history.push(format!("rename {} to {name}", column.name));
        transaction.alter_table("t").rename_column(column.name.clone(), name.clone()).await.unwrap();
        transaction.commit().await.unwrap();
        self.columns[at].name.clone_from(&name);
        let list = self.list(|other| {
            if other.name == name { format!("{} AS {name}", column.name) } else { other.name.clone() }
        });
        self.remake(&format!("SELECT {list} FROM t")).await;
    }

    async fn widen(&mut self) {
        let Some(at) = self.columns.iter().position(|column| column.kind == Kind::Int) else { return };
        let name = self.columns[at].name.clone();
        self.history.push(format!("widen {name}"));
        let transaction = self.lake.begin().await.unwrap();
        transaction.alter_table("t").widen_column(name.clone(), PrimitiveType::Long).await.unwrap();
        transaction.commit().await.unwrap();
        self.columns[at].kind = Kind::Long;
        let list = self.list(|column| {
            if column.name == name {
                format!("CAST({name} AS BIGINT) AS {name}")
            } else {
                column.name.clone()
            }
        });
        self.remake(&format!("SELECT {list} FROM t")).await;
    }

    fn list(&self, each: impl Fn(&Column) -> String) -> String {
        self.columns.iter().map(each).collect::<Vec<_>>().join(", ")
    }

    /// Makes the memory table anew, as a query of what it was.
    async fn remake(&self, sql: &str) {
        let frame = self.model.sql(sql).await.unwrap();
        let schema = Arc::new(frame.schema().as_arrow().clone());
        let empty = RecordBatch::new_empty(schema);
        let batches = frame.collect().await.unwrap();
        self.set_model(if batches.is_empty() { vec![empty.clone()] } else { batches }, &empty);
    }

    /// What the memory table answers.
    pub(super) async fn expected(&self, sql: &str) -> Vec<String> {
        lines(&self.model.sql(sql).await.unwrap().collect().await.unwrap())
    }

    /// What the lake answers.
    pub(super) async fn found(sql: &str, ctx: &SessionContext) -> Vec<String> {
        let found = async { ctx.sql(sql).await?.collect().await };
        match found.await {
            Ok(batches) => lines(&batches),
            Err(error) => vec![format!("{error}")],
        }
    }

    /// How the lake comes to its answer.
    pub(super) async fn explained(sql: &str, ctx: &SessionContext) -> String {
        Self::found(&format!("EXPLAIN FORMAT INDENT {sql}"), ctx).await.join("\n")
    }

    /// A session in which the lake's tables go by their names alone.
    pub(super) fn session(&self, setting: Setting) -> SessionContext {
        let mut config = SessionConfig::new()
            .with_default_catalog_and_schema("lake", "public")
            .with_create_default_catalog_and_schema(false)
            .with_target_partitions(setting.partitions);
        let options = config.options_mut();
        options.execution.parquet.pruning = setting.pruning;
        options.execution.parquet.enable_page_index = setting.pruning;
        options.execution.parquet.bloom_filter_on_read = setting.pruning;
        options.execution.parquet.pushdown_filters = setting.pushdown;
        options.optimizer.repartition_file_min_size = 1;
        let ctx = SessionContext::new_with_config(config);
        strandline_datafusion::register(&ctx, "lake", &self.lake).unwrap();
        ctx
    }

    /// One with everything that skips data, and one with nothing of it.
    pub(super) fn settings(dice: &mut Dice) -> [Setting; 2] {
        [
            Setting { pruning: true, pushdown: dice.one_in(3), partitions: 1 + dice.below(3) },
            Setting { pruning: false, pushdown: false, partitions: 2 },
        ]
    }
}
