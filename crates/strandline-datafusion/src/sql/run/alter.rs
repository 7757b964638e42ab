//! `ALTER TABLE`, and `COMPACT`, which alters nothing that is seen.
//!
//! Invariant: all changes of a statement are made together, in one commit. What does not belong here: which changes old files can
//! be read under, which is the SDK's to say.

use strandline::format::{PrimitiveType, Type};
use strandline::transaction::{AlterTable, Place};
use strandline::{ErrorKind, Result, Table, Transaction};

use super::create::{TARGET_FILE_BYTES, check_own, file_bytes, named};
use super::{Run, invalid};
use crate::sql::constant;
use crate::sql::statement::{Act, Check, Column, Name};

impl Run<'_> {
    pub(super) async fn alter(&self, name: &Name, if_exists: bool, acts: Vec<Act>) -> Result<()> {
        let name = self.own_name(name)?;
        let acting = self.acting(format!("ALTER TABLE {name}")).await?;
        let outcome = match acting.transaction().table(&name).await {
            Ok(table) => Box::pin(self.alter_table(acting.transaction(), &table, acts)).await,
            Err(error) if if_exists && error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        };
        acting.end(outcome, std::convert::identity).await
    }

    pub(super) async fn compact(&self, name: &Name, all: bool) -> Result<()> {
        let name = self.own_name(name)?;
        let acting = self.acting(format!("COMPACT {name}")).await?;
        let compact = acting.transaction().compact(name);
        let outcome = if all { compact.all() } else { compact }.await.map(drop);
        acting.end(outcome, std::convert::identity).await
    }

    /// The longest name that is a table's is it, and what is behind it leads to the column.
    pub(super) async fn comment_on_column(&self, name: &Name, comment: Option<String>) -> Result<()> {
        let mut missing = None;
        for split in (1..name.0.len()).rev() {
            let (table, path) = name.0.split_at(split);
            let act = Act::ColumnComment { path: path.join("."), comment: comment.clone() };
            match Box::pin(self.alter(&Name(table.to_vec()), false, vec![act])).await {
                Err(error) if is_no_table(&error, split) => drop(missing.get_or_insert(error)),
                outcome => return outcome,
            }
        }
        Err(missing.unwrap_or_else(|| invalid(format!("{name} is no column"))))
    }

    async fn alter_table(&self, transaction: &Transaction, table: &Table, acts: Vec<Act>) -> Result<()> {
        let mut alter = transaction.alter_table(table.name());
        let mut moves = Vec::new();
        let mut taken: Vec<String> =
            table.constraints().iter().map(|check| check.name.as_str().to_owned()).collect();
        for act in acts {
            alter = match act {
                Act::AddColumn { within, column, place, if_absent } => {
                    let path = within_path(within.as_deref(), &column.name);
                    if if_absent && stands(table, &path) {
                        continue;
                    }
                    // A field of a struct is moved once it is there.
                    moves.extend(place.clone().filter(|_| within.is_some()).map(|place| (path, place)));
                    self.add_column(alter, within, &column, place).await?
                }
                Act::SetDefault { path, default } => self.set_default(alter, table, path, default).await?,
                Act::AddCheck(check) => add_check(alter, check, &mut taken),
                other => altered(alter, table, other)?,
            };
        }
        alter.await?;
        if moves.is_empty() {
            return Ok(());
        }
        let moving = transaction.alter_table(table.name());
        moves.into_iter().fold(moving, |alter, (path, place)| alter.move_column(path, place)).await
    }

    async fn add_column(
        &self,
        alter: AlterTable,
        within: Option<String>,
        column: &Column,
        place: Option<Place>,
    ) -> Result<AlterTable> {
        let mut field = self.field(column).await?;
        // Rows that are there read the default too, as if they had been written with it.
        field.initial = field.default.clone();
        Ok(match (within, place) {
            (Some(within), _) => alter.add_field(within, field),
            (None, Some(place)) => alter.add_column_at(field, place),
            (None, None) => alter.add_column(field),
        })
    }

    async fn set_default(
        &self,
        alter: AlterTable,
        table: &Table,
        path: String,
        default: Option<datafusion::sql::sqlparser::ast::Expr>,
    ) -> Result<AlterTable> {
        let Some(default) = default else { return Ok(alter.set_default(path, None)) };
        let field = table.schema().find([path.as_str()]).or_else(|| table.schema().find(path.split('.')));
        // A column that is not there is for the SDK to refuse, which offers the nearest names.
        let Some(field) = field else { return Ok(alter.set_default(path, None)) };
        let value = constant::value(self.ctx, default, &field.ty).await;
        let value = value.map_err(|error| error.at(format_args!("column {path:?}")))?;
        Ok(alter.set_default(path, value))
    }
}

/// Whether a name of so many parts is none of a table.
fn is_no_table(error: &strandline::Error, parts: usize) -> bool {
    error.kind() == ErrorKind::NotFound || (parts > 2 && error.kind() != ErrorKind::Conflict)
}

fn within_path(within: Option<&str>, name: &str) -> String {
    within.map_or_else(|| name.to_owned(), |within| format!("{within}.{name}"))
}

fn stands(table: &Table, path: &str) -> bool {
    table.schema().find([path]).or_else(|| table.schema().find(path.split('.'))).is_some()
}

fn add_check(alter: AlterTable, check: Check, taken: &mut Vec<String>) -> AlterTable {
    let checks = named(&[check], taken);
    checks.into_iter().fold(alter, |alter, (name, condition)| {
        taken.push(name.clone());
        alter.add_check(name, condition)
    })
}

/// Changes that need nothing to be found out first.
fn altered(alter: AlterTable, table: &Table, act: Act) -> Result<AlterTable> {
    Ok(match act {
        Act::DropColumn { path, if_exists } if if_exists && !stands(table, &path) => alter,
        Act::DropColumn { path, .. } => alter.drop_column(path),
        Act::RenameColumn { path, to } => {
            check_own(&to)?;
            alter.rename_column(path, to)
        }
        Act::MoveColumn { path, place } => alter.move_column(path, place),
        Act::SetType { path, ty } => {
            let ty = primitive(&path, &ty)?;
            alter.widen_column(path, ty)
        }
        Act::SetNotNull(path) => {
            let message = format!(
                "{path:?} cannot become NOT NULL, its old rows may have nulls: ADD CHECK ({path} IS NOT NULL)"
            );
            return Err(strandline::Error::new(ErrorKind::Unsupported, message));
        }
        Act::DropNotNull(path) => alter.make_optional(path),
        Act::ColumnComment { path, comment } => alter.set_doc(path, comment),
        Act::DropCheck { name, if_exists } if if_exists && !has_check(table, &name) => alter,
        Act::DropCheck { name, .. } => alter.drop_check(name),
        Act::Key(columns) => alter.key(columns),
        Act::SortedBy(columns) => alter.sorted_by(columns),
        Act::SplitBy(columns) => alter.split_by(columns),
        Act::SetProperties(properties) => {
            properties.into_iter().try_fold(alter, |alter, (key, value)| match key.as_str() {
                TARGET_FILE_BYTES => Ok(alter.target_file_bytes(Some(file_bytes(&value)?))),
                _ => Result::Ok(alter.set_property(key, value)),
            })?
        }
        Act::UnsetProperties(keys) => keys.into_iter().fold(alter, |alter, key| match key.as_str() {
            TARGET_FILE_BYTES => alter.target_file_bytes(None),
            _ => alter.unset_property(key),
        }),
        Act::Comment(comment) => alter.comment(comment),
        Act::AddColumn { .. } | Act::SetDefault { .. } | Act::AddCheck(_) => alter,
    })
}

fn primitive(path: &str, ty: &Type) -> Result<PrimitiveType> {
    ty.primitive().ok_or_else(|| {
        invalid(format!(
            "{path:?} cannot become a {}: only single values widen, and fields are added one by one",
            ty.describe()
        ))
    })
}

fn has_check(table: &Table, name: &str) -> bool {
    table.constraints().iter().any(|check| check.name.as_str().eq_ignore_ascii_case(name))
}
