//! Schemas and tables: made; and views with them dropped and renamed.
//!
//! Invariant: what takes the place of something else does so in one transaction with it. What does not belong here: altering
//! tables (`alter`).

use datafusion::arrow::datatypes::Schema as ArrowSchema;
use datafusion::catalog::information_schema::INFORMATION_SCHEMA;
use datafusion::common::TableReference;
use datafusion::sql::sqlparser::ast::Query;
use futures::FutureExt;
use strandline::format::{ColumnName, Field};
use strandline::transaction::Rows;
use strandline::{Error, ErrorKind, Result, Transaction};

use super::names::full_name;
use super::{Run, invalid};
use crate::catalog::PUBLIC;
use crate::sql::statement::{Check, Column, CreateTable, Kind, Name};
use crate::sql::{constant, refusal};
use crate::table::Extra;

impl Run<'_> {
    pub(super) async fn create_schema(&self, name: &Name, if_absent: bool) -> Result<()> {
        let namespace = self.namespace(name)?;
        if namespace == PUBLIC {
            return if if_absent { Ok(()) } else { Err(exists("schema", PUBLIC)) };
        }
        if namespace.eq_ignore_ascii_case(INFORMATION_SCHEMA) {
            let message =
                format!("{INFORMATION_SCHEMA} tells of the other schemas, and hides one of that name");
            return Err(invalid(message));
        }
        let acting = self.acting(format!("CREATE SCHEMA {namespace}")).await?;
        let outcome = match acting.transaction().create_namespace(&namespace).await {
            Err(error) if if_absent && error.kind() == ErrorKind::AlreadyExists => {
                acting.transaction().list(Some(&namespace)).await.map(drop)
            }
            outcome => outcome,
        };
        acting.end(outcome, std::convert::identity).await
    }

    pub(super) async fn create_table(&self, table: CreateTable) -> Result<()> {
        self.rerun(|| self.create_once(table.clone()).boxed(), |error| !error.conflicts().is_empty()).await
    }

    async fn create_once(&self, table: CreateTable) -> Result<()> {
        let name = self.own_name(&table.name)?;
        let acting = self.acting(format!("CREATE TABLE {name}")).await?;
        let outcome = Box::pin(self.make_table(acting.transaction(), &name, table)).await;
        acting.end(outcome, std::convert::identity).await
    }

    async fn make_table(&self, transaction: &Transaction, name: &str, table: CreateTable) -> Result<()> {
        let standing = stands(transaction, Kind::Table, name).await?;
        if standing && table.if_absent {
            return Ok(());
        }
        let frame = match &table.query {
            Some(query) => Some(Box::pin(self.planned(Query::clone(query))).await?),
            None => None,
        };
        let fields = match &frame {
            Some(frame) => fields_of(frame.schema().as_arrow(), &table)?,
            None => self.declared(&table).await?,
        };
        // The query may read what its result takes the place of, so its rows are on their way before that goes.
        let rows = match frame {
            Some(frame) => Some(frame.execute_stream().await.map_err(|error| refusal(&error))?),
            None => None,
        };
        if standing && table.or_replace {
            transaction.drop_table(name).await?;
        }
        let shaped = shaped(transaction, name, &table, fields);
        shaped.await?;
        match rows {
            Some(rows) => transaction.append(name, Rows::stream(rows)).await.map(drop),
            None => Ok(()),
        }
    }

    /// The columns as they are declared.
    async fn declared(&self, table: &CreateTable) -> Result<Vec<Field>> {
        let mut fields = Vec::new();
        for column in &table.columns {
            let mut field = self.field(column).await?;
            field.required |= table.key.contains(&column.name);
            fields.push(field);
        }
        Ok(fields)
    }

    /// A column as it is declared.
    pub(super) async fn field(&self, column: &Column) -> Result<Field> {
        check_own(&column.name)?;
        let mut field = Field::optional(ColumnName::new(column.name.as_str())?, column.ty.clone());
        (field.required, field.doc) = (column.required, column.comment.clone());
        if let Some(default) = &column.default {
            let at = |error: Error| error.at(format_args!("column {:?}", column.name));
            field.default = constant::value(self.ctx, default.clone(), &column.ty).await.map_err(at)?;
        }
        Ok(field)
    }

    pub(super) async fn drop(&self, kind: Kind, names: &[Name], if_exists: bool) -> Result<()> {
        if kind != Kind::Schema && names.iter().all(|name| self.is_elsewhere(name)) {
            return names.iter().try_for_each(|name| self.forget(kind, name, if_exists));
        }
        let own = |name| if kind == Kind::Schema { self.namespace(name) } else { self.own_name(name) };
        let names = names.iter().map(own).collect::<Result<Vec<_>>>()?;
        let acting = self.acting(dropping(kind, &names)).await?;
        let outcome = drop_all(acting.transaction(), kind, &names, if_exists).await;
        acting.end(outcome, std::convert::identity).await
    }

    /// Drops what the session has in another catalog, as an external table is: nothing of a lake.
    fn forget(&self, kind: Kind, name: &Name, if_exists: bool) -> Result<()> {
        let [catalog, schema, table] = name.0.as_slice() else {
            return Err(invalid(format!("{name} has a catalog, a schema and a name: write all three")));
        };
        let reference = TableReference::full(catalog.as_str(), schema.as_str(), table.as_str());
        match self.ctx.deregister_table(reference).map_err(|error| refusal(&error))? {
            None if !if_exists => {
                let message = format!("this session has no {} {name}", kind.as_str().to_lowercase());
                Err(Error::new(ErrorKind::NotFound, message))
            }
            _ => Ok(()),
        }
    }

    pub(super) async fn rename(&self, kind: Kind, name: &Name, to: &Name, if_exists: bool) -> Result<()> {
        let (from, to) = match kind {
            Kind::Schema => (self.namespace(name)?, self.namespace(to)?),
            // A new name alone stays in the schema of the old one.
            _ if to.0.len() == 1 => {
                let (schema, _) = self.placed(name)?;
                (self.own_name(name)?, full_name(&schema, &self.own_part(to)?))
            }
            _ => (self.own_name(name)?, self.own_name(to)?),
        };
        let acting = self.acting(format!("ALTER {} {from} RENAME TO {to}", kind.as_str())).await?;
        let transaction = acting.transaction();
        let outcome = match found(transaction, kind, &from).await {
            Ok(()) => transaction.rename(&from, &to).await,
            Err(error) if if_exists && error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        };
        acting.end(outcome, std::convert::identity).await
    }

    /// A name of one part that something may be given.
    fn own_part(&self, name: &Name) -> Result<String> {
        self.own_name(name)?;
        name.0.last().cloned().ok_or_else(|| invalid("a name has a part"))
    }
}

/// What the log says of a DROP: the names, if they are few.
fn dropping(kind: Kind, names: &[String]) -> String {
    let (first, rest) = names.split_at(names.len().min(3));
    let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
    format!("DROP {} {}{more}", kind.as_str(), first.join(", "))
}

/// Makes a table with all that was said of it.
async fn shaped(
    transaction: &Transaction,
    name: &str,
    table: &CreateTable,
    fields: Vec<Field>,
) -> Result<()> {
    let mut made = transaction.create_table(name).fields(fields).key(table.key.iter().cloned());
    for (column, direction, nulls) in &table.sorted_by {
        made = made.sorted(column, *direction, *nulls);
    }
    for (column, transform) in &table.split_by {
        made = made.split_by(column, *transform);
    }
    for (name, condition) in named(&table.checks, &[]) {
        made = made.check(name, condition);
    }
    for (key, value) in &table.properties {
        made = match key.as_str() {
            TARGET_FILE_BYTES => made.target_file_bytes(file_bytes(value)?),
            _ => made.property(key, value),
        };
    }
    if let Some(comment) = &table.comment {
        made = made.comment(comment);
    }
    made.await.map(drop)
}

/// About how large files become: a part of the layout, which is set like a property.
pub(super) const TARGET_FILE_BYTES: &str = "strandline.target-file-bytes";

/// The number of bytes that a property says.
pub(super) fn file_bytes(value: &str) -> Result<u64> {
    value.parse().map_err(|_| invalid(format!("{TARGET_FILE_BYTES:?} is a number of bytes, not {value:?}")))
}

/// Conditions with names: one without gets the first `check_N` that is free.
pub(super) fn named(checks: &[Check], taken: &[String]) -> Vec<(String, String)> {
    let mut names: Vec<String> =
        checks.iter().filter_map(|check| check.name.clone()).chain(taken.iter().cloned()).collect();
    let mut free = || {
        let name = (1_u64..)
            .map(|number| format!("check_{number}"))
            .find(|name| !names.contains(name))
            .unwrap_or_default();
        names.push(name.clone());
        name
    };
    checks
        .iter()
        .map(|check| (check.name.clone().unwrap_or_else(&mut free), check.condition.clone()))
        .collect()
}

/// The columns of a query, for a table of its rows.
fn fields_of(schema: &ArrowSchema, table: &CreateTable) -> Result<Vec<Field>> {
    if !table.columns.is_empty() {
        return Err(invalid(
            "the columns of CREATE TABLE … AS are those of its query: name and cast them there",
        ));
    }
    let mut fields = strandline::columns::fields_from_arrow(schema)?;
    for field in &mut fields {
        check_own(field.name.as_str())?;
        field.required = table.key.iter().any(|key| key == field.name.as_str());
    }
    Ok(fields)
}

/// Refuses the names of columns that are made of where a row stands: UPDATE and MERGE need them, and `t$rows` has them.
pub(super) fn check_own(column: &str) -> Result<()> {
    match Extra::ALL.iter().find(|extra| column.eq_ignore_ascii_case(extra.name())) {
        Some(extra) => Err(invalid(format!(
            "column {column:?}: {} is where a row stands, as t$rows has it, and UPDATE and MERGE need it: choose another name",
            extra.name()
        ))),
        None => Ok(()),
    }
}

fn exists(kind: &str, name: &str) -> Error {
    Error::new(ErrorKind::AlreadyExists, format!("there is a {kind} {name:?}"))
}

/// Checks that something of a kind has a name.
pub(super) async fn found(transaction: &Transaction, kind: Kind, name: &str) -> Result<()> {
    match kind {
        Kind::Table => transaction.table(name).await.map(drop),
        Kind::View => transaction.view(name).await.map(drop),
        Kind::Schema => transaction.list(Some(name)).await.map(drop),
    }
}

pub(super) async fn stands(transaction: &Transaction, kind: Kind, name: &str) -> Result<bool> {
    match found(transaction, kind, name).await {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

async fn drop_all(transaction: &Transaction, kind: Kind, names: &[String], if_exists: bool) -> Result<()> {
    for name in names {
        match found(transaction, kind, name).await {
            Err(error) if if_exists && error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
            Ok(()) if kind == Kind::Schema => transaction.drop_namespace(name).await?,
            Ok(()) => transaction.drop_table(name).await?,
        }
    }
    Ok(())
}
