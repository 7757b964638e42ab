//! Clauses that the parser reads and DataFusion's planner passes over, refused while they are still text.
//!
//! To the planner `DELETE FROM t TABLESAMPLE (1 ROWS)` is `DELETE FROM t`. Invariants: what is not looked at by the planner is an error,
//! in a subquery as well; what has such clauses is taken apart field by field, so that one that a later parser adds has to be judged.
//! Hints in comments change no rows, and pass. What does not belong here: clauses that the planner refuses itself, and versions of
//! tables (`travel`).

use std::ops::ControlFlow;

use datafusion::execution::SessionState;
use datafusion::sql::sqlparser::ast::{
    Cte, DuplicateTreatment, Expr, FromTable, Function, FunctionArgumentList, FunctionArguments, GroupByExpr,
    Join, JoinOperator, NamedWindowDefinition, NamedWindowExpr, OrderByKind, PipeOperator, Query, Select,
    SelectFlavor, SelectItem, SetExpr, SetOperator, SetQuantifier, Statement, TableAlias, TableFactor,
    TableFunctionArgs, Visit, Visitor, WildcardAdditionalOptions, WindowType,
};
use strandline::{Error, ErrorKind, Result};

use super::written::merges;

/// What is refused, and what to write in its place, if there is something.
type Refusal = Option<(String, &'static str)>;

/// Refuses what the planner would pass over in any part of a statement.
///
/// # Errors
/// `Unsupported`, naming the clause.
pub(crate) fn refuse(state: &SessionState, tree: &impl Visit) -> Result<()> {
    match tree.visit(&mut Unread(state)) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break((clause, instead)) => Err(unsupported(&clause, instead)),
    }
}

/// The same of one source of rows.
///
/// # Errors
/// `Unsupported`, naming the clause.
pub(crate) fn refuse_factor(factor: &TableFactor) -> Result<()> {
    of_factor(factor).map_or(Ok(()), |(clause, instead)| Err(unsupported(&clause, instead)))
}

fn unsupported(clause: &str, instead: &str) -> Error {
    let hint = if instead.is_empty() { String::new() } else { format!(": {instead}") };
    Error::new(ErrorKind::Unsupported, format!("{clause} is not supported{hint}"))
}

/// The first of these that is there.
fn first<const N: usize>(clauses: [(bool, &str, &'static str); N]) -> Refusal {
    let found = clauses.into_iter().find(|(there, ..)| *there);
    found.map(|(_, clause, instead)| (clause.to_owned(), instead))
}

/// Looks at each part of a statement.
struct Unread<'s>(&'s SessionState);

impl Visitor for Unread<'_> {
    type Break = (String, &'static str);

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<Self::Break> {
        flow(of_statement(statement))
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Self::Break> {
        flow(of_query(query))
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Self::Break> {
        flow(of_select(select))
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Self::Break> {
        flow(of_factor(factor))
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Self::Break> {
        match expr {
            Expr::Function(function) => flow(of_function(self.0, function)),
            _ => ControlFlow::Continue(()),
        }
    }
}

fn flow(refusal: Refusal) -> ControlFlow<(String, &'static str)> {
    match refusal {
        Some(refusal) => ControlFlow::Break(refusal),
        None => ControlFlow::Continue(()),
    }
}

fn of_statement(statement: &Statement) -> Refusal {
    match statement {
        Statement::CreateDatabase { .. } => {
            first([(true, "CREATE DATABASE", "a lake has schemas, write CREATE SCHEMA")])
        }
        Statement::CreateView(view) if view.materialized => {
            first([(true, "CREATE MATERIALIZED VIEW", "write CREATE VIEW, or CREATE TABLE … AS")])
        }
        Statement::CreateTable(_) | Statement::CreateView(_) => {
            first([(true, "EXPLAIN of what makes something", "EXPLAIN its query")])
        }
        Statement::Delete(delete) => {
            let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
            let several = from.len() > 1 || !delete.tables.is_empty();
            first([
                (several, "DELETE from several tables", "write one for each, within BEGIN and COMMIT"),
                (
                    delete.using.is_some(),
                    "DELETE … USING",
                    "write WHERE EXISTS (SELECT …), or MERGE INTO … USING … WHEN MATCHED THEN DELETE",
                ),
                (delete.returning.is_some() || delete.output.is_some(), RETURNING, NOT_RETURNING),
            ])
        }
        Statement::Update(update) => first([
            (
                update.from.is_some(),
                "UPDATE … FROM of several tables, without WHERE or with queries in it",
                "write MERGE INTO t USING (SELECT …) AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET a = s.b",
            ),
            (update.returning.is_some() || update.output.is_some(), RETURNING, NOT_RETURNING),
        ]),
        Statement::Insert(insert) => {
            first([(insert.returning.is_some() || insert.output.is_some(), RETURNING, NOT_RETURNING)])
        }
        _ => None,
    }
}

const RETURNING: &str = "RETURNING or OUTPUT";
const NOT_RETURNING: &str = "table_changes('t', version) tells what a statement did";

fn of_query(query: &Query) -> Refusal {
    let Query {
        with,
        body,
        order_by,
        limit_clause: _,
        fetch: _,
        locks,
        for_clause,
        settings,
        format_clause,
        pipe_operators,
    } = query;
    let orders_by_all = order_by.as_ref().is_some_and(|order| matches!(order.kind, OrderByKind::All(_)));
    let is_select = matches!(**body, SetExpr::Select(_));
    first([
        (counts_by_name(body), "EXCEPT ALL or INTERSECT ALL BY NAME", "name the columns of both sides"),
        (!locks.is_empty(), "FOR UPDATE or FOR SHARE", "a transaction reads one commit, and locks nothing"),
        (for_clause.is_some(), "FOR XML, JSON or BROWSE", ""),
        (settings.is_some(), "SETTINGS", "write SET name = value before the query"),
        (format_clause.is_some(), "FORMAT", ""),
        (orders_by_all && !is_select, "ORDER BY ALL of such a query", "name the columns"),
        (order_by.as_ref().is_some_and(has_named_window), NAMED, NOT_NAMED),
    ])
    .or_else(|| {
        with.iter().flat_map(|with| &with.cte_tables).find_map(|cte| of_cte(cte, is_recursive(query)))
    })
    .or_else(|| pipe_operators.iter().find_map(of_pipe))
}

/// Whether rows of two queries are held against each other one by one, by the names of their columns (`sets`).
fn counts_by_name(body: &SetExpr) -> bool {
    let mut bodies = vec![body];
    while let Some(body) = bodies.pop() {
        let SetExpr::SetOperation { op, set_quantifier, left, right } = body else { continue };
        if *set_quantifier == SetQuantifier::AllByName && *op != SetOperator::Union {
            return true;
        }
        bodies.extend([left.as_ref(), right.as_ref()]);
    }
    false
}

fn is_recursive(query: &Query) -> bool {
    query.with.as_ref().is_some_and(|with| with.recursive)
}

fn of_pipe(operator: &PipeOperator) -> Refusal {
    match operator {
        PipeOperator::Join(join) => {
            first([(merges(join), "|> JOIN by USING or NATURAL", "write ON")]).or_else(|| of_join(join))
        }
        _ => None,
    }
}

fn of_cte(cte: &Cte, recursive: bool) -> Refusal {
    let Cte { alias, query, from, materialized: _, closing_paren_token: _ } = cte;
    // Of a union in WITH RECURSIVE the planner takes the two sides and nothing else.
    let is_union = matches!(*query.body, SetExpr::SetOperation { op: SetOperator::Union, .. });
    let has_more = query.with.is_some()
        || query.order_by.is_some()
        || query.limit_clause.is_some()
        || query.fetch.is_some()
        || !query.pipe_operators.is_empty();
    first([
        (from.is_some(), "FROM behind a WITH query", ""),
        (
            recursive && is_union && has_more,
            "WITH, ORDER BY or LIMIT of a union in WITH RECURSIVE",
            "put it on the query behind",
        ),
    ])
    .or_else(|| of_alias(alias))
}

fn of_select(select: &Select) -> Refusal {
    let Select {
        select_token: _,
        optimizer_hints: _,
        distinct: _,
        select_modifiers,
        top: _,
        top_before_distinct: _,
        projection,
        exclude,
        into,
        from,
        lateral_views: _,
        prewhere,
        selection: _,
        connect_by,
        group_by,
        cluster_by: _,
        distribute_by: _,
        sort_by: _,
        having,
        named_window,
        qualify,
        window_before_qualify: _,
        value_table_mode,
        flavor,
    } = select;
    let modifiers = match group_by {
        GroupByExpr::All(modifiers) | GroupByExpr::Expressions(_, modifiers) => modifiers,
    };
    let named_later =
        having.as_ref().is_some_and(has_named_window) || qualify.as_ref().is_some_and(has_named_window);
    first([
        (
            select_modifiers.as_ref().is_some_and(|modifiers| modifiers.is_any_set()),
            "a modifier behind SELECT",
            "leave it out",
        ),
        (exclude.is_some(), "EXCLUDE behind the columns", "write SELECT * EXCLUDE (…)"),
        (into.is_some(), "SELECT … INTO", "write CREATE TABLE … AS SELECT"),
        (prewhere.is_some(), "PREWHERE", "write WHERE"),
        (!connect_by.is_empty(), "CONNECT BY", "write WITH RECURSIVE"),
        (
            !modifiers.is_empty(),
            "a modifier of GROUP BY",
            "write GROUP BY ROLLUP (…), CUBE (…) or GROUPING SETS (…)",
        ),
        (value_table_mode.is_some(), "SELECT AS VALUE or AS STRUCT", "write struct(…)"),
        (named_later, NAMED, NOT_NAMED),
        (*flavor == SelectFlavor::FromFirstNoSelect, "FROM without SELECT", "write SELECT * FROM"),
    ])
    .or_else(|| projection.iter().find_map(of_item))
    .or_else(|| named_window.iter().find_map(of_window))
    .or_else(|| from.iter().flat_map(|table| &table.joins).find_map(of_join))
}

fn of_item(item: &SelectItem) -> Refusal {
    match item {
        SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) => of_wildcard(options),
        SelectItem::UnnamedExpr(_)
        | SelectItem::ExprWithAlias { .. }
        | SelectItem::ExprWithAliases { .. } => None,
    }
}

fn of_wildcard(options: &WildcardAdditionalOptions) -> Refusal {
    let WildcardAdditionalOptions {
        wildcard_token: _,
        opt_ilike,
        opt_exclude: _,
        opt_except: _,
        opt_replace: _,
        opt_rename,
        opt_alias,
    } = options;
    first([
        (opt_ilike.is_some(), "* ILIKE", "name the columns, or write * EXCLUDE (…)"),
        (opt_rename.is_some(), "* RENAME", "write * EXCLUDE (a), a AS b"),
        (opt_alias.is_some(), "a name for *", "name the columns"),
    ])
}

const BASED: &str = "a window that is based on another";
const NAMED: &str = "a named window outside of the columns";
const NOT_NAMED: &str = "write OVER (…) out";

fn of_window(NamedWindowDefinition(_, window): &NamedWindowDefinition) -> Refusal {
    match window {
        NamedWindowExpr::NamedWindow(_) => first([(true, BASED, "write it out")]),
        NamedWindowExpr::WindowSpec(window) => first([(window.window_name.is_some(), BASED, "write it out")]),
    }
}

/// Whether a function is over a window by its name: the planner looks for these in the columns only.
fn has_named_window(tree: &impl Visit) -> bool {
    struct Named;
    impl Visitor for Named {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Function(Function { over: Some(WindowType::NamedWindow(_)), .. }) => {
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            }
        }
    }
    tree.visit(&mut Named).is_break()
}

fn of_join(join: &Join) -> Refusal {
    use JoinOperator::{Anti, ArrayJoin, AsOf, InnerArrayJoin, LeftArrayJoin, Semi, StraightJoin};
    let Join { relation: _, global, join_operator } = join;
    first([
        (*global, "GLOBAL JOIN", "write JOIN"),
        (matches!(join_operator, Semi(_)), "SEMI JOIN", "write LEFT SEMI JOIN or RIGHT SEMI JOIN"),
        (matches!(join_operator, Anti(_)), "ANTI JOIN", "write LEFT ANTI JOIN or RIGHT ANTI JOIN"),
        (matches!(join_operator, StraightJoin(_)), "STRAIGHT_JOIN", "write JOIN"),
        (matches!(join_operator, AsOf { .. }), "ASOF JOIN", ""),
        (matches!(join_operator, ArrayJoin | LeftArrayJoin | InnerArrayJoin), "ARRAY JOIN", "use unnest"),
    ])
}

fn of_factor(factor: &TableFactor) -> Refusal {
    match factor {
        TableFactor::Table {
            name: _,
            alias,
            args,
            with_hints,
            version: _,
            with_ordinality,
            partitions,
            json_path,
            sample,
            index_hints,
        } => first([
            (args.as_ref().is_some_and(has_settings), "SETTINGS of a table function", ""),
            (!with_hints.is_empty(), "a hint WITH (…) of a table", "leave it out"),
            (!index_hints.is_empty(), "an index hint", "leave it out"),
            (*with_ordinality, "WITH ORDINALITY", "use row_number() OVER ()"),
            (
                !partitions.is_empty(),
                "PARTITION (…) of a table",
                "write a condition on the columns that it is split by",
            ),
            (json_path.is_some(), "a path behind a table", ""),
            (sample.is_some(), SAMPLE, NO_SAMPLE),
        ])
        .or_else(|| alias.as_ref().and_then(of_alias)),
        TableFactor::Derived { lateral: _, subquery: _, alias, sample } => {
            first([(sample.is_some(), SAMPLE, NO_SAMPLE)]).or_else(|| alias.as_ref().and_then(of_alias))
        }
        TableFactor::Function { lateral: _, name: _, args: _, with_ordinality, alias } => {
            first([(*with_ordinality, "WITH ORDINALITY", "use row_number() OVER ()")])
                .or_else(|| alias.as_ref().and_then(of_alias))
        }
        TableFactor::UNNEST {
            alias,
            array_exprs: _,
            with_offset: _,
            with_offset_alias: _,
            with_ordinality: _,
        } => alias.as_ref().and_then(of_alias),
        TableFactor::NestedJoin { table_with_joins, alias } => {
            table_with_joins.joins.iter().find_map(of_join).or_else(|| alias.as_ref().and_then(of_alias))
        }
        other => of_other(other),
    }
}

const SAMPLE: &str = "TABLESAMPLE";
const NO_SAMPLE: &str = "write a condition, such as random() < 0.1";

fn has_settings(args: &TableFunctionArgs) -> bool {
    args.settings.is_some()
}

/// What the planner refuses as well, but by what it is made of.
fn of_other(factor: &TableFactor) -> Refusal {
    let what = match factor {
        TableFactor::Pivot { .. } => "PIVOT",
        TableFactor::Unpivot { .. } => "UNPIVOT",
        TableFactor::MatchRecognize { .. } => "MATCH_RECOGNIZE",
        TableFactor::JsonTable { .. } => "JSON_TABLE",
        TableFactor::OpenJsonTable { .. } => "OPENJSON",
        TableFactor::XmlTable { .. } => "XMLTABLE",
        TableFactor::SemanticView { .. } => "SEMANTIC_VIEW",
        _ => "such a source of rows",
    };
    first([(true, what, "")])
}

fn of_alias(alias: &TableAlias) -> Refusal {
    let TableAlias { explicit: _, name: _, columns, at } = alias;
    first([
        (at.is_some(), "AT behind an alias", "put the version behind the name of the table"),
        (columns.iter().any(|column| column.data_type.is_some()), "a type in an alias", "SELECT a CAST"),
    ])
}

fn of_function(state: &SessionState, function: &Function) -> Refusal {
    let Function { name, uses_odbc_syntax: _, parameters, args, filter, null_treatment, over, within_group } =
        function;
    let based = matches!(over, Some(WindowType::WindowSpec(window)) if window.window_name.is_some());
    let refused = first([
        (!matches!(parameters, FunctionArguments::None), "a second list of arguments", ""),
        (
            matches!(args, FunctionArguments::Subquery(_)),
            "a subquery as all arguments",
            "write it in parentheses of its own",
        ),
        (based, BASED, "write it out"),
    ]);
    if refused.is_some() || !is_scalar(state, function) {
        return refused;
    }
    let name = name.to_string();
    let of = |clause: &str| format!("{clause} of {name}, which is no aggregate,");
    let (distinct, clauses) = match args {
        FunctionArguments::List(FunctionArgumentList { duplicate_treatment, args: _, clauses }) => {
            (*duplicate_treatment == Some(DuplicateTreatment::Distinct), !clauses.is_empty())
        }
        FunctionArguments::None | FunctionArguments::Subquery(_) => (false, false),
    };
    first([
        (over.is_some(), &of("OVER"), ""),
        (filter.is_some(), &of("FILTER"), ""),
        (null_treatment.is_some(), &of("IGNORE or RESPECT NULLS"), ""),
        (!within_group.is_empty(), &of("WITHIN GROUP"), ""),
        (distinct, &of("DISTINCT"), ""),
        (clauses, &of("a clause among the arguments"), ""),
    ])
}

/// Whether a function takes one row at a time.
fn is_scalar(state: &SessionState, function: &Function) -> bool {
    let [part] = function.name.0.as_slice() else { return false };
    let name = part.as_ident().map(|ident| crate::sql::folded(ident, true));
    name.is_some_and(|name| state.scalar_functions().contains_key(&name))
}
