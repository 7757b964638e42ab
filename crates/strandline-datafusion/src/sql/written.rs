//! SELECTs of which the planner reads something else than what they say, written so that it reads that.
//!
//! ```text
//! FROM t                                     SELECT * FROM t
//! FROM a LEFT JOIN b USING (k) … b.k …       FROM (a LEFT JOIN b USING (k, b.k)) … "b:k" …
//! FROM a NATURAL JOIN b … b.k …              FROM (a JOIN b USING ("natural:", b.k)) … "b:k" …
//! ```
//!
//! Of a join by USING or NATURAL the planner keeps the columns of both sides, and takes one of them by where it stands and by the alphabet, so that it
//! is null where the other is not. Within parentheses the join is planned here (`sql::using`), with one column for each key. What one side has of a
//! key is another column, which is named where it is asked for.
//!
//! Invariant: a join is planned so, or is one that the planner reads rightly, or is refused. What does not belong here: clauses that
//! nobody reads (`unread`).

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::parser::{CopyToSource, Statement as DfStatement};
use datafusion::sql::sqlparser::ast::{
    ExcludeSelectItem, Expr, Ident, Join, JoinConstraint, JoinOperator, ObjectName, ObjectNamePart, OrderBy,
    Query, Select, SelectFlavor, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, TableAlias,
    TableFactor, TableWithJoins, VisitMut, VisitorMut, WildcardAdditionalOptions,
};
use strandline::{Error, ErrorKind, Result};

use super::{apart, plainer, sets};

/// Writes the queries of a statement so.
///
/// # Errors
/// `Unsupported` for a join by USING or NATURAL that is not planned rightly.
pub(crate) fn write_out(statement: &mut DfStatement) -> Result<()> {
    match statement {
        DfStatement::Statement(statement) => write_out_in(statement.as_mut()),
        DfStatement::Explain(explain) => write_out(&mut explain.statement),
        DfStatement::CopyTo(copy) => match &mut copy.source {
            CopyToSource::Query(query) => write_out_in(query.as_mut()),
            CopyToSource::Relation(_) => Ok(()),
        },
        DfStatement::CreateExternalTable(_) | DfStatement::Reset(_) => Ok(()),
    }
}

/// The same for any part of a statement.
///
/// # Errors
/// As [`write_out`].
pub(crate) fn write_out_in(tree: &mut impl VisitMut) -> Result<()> {
    match VisitMut::visit(tree, &mut Queries) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Queries;

impl VisitorMut for Queries {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        plainer::limit(query);
        let written =
            sets::write_out(&mut query.body).and_then(|()| in_set(&mut query.body, query.order_by.as_mut()));
        match written {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        plainer::exists(expr);
        ControlFlow::Continue(())
    }
}

fn in_set(set: &mut SetExpr, mut order: Option<&mut OrderBy>) -> Result<()> {
    match set {
        SetExpr::Select(select) => {
            in_select(select, order.as_deref_mut())?;
            apart::write_out(select, order);
            Ok(())
        }
        SetExpr::SetOperation { left, right, .. } => {
            in_set(left, None)?;
            in_set(right, None)
        }
        _ => Ok(()),
    }
}

fn in_select(select: &mut Select, order: Option<&mut OrderBy>) -> Result<()> {
    if matches!(select.flavor, SelectFlavor::FromFirstNoSelect) {
        select.projection = vec![SelectItem::Wildcard(WildcardAdditionalOptions::default())];
        select.flavor = SelectFlavor::Standard;
    }
    let mut levels = Vec::new();
    for table in &mut select.from {
        if !merges_within(table) || is_read_rightly(table, &select.projection)? {
            continue;
        }
        Level::all_of(table, &mut levels);
        if !table.joins.is_empty() {
            let joined = Box::new(table.clone());
            table.joins.clear();
            table.relation = TableFactor::NestedJoin { table_with_joins: joined, alias: None };
        }
    }
    if levels.is_empty() {
        return Ok(());
    }
    name_sides(select, order, &levels);
    Ok(())
}

/// Whether a join makes one column of two.
pub(super) fn merges(join: &Join) -> bool {
    matches!(constraint(&join.join_operator), Some(JoinConstraint::Using(_) | JoinConstraint::Natural))
}

/// The same of any join among these, those in parentheses too.
fn merges_within(table: &TableWithJoins) -> bool {
    let in_factor = |factor: &TableFactor| match factor {
        TableFactor::NestedJoin { table_with_joins, .. } => merges_within(table_with_joins),
        _ => false,
    };
    in_factor(&table.relation) || table.joins.iter().any(|join| merges(join) || in_factor(&join.relation))
}

/// What the sides of a join have to be for their rows to be joined, if it says so.
macro_rules! constraint_of {
    ($operator:expr) => {{
        use JoinOperator::{
            Anti, ArrayJoin, AsOf, CrossApply, CrossJoin, FullOuter, Inner, InnerArrayJoin, Join, Left,
            LeftAnti, LeftArrayJoin, LeftOuter, LeftSemi, OuterApply, Right, RightAnti, RightOuter,
            RightSemi, Semi, StraightJoin,
        };
        match $operator {
            Join(constraint)
            | Inner(constraint)
            | Left(constraint)
            | LeftOuter(constraint)
            | Right(constraint)
            | RightOuter(constraint)
            | FullOuter(constraint)
            | CrossJoin(constraint)
            | Semi(constraint)
            | LeftSemi(constraint)
            | RightSemi(constraint)
            | Anti(constraint)
            | LeftAnti(constraint)
            | RightAnti(constraint)
            | StraightJoin(constraint)
            | AsOf { constraint, .. } => Some(constraint),
            CrossApply | OuterApply | ArrayJoin | LeftArrayJoin | InnerArrayJoin => None,
        }
    }};
}

fn constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
    constraint_of!(operator)
}

fn constraint_mut(operator: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    constraint_of!(operator)
}

/// Whether only rows pass that have one on the other side.
fn is_inner(join: &Join) -> bool {
    matches!(join.join_operator, JoinOperator::Join(_) | JoinOperator::Inner(_))
}

/// Whether rows of the left side pass that have none on the other.
fn is_left(join: &Join) -> bool {
    matches!(join.join_operator, JoinOperator::Left(_) | JoinOperator::LeftOuter(_))
}

/// Whether a factor sees those before it.
pub(super) fn is_lateral(factor: &TableFactor) -> bool {
    match factor {
        TableFactor::Derived { lateral, .. } | TableFactor::Function { lateral, .. } => *lateral,
        TableFactor::UNNEST { .. } => true,
        _ => false,
    }
}

/// Whether the planner's own reading of joins has to do, as beside what is lateral and for all columns of one side: it takes the left side's
/// key wherever it is asked for one.
///
/// # Errors
/// `Unsupported` if that would be wrong.
fn is_read_rightly(table: &TableWithJoins, projection: &[SelectItem]) -> Result<bool> {
    let is_lateral = is_lateral(&table.relation) || table.joins.iter().any(|join| is_lateral(&join.relation));
    let asks_for_all = projection.iter().any(|item| matches!(item, SelectItem::Wildcard(_)));
    let side = projection.iter().find_map(|item| match item {
        SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
            last(name).filter(|side| is_changed(table, side))
        }
        _ => None,
    });
    let what = match &side {
        _ if is_lateral => "USING or NATURAL of an outer join beside LATERAL or unnest".to_owned(),
        Some(side) => format!("{side}.* of a join by USING or NATURAL"),
        None => return Ok(false),
    };
    let is_plain = |factor: &TableFactor| !matches!(factor, TableFactor::NestedJoin { .. });
    let mut joins = table.joins.iter();
    let is_right = is_plain(&table.relation)
        && joins.all(|join| {
            is_plain(&join.relation) && (!merges(join) || is_inner(join) || (is_left(join) && !asks_for_all))
        });
    if is_right {
        return Ok(true);
    }
    Err(Error::new(ErrorKind::Unsupported, format!("{what} is not supported: name the columns, or write ON")))
}

/// Whether the columns of a factor are others when the join is planned here: all are as they were of the first one, as long as keys are
/// what the left side has.
fn is_changed(table: &TableWithJoins, side: &str) -> bool {
    let is_first = called(&table.relation).is_some_and(|first| first == side);
    let is_kept = table.joins.iter().all(|join| !merges(join) || is_inner(join) || is_left(join));
    let mut factors = vec![&table.relation];
    factors.extend(table.joins.iter().map(|join| &join.relation));
    let is_among = factors.iter().any(|factor| match factor {
        TableFactor::NestedJoin { table_with_joins, alias: None } => is_changed(table_with_joins, side),
        factor => called(factor).is_some_and(|called| called == side),
    });
    is_among && !(is_first && is_kept)
}

/// What columns of a factor are qualified by.
fn called(factor: &TableFactor) -> Option<String> {
    match factor {
        TableFactor::Table { alias: Some(TableAlias { name, .. }), .. }
        | TableFactor::Derived { alias: Some(TableAlias { name, .. }), .. }
        | TableFactor::Function { alias: Some(TableAlias { name, .. }), .. }
        | TableFactor::TableFunction { alias: Some(TableAlias { name, .. }), .. }
        | TableFactor::UNNEST { alias: Some(TableAlias { name, .. }), .. }
        | TableFactor::NestedJoin { alias: Some(TableAlias { name, .. }), .. } => Some(folded(name)),
        TableFactor::Table { name, alias: None, .. } => last(name),
        _ => None,
    }
}

fn last(name: &ObjectName) -> Option<String> {
    name.0.last().and_then(ObjectNamePart::as_ident).map(folded)
}

fn folded(name: &Ident) -> String {
    super::folded(name, true)
}

/// What is joined at one level of parentheses, and by which columns: of a NATURAL join any may be one.
struct Level {
    sides: Vec<String>,
    keys: Vec<String>,
    is_natural: bool,
}

impl Level {
    fn has(&self, side: &String, key: &String) -> bool {
        let is_key = self.is_natural || self.keys.contains(key);
        is_key && self.sides.iter().filter(|other| *other == side).count() == 1
    }

    fn all_of(table: &TableWithJoins, levels: &mut Vec<Self>) {
        let mut factors = vec![&table.relation];
        factors.extend(table.joins.iter().map(|join| &join.relation));
        let keys: Vec<String> = table.joins.iter().flat_map(keys).filter_map(last).collect();
        let natural = |join: &Join| matches!(constraint(&join.join_operator), Some(JoinConstraint::Natural));
        let is_natural = table.joins.iter().any(natural);
        if is_natural || !keys.is_empty() {
            let sides = factors.iter().copied().filter_map(called).collect();
            levels.push(Self { sides, keys, is_natural });
        }
        for factor in factors {
            if let TableFactor::NestedJoin { table_with_joins, .. } = factor {
                Self::all_of(table_with_joins, levels);
            }
        }
    }
}

fn keys(join: &Join) -> &[ObjectName] {
    match constraint(&join.join_operator) {
        Some(JoinConstraint::Using(keys)) => keys,
        _ => &[],
    }
}

/// Gives what one side has of a key a name of its own wherever it is asked for, and the joins these names.
fn name_sides(select: &mut Select, order: Option<&mut OrderBy>, levels: &[Level]) {
    let mut sides = Sides { levels, within: Vec::new(), found: BTreeSet::new() };
    let names = names_of_columns(&select.projection);
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr) = item
            && let Expr::CompoundIdentifier(parts) = &*expr
            && let Some(alias) = parts.last().filter(|name| is_once(&names, name)).cloned()
            && let Some(named) = sides.named(parts)
        {
            *item = SelectItem::ExprWithAlias { expr: named, alias };
        }
    }
    // It never breaks.
    let _ = VisitMut::visit(select, &mut sides);
    if let Some(order) = order {
        let _ = VisitMut::visit(order, &mut sides);
    }
    let found = sides.found;
    if found.is_empty() {
        return;
    }
    select.from.iter_mut().for_each(|table| tell(table, &found));
    for item in &mut select.projection {
        if let SelectItem::Wildcard(options) = item {
            exclude(options, &found);
        }
    }
}

/// What the columns of a SELECT are called, if they are listed.
fn names_of_columns(projection: &[SelectItem]) -> Option<Vec<String>> {
    let names = projection.iter().filter_map(|item| match item {
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(Some(folded(name))),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => Some(parts.last().map(folded)),
        SelectItem::ExprWithAlias { alias, .. } => Some(Some(folded(alias))),
        SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => Some(None),
        SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAliases { .. } => None,
    });
    names.collect()
}

/// Whether one column alone is called so: what one side has of a key is called by the key then, else by both.
fn is_once(names: &Option<Vec<String>>, name: &Ident) -> bool {
    let name = folded(name);
    names.as_ref().is_some_and(|names| names.iter().filter(|other| **other == name).count() == 1)
}

/// What one side has of a key: the side, and the key.
type Side = (String, String);

/// Marks a join by USING that was NATURAL, and was told of what one side has of a key.
const NATURAL: &str = "natural:";

/// Whether a key says that a join is NATURAL.
pub(super) fn is_natural(key: &ObjectName) -> bool {
    matches!(key.0.as_slice(), [ObjectNamePart::Identifier(name)] if name.value == NATURAL)
}

/// The name of what one side has of a key.
pub(super) fn name_of(side: &str, key: &str) -> String {
    format!("{side}:{key}")
}

/// Replaces `b.k`, but where a query within has a `b` of its own.
struct Sides<'l> {
    levels: &'l [Level],
    within: Vec<Vec<String>>,
    found: BTreeSet<Side>,
}

impl Sides<'_> {
    fn named(&mut self, parts: &[Ident]) -> Option<Expr> {
        // What stands before the side is its schema and catalog.
        let ([side, key] | [_, side, key] | [_, _, side, key]) = parts else { return None };
        let (side, key) = (folded(side), folded(key));
        let is_other = self.within.iter().any(|names| names.contains(&side));
        let is_ours = self.levels.iter().any(|level| level.has(&side, &key));
        if is_other || !is_ours {
            return None;
        }
        let named = Ident::with_quote('"', name_of(&side, &key));
        self.found.insert((side, key));
        Some(Expr::Identifier(named))
    }
}

impl VisitorMut for Sides<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let mut names = Vec::new();
        names_in(&query.body, &mut names);
        self.within.push(names);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.within.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(parts) = &*expr
            && let Some(named) = self.named(parts)
        {
            *expr = named;
        }
        ControlFlow::Continue(())
    }
}

/// What the tables of a query are called.
fn names_in(set: &SetExpr, names: &mut Vec<String>) {
    match set {
        SetExpr::Select(select) => select.from.iter().for_each(|table| names_of(table, names)),
        SetExpr::SetOperation { left, right, .. } => {
            names_in(left, names);
            names_in(right, names);
        }
        _ => {}
    }
}

fn names_of(table: &TableWithJoins, names: &mut Vec<String>) {
    for factor in std::iter::once(&table.relation).chain(table.joins.iter().map(|join| &join.relation)) {
        match factor {
            TableFactor::NestedJoin { table_with_joins, alias: None } => names_of(table_with_joins, names),
            factor => names.extend(called(factor)),
        }
    }
}

/// Puts the names among the columns of each USING.
fn tell(table: &mut TableWithJoins, found: &BTreeSet<Side>) {
    let part = |name: &String| ObjectNamePart::Identifier(Ident::with_quote('"', name));
    for join in &mut table.joins {
        if let Some(constraint) = constraint_mut(&mut join.join_operator) {
            if matches!(constraint, JoinConstraint::Natural) {
                let mark = ObjectName(vec![ObjectNamePart::Identifier(Ident::with_quote('"', NATURAL))]);
                *constraint = JoinConstraint::Using(vec![mark]);
            }
            if let JoinConstraint::Using(keys) = constraint {
                keys.extend(found.iter().map(|(side, key)| ObjectName(vec![part(side), part(key)])));
            }
        }
        tell_within(&mut join.relation, found);
    }
    tell_within(&mut table.relation, found);
}

fn tell_within(factor: &mut TableFactor, found: &BTreeSet<Side>) {
    if let TableFactor::NestedJoin { table_with_joins, .. } = factor {
        tell(table_with_joins, found);
    }
}

/// Leaves the names out of `*`.
fn exclude(options: &mut WildcardAdditionalOptions, found: &BTreeSet<Side>) {
    let mut names = match options.opt_exclude.take() {
        Some(ExcludeSelectItem::Single(name)) => vec![name],
        Some(ExcludeSelectItem::Multiple(names)) => names,
        None => Vec::new(),
    };
    names.extend(found.iter().map(|(side, key)| {
        ObjectName(vec![ObjectNamePart::Identifier(Ident::with_quote('"', name_of(side, key)))])
    }));
    options.opt_exclude = Some(ExcludeSelectItem::Multiple(names));
}
