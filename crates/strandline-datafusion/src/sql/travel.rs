//! Tables of other versions: the clauses of SQL for them become names with a reference, `"orders@dev@{7}"`.
//!
//! | clause | the version |
//! |---|---|
//! | `VERSION AS OF 3`, `FOR VERSION AS OF 3`, `FOR SYSTEM_VERSION AS OF 3`, `AT (VERSION => 3)` | 3, of the line where one stands |
//! | the same with a text, `'main~3'` | what the reference names |
//! | `TIMESTAMP AS OF t`, `FOR TIMESTAMP AS OF t`, `FOR SYSTEM_TIME AS OF t`, `AT (TIMESTAMP => t)` | the newest at that time |
//! | `AT (BRANCH => 'dev')`, `AT (TAG => 'v1')`, `AT (COMMIT => '3fa9c1')` | what is so named |
//!
//! `table_changes('t', from, to)` becomes a name as well, `"t$changes@from..to"`: what it gives depends on versions, which functions cannot
//! wait for. Each of both is read as one behind `VERSION AS OF`, or is a time.
//!
//! A time is any constant expression; a text is a time of a reference, or else one that SQL can read, in UTC unless it says a
//! zone. Invariants: no clause is passed over: one that is not in this table is an error, and DataFusion's own planner, which
//! drops them all, never sees one ([`Guard`]). What does not belong here: looking versions up, which the catalog does.

use std::ops::ControlFlow;

use datafusion::error::DataFusionError;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::planner::{RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, ObjectNamePart, TableAlias,
    TableFactor, TableVersion, Value, Visit, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Span;
use strandline::format::{Base, RefName, Reference, ReferenceTime, Seq};
use strandline::{Error, ErrorKind, Result};

use crate::catalog::At;
use crate::error::{external, refused};
use crate::sql::dialect::LakeDialect;
use crate::sql::names::Inspection;
use crate::sql::{constant, exact, folded, reference, unread};

/// The function that tells of changes.
pub(crate) const CHANGES: &str = "table_changes";

/// How it is called.
pub(crate) const CHANGES_USAGE: &str = "write table_changes('table', from [, to [, 'net']]): changes after version from, up to version to or the present";

/// What the clauses of a query ask for, before the references are known.
#[derive(Clone, Debug)]
enum Version {
    Number(u64),
    Text(String),
    Time(Box<Expr>),
    Branch(String),
    Tag(String),
    Commit(String),
}

/// Replaces the version clauses of a statement by names with references, and numbers by exact ones, after clauses were refused that
/// nobody reads.
///
/// # Errors
/// `Unsupported` for a clause that nobody reads; `InvalidInput` for one of versions that is not in the table above, or whose text is no
/// reference or time.
pub(crate) async fn replace(ctx: &SessionContext, at: &At, statement: &mut DfStatement) -> Result<()> {
    match statement {
        DfStatement::Statement(statement) => replace_in(ctx, at, statement.as_mut()).await,
        DfStatement::Explain(explain) => Box::pin(replace(ctx, at, &mut explain.statement)).await,
        DfStatement::CopyTo(copy) => match &mut copy.source {
            datafusion::sql::parser::CopyToSource::Query(query) => replace_in(ctx, at, query.as_mut()).await,
            datafusion::sql::parser::CopyToSource::Relation(_) => Ok(()),
        },
        DfStatement::CreateExternalTable(_) | DfStatement::Reset(_) => Ok(()),
    }
}

/// The same for any part of a statement.
pub(crate) async fn replace_in(
    ctx: &SessionContext,
    at: &At,
    tree: &mut (impl Visit + VisitMut),
) -> Result<()> {
    unread::refuse(&ctx.state_ref().read(), tree)?;
    let mut found = Collect(Vec::new());
    if let ControlFlow::Break(error) = VisitMut::visit(tree, &mut found) {
        return Err(error);
    }
    let mut references = Vec::new();
    for version in found.0 {
        references.push(reference_of(ctx, at, version).await?);
    }
    references.reverse();
    match VisitMut::visit(tree, &mut Rename(references)) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => exact::exact(tree),
    }
}

/// Refuses times that are others whenever they are asked for, where what they lead to is kept.
///
/// # Errors
/// `Unsupported`, and those of a clause that is none.
pub(crate) fn refuse_moving(ctx: &SessionContext, tree: &mut impl VisitMut) -> Result<()> {
    let mut found = Collect(Vec::new());
    if let ControlFlow::Break(error) = VisitMut::visit(tree, &mut found) {
        return Err(error);
    }
    for version in found.0 {
        let Version::Time(time) = version else { continue };
        if constant::is_moving(ctx, Expr::clone(&time))? {
            let message =
                format!("a view of {time}, which would stay the moment when it was made: write a time");
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
    }
    Ok(())
}

/// Collects the versions in the order in which [`Rename`] meets them.
struct Collect(Vec<Version>);

impl VisitorMut for Collect {
    type Break = Error;

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        let versions = match factor {
            TableFactor::Table { version: Some(version), .. } => read(version).map(|version| vec![version]),
            TableFactor::Table { name, args: Some(args), .. } if is_changes(name) => read_range(&args.args),
            _ => return ControlFlow::Continue(()),
        };
        match versions {
            Ok(versions) => {
                self.0.extend(versions);
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    }
}

fn is_changes(name: &ObjectName) -> bool {
    matches!(name.0.as_slice(), [ObjectNamePart::Identifier(name)] if name.value.eq_ignore_ascii_case(CHANGES))
}

/// `('t', 2, 4, 'net')`: the versions among the arguments.
fn read_range(args: &[FunctionArg]) -> Result<Vec<Version>> {
    let versions = args.iter().skip(1).take(2).map(|arg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => match read_version(value) {
            Ok(version) => Ok(version),
            Err(_) if is_no_version(value) => Err(invalid(format!(
                "{value} is no version, which is a number, a reference in single quotes or a time: {CHANGES_USAGE}"
            ))),
            Err(_) => Ok(Version::Time(Box::new(value.clone()))),
        },
        _ => Err(invalid(CHANGES_USAGE)),
    });
    let versions = versions.collect::<Result<Vec<_>>>()?;
    if versions.is_empty() || args.len() > 4 { Err(invalid(CHANGES_USAGE)) } else { Ok(versions) }
}

/// Whether it is NULL, or a number that counts no version, and not meant for a time either.
fn is_no_version(value: &Expr) -> bool {
    match value {
        Expr::Value(value) => matches!(value.value, Value::Null | Value::Number(..) | Value::Boolean(_)),
        Expr::UnaryOp { expr, .. } | Expr::Nested(expr) => is_no_version(expr),
        _ => false,
    }
}

/// Gives the tables with versions names with references, the last reference first.
struct Rename(Vec<Reference>);

impl VisitorMut for Rename {
    type Break = Error;

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        let TableFactor::Table { name, alias, version, args, .. } = factor else {
            return ControlFlow::Continue(());
        };
        if version.is_none()
            && is_changes(name)
            && let Some(args) = args.take()
        {
            return match self.changes(name, alias, &args.args) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => ControlFlow::Break(error),
            };
        }
        if version.take().is_none() {
            return ControlFlow::Continue(());
        }
        let renamed = match (self.0.pop(), args) {
            (Some(reference), None) => renamed(name, alias, &reference),
            _ => Err(invalid("only a table has versions, not a function")),
        };
        match renamed {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

impl Rename {
    /// `table_changes('sales.orders', 2, 4)` becomes `sales."orders$changes@main@{2}..main@{4}" AS table_changes`.
    fn changes(
        &mut self,
        name: &mut ObjectName,
        alias: &mut Option<TableAlias>,
        args: &[FunctionArg],
    ) -> Result<()> {
        let text = |arg: &FunctionArg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => text(value),
            _ => Err(invalid(CHANGES_USAGE)),
        };
        let table = args.first().map(text).transpose()?.unwrap_or_default();
        let inspection = match args.get(3).map(text).transpose()?.as_deref() {
            None => Inspection::Changes,
            Some("net") => Inspection::NetChanges,
            Some(_) => return Err(invalid(CHANGES_USAGE)),
        };
        let from = self.0.pop().map(|from| from.to_string()).unwrap_or_default();
        let to = if args.len() > 2 { self.0.pop() } else { None };
        let to = to.map(|to| to.to_string()).unwrap_or_default();
        if alias.is_none() {
            *alias = Some(named(name.0.iter().find_map(|part| part.as_ident().cloned())));
        }
        let parsed = Parser::new(&LakeDialect).try_with_sql(&table);
        *name = parsed
            .and_then(|mut parser| parser.parse_object_name(false))
            .map_err(|_| invalid(format!("{table:?} is no name of a table: {CHANGES_USAGE}")))?;
        with_suffix(name, &format!("${}@{from}..{to}", inspection.as_str()))
    }
}

fn named(name: Option<Ident>) -> TableAlias {
    let name = name.unwrap_or_else(|| Ident::new(CHANGES));
    TableAlias { explicit: true, name, columns: Vec::new(), at: None }
}

/// `sales.orders` becomes `sales."orders@main@{3}" AS orders`.
fn renamed(name: &mut ObjectName, alias: &mut Option<TableAlias>, reference: &Reference) -> Result<()> {
    let Some(ObjectNamePart::Identifier(last)) = name.0.last_mut() else {
        return Err(invalid(format!("{name} is no table, and has no versions")));
    };
    if alias.is_none() {
        *alias = Some(named(Some(last.clone())));
    }
    with_suffix(name, &format!("@{reference}"))
}

/// A name with this behind it.
fn with_suffix(name: &mut ObjectName, suffix: &str) -> Result<()> {
    let Some(ObjectNamePart::Identifier(last)) = name.0.last_mut() else {
        return Err(invalid(format!("{name} is no table, and has no versions")));
    };
    let table = folded(last, true);
    if table.contains('@') {
        return Err(invalid(format!("{table:?} names a version already")));
    }
    *last = Ident { value: format!("{table}{suffix}"), quote_style: Some('"'), span: Span::empty() };
    Ok(())
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

/// What a clause asks for.
fn read(version: &TableVersion) -> Result<Version> {
    match version {
        TableVersion::ForSystemTimeAsOf(time) | TableVersion::TimestampAsOf(time) => {
            Ok(Version::Time(Box::new(time.clone())))
        }
        TableVersion::VersionAsOf(version) => read_version(version),
        TableVersion::Function(Expr::Function(function)) => {
            let called = function.name.to_string();
            match &function.args {
                FunctionArguments::List(list)
                    if called.eq_ignore_ascii_case("AT") && list.clauses.is_empty() =>
                {
                    read_at(&list.args)
                }
                _ => Err(unknown(version)),
            }
        }
        TableVersion::Function(_) | TableVersion::Changes { .. } => Err(unknown(version)),
    }
}

fn unknown(version: &TableVersion) -> Error {
    let message = format!(
        "{version} is not supported: write VERSION AS OF, TIMESTAMP AS OF, or AT (VERSION | TIMESTAMP | BRANCH | TAG | COMMIT => …)"
    );
    Error::new(ErrorKind::Unsupported, message)
}

/// `(BRANCH => 'dev')`: one argument with a name.
fn read_at(args: &[FunctionArg]) -> Result<Version> {
    let [FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. }] = args else {
        return Err(invalid(
            "AT takes one of VERSION, TIMESTAMP, BRANCH, TAG or COMMIT, as in AT (TAG => 'v1')",
        ));
    };
    match name.value.to_ascii_uppercase().as_str() {
        "VERSION" => read_version(value),
        "TIMESTAMP" => Ok(Version::Time(Box::new(value.clone()))),
        "BRANCH" => text(value).map(Version::Branch),
        "TAG" => text(value).map(Version::Tag),
        "COMMIT" => text(value).map(Version::Commit),
        other => Err(invalid(format!("AT takes VERSION, TIMESTAMP, BRANCH, TAG or COMMIT, not {other}"))),
    }
}

fn read_version(value: &Expr) -> Result<Version> {
    let number = match value {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => digits.parse().ok(),
            _ => None,
        },
        _ => None,
    };
    match number {
        Some(number) => Ok(Version::Number(number)),
        None => text(value).map(Version::Text),
    }
}

fn text(value: &Expr) -> Result<String> {
    match value {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Ok(text.clone()),
            other => Err(invalid(format!("{other} is neither a version nor a text in single quotes"))),
        },
        Expr::Identifier(name) => Ok(name.value.clone()),
        other => Err(invalid(format!("{other} is neither a version nor a text in single quotes"))),
    }
}

async fn reference_of(ctx: &SessionContext, at: &At, version: Version) -> Result<Reference> {
    Ok(match version {
        Version::Number(number) => {
            reference::check_version(at, Seq(number))?;
            reference::at_version(at, Seq(number))
        }
        Version::Text(text) => text.parse().map_err(Error::from)?,
        Version::Branch(name) => Reference::new(Base::Branch(RefName::new(name)?), Vec::new()),
        Version::Tag(name) => Reference::new(Base::Tag(RefName::new(name)?), Vec::new()),
        Version::Commit(digits) => {
            Reference::new(Base::Commit(digits.parse().map_err(Error::from)?), Vec::new())
        }
        Version::Time(expr) => reference::at_time(at, time_of(ctx, *expr).await?),
    })
}

/// The instant that a constant expression gives.
async fn time_of(ctx: &SessionContext, expr: Expr) -> Result<ReferenceTime> {
    if let Ok(text) = text(&expr)
        && let Ok(time) = text.parse()
    {
        return Ok(time);
    }
    constant::instant(ctx, expr).await.map(Into::into)
}

/// Refuses version clauses where nobody has replaced them: DataFusion's planner would read the present instead.
#[derive(Debug)]
pub(crate) struct Guard;

impl RelationPlanner for Guard {
    fn plan_relation(
        &self,
        relation: TableFactor,
        _: &mut dyn RelationPlannerContext,
    ) -> std::result::Result<RelationPlanning, DataFusionError> {
        match &relation {
            TableFactor::Table { name, version: Some(version), .. } => {
                let message = format!(
                    "{name} {version}: this session does not know versions of tables; quote a name like \"orders@v3\", \
                     or ask through strandline_datafusion::Session"
                );
                Err(refused(ErrorKind::Unsupported, message))
            }
            // A session of ours has refused it in the text.
            other => {
                unread::refuse_factor(other).map_err(external)?;
                Ok(RelationPlanning::Original(Box::new(relation)))
            }
        }
    }
}
