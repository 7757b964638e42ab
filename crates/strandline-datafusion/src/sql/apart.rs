//! Expressions that the planner calls by one name, given names of their own.
//!
//! It finds columns by their names, and a name has neither parentheses nor casts: `a - (b - c)` and `a - b - c` are one to it, `max(s)` and
//! `max(CAST(s AS INT))` too, and two columns of a query may not have one name at all.
//!
//! ```text
//! SELECT a, a, a::VARCHAR, 1, 1             SELECT a, a AS "a:1", a::VARCHAR AS "a::VARCHAR", 1, 1 AS "1:1"
//! SELECT max(s), max(s::INT)                SELECT max(s), max(as_written(s::INT)), where as_written(x) is x by a name of its own
//! ```
//!
//! Invariants: what a query gives and in which order stays; where no name is shared, nothing is written otherwise. What does not belong here:
//! clauses that the planner passes over (`unread`).

mod named;

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    ExcludeSelectItem, Expr, GroupByExpr, Ident, ObjectName, ObjectNamePart, OrderBy, OrderByKind, Select,
    SelectItem, SelectItemQualifiedWildcardKind, Value, Visit, VisitMut, Visitor, WildcardAdditionalOptions,
};

use super::folded;
use named::{Named, Names};

/// Gives the expressions of a SELECT names of their own.
pub(super) fn write_out(select: &mut Select, mut order: Option<&mut OrderBy>) {
    let names = Names::of(select);
    // To look takes a fraction of what it takes to give names.
    if may_share_within(select, order.as_deref()) && shares_within(&names, select, order.as_deref()) {
        let _ = VisitMut::visit(&mut select.projection, &mut named::AsWritten);
        let _ = VisitMut::visit(&mut select.group_by, &mut named::AsWritten);
        let _ = VisitMut::visit(&mut select.having, &mut named::AsWritten);
        let _ = VisitMut::visit(&mut select.qualify, &mut named::AsWritten);
        if let Some(order) = order.as_deref_mut() {
            let _ = VisitMut::visit(order, &mut named::AsWritten);
        }
    }
    if may_share(&select.projection) {
        alias(&names, select, order.as_deref());
    }
}

/// Whether there is anything that is no part of a name.
fn may_share_within(select: &Select, order: Option<&OrderBy>) -> bool {
    named::is_more_than_its_name(&select.projection)
        || named::is_more_than_its_name(&select.group_by)
        || named::is_more_than_its_name(&select.having)
        || named::is_more_than_its_name(&select.qualify)
        || order.is_some_and(named::is_more_than_its_name)
}

/// Whether columns of a query may share a name, at a glance: columns of tables and given names show whether they do.
fn may_share(items: &[SelectItem]) -> bool {
    let (mut names, mut calculated) = (HashSet::new(), 0_usize);
    items.iter().any(|item| match item {
        SelectItem::UnnamedExpr(expr) => match named::column(expr) {
            Some(name) => !names.insert(name),
            None => {
                calculated += 1;
                calculated > 1 || named::is_more_than_its_name(expr)
            }
        },
        SelectItem::ExprWithAlias { alias, .. } => !names.insert(folded(alias, true)),
        _ => items.len() > 1,
    })
}

/// Whether names are shared where a column is made before the columns of the query: by aggregates and windows, by groups, and by what these are ordered by.
fn shares_within(names: &Names, select: &Select, order: Option<&OrderBy>) -> bool {
    let mut made = Made { names, by_name: HashMap::new() };
    let found = groups(select).iter().try_for_each(|group| made.take(group));
    let found = found.is_break()
        || select.projection.visit(&mut made).is_break()
        || select.having.visit(&mut made).is_break()
        || select.qualify.visit(&mut made).is_break()
        || order.is_some_and(|order| order.visit(&mut made).is_break());
    let mut asked = Asked { names, made: &made.by_name };
    found
        || order.into_iter().flat_map(by).any(|expr| {
            let Named { name, exact } = names.named(expr);
            asked.made.get(&name) != Some(&exact) && expr.visit(&mut asked).is_break()
        })
}

/// What rows are ordered by.
fn by(order: &OrderBy) -> impl Iterator<Item = &Expr> {
    let exprs = match &order.kind {
        OrderByKind::Expressions(exprs) => exprs.as_slice(),
        OrderByKind::All(_) => &[],
    };
    exprs.iter().map(|order| &order.expr)
}

fn groups(select: &Select) -> &[Expr] {
    match &select.group_by {
        GroupByExpr::Expressions(exprs, _) => exprs,
        GroupByExpr::All(_) => &[],
    }
}

/// Functions and groups, by their names.
struct Made<'n> {
    names: &'n Names,
    by_name: HashMap<String, Expr>,
}

impl Made<'_> {
    fn take(&mut self, expr: &Expr) -> ControlFlow<()> {
        let Named { name, exact } = self.names.named(expr);
        match self.by_name.insert(name, exact.clone()) {
            Some(other) if other != exact => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }
}

impl Visitor for Made<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if matches!(expr, Expr::Function(_)) { self.take(expr) } else { ControlFlow::Continue(()) }
    }
}

/// Finds what has the name of something else.
struct Asked<'n> {
    names: &'n Names,
    made: &'n HashMap<String, Expr>,
}

impl Visitor for Asked<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let Named { name, exact } = self.names.named(expr);
        match self.made.get(&name) {
            Some(other) if *other != exact => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }
}

/// Gives columns of the query that have the name of another one, or of what it is ordered by, names of their own.
fn alias(names: &Names, select: &mut Select, order: Option<&OrderBy>) {
    let mut columns = Columns::of(names, select, order);
    for item in &mut select.projection {
        match item {
            SelectItem::UnnamedExpr(expr) => {
                if let Some(alias) = columns.name(expr) {
                    *item = SelectItem::ExprWithAlias { expr: std::mem::replace(expr, nothing()), alias };
                }
            }
            SelectItem::ExprWithAlias { alias, .. } => columns.rename(alias),
            _ => {}
        }
    }
}

/// What stands for a moment where an expression was taken.
fn nothing() -> Expr {
    Expr::value(Value::Null)
}

/// What the columns of a query are called.
struct Columns<'n> {
    names: &'n Names,
    stars: Stars,
    /// What the query is ordered by, by its names, and the names that are asked for elsewhere.
    ordered: HashMap<String, Expr>,
    asked: HashSet<String>,
    /// Columns of tables that are among them.
    plain: HashSet<String>,
    /// Names of expressions that were met, and names that are given or were.
    met: HashSet<String>,
    taken: HashSet<String>,
    aliases: HashSet<String>,
}

impl<'n> Columns<'n> {
    fn of(names: &'n Names, select: &Select, order: Option<&OrderBy>) -> Self {
        let mut ordered = Ordered { names, found: HashMap::new() };
        let mut asked = Identifiers::default();
        // None of them breaks.
        let given: Vec<Expr> = select.projection.iter().filter_map(|item| names.given(item)).collect();
        for expr in order.into_iter().flat_map(by) {
            // What is a column of the query is found as that.
            if !given.contains(&names.named(expr).exact) {
                let _ = expr.visit(&mut ordered);
            }
            let _ = expr.visit(&mut asked);
        }
        let _ = select.group_by.visit(&mut asked);
        let _ = select.having.visit(&mut asked);
        let _ = select.qualify.visit(&mut asked);
        let (mut plain, mut taken) = (HashSet::new(), HashSet::new());
        for item in &select.projection {
            match item {
                SelectItem::UnnamedExpr(expr) => {
                    if let Some(column) = named::column(expr) {
                        plain.insert(names.named(expr).name);
                        taken.insert(column);
                    }
                }
                SelectItem::ExprWithAlias { alias, .. } => drop(taken.insert(folded(alias, true))),
                _ => {}
            }
        }
        let (ordered, asked) = (ordered.found, asked.0);
        let (met, aliases) = (HashSet::new(), HashSet::new());
        Self { names, stars: Stars::of(select), ordered, asked, plain, met, taken, aliases }
    }

    /// A name for an expression without one, if it needs it.
    fn name(&mut self, expr: &Expr) -> Option<Ident> {
        let Named { name, exact } = self.names.named(expr);
        let column = named::column(expr);
        let is_shared = self.met.contains(&name)
            || self.stars.give(expr, self.names.is_single)
            || (column.is_none()
                && (self.plain.contains(&name)
                    || self.ordered.get(&name).is_some_and(|other| *other != exact)));
        self.met.insert(name);
        let called = column.unwrap_or_else(|| expr.to_string());
        if is_shared {
            return Some(self.fresh(called));
        }
        // The planner may call it so.
        self.taken.insert(called);
        None
    }

    /// Gives another name in the place of one that a column has as well, unless it is asked for.
    fn rename(&mut self, alias: &mut Ident) {
        let name = folded(alias, true);
        let quoted = Ident::with_quote('"', &name).to_string();
        let is_column =
            |plain: &String| plain.strip_suffix(&quoted).is_some_and(|of| of.is_empty() || of.ends_with('.'));
        let is_shared = self.aliases.contains(&name) || self.plain.iter().any(is_column);
        if is_shared && !self.asked.contains(&name) {
            *alias = self.fresh(name);
        } else {
            self.aliases.insert(name);
        }
    }

    /// A name that nothing has.
    fn fresh(&mut self, name: String) -> Ident {
        let names = std::iter::once(name.clone()).chain((1_u64..).map(|at| format!("{name}:{at}")));
        let fresh = names.into_iter().find(|name| self.taken.insert(name.clone()));
        Ident::with_quote('"', fresh.unwrap_or(name))
    }
}

struct Ordered<'n> {
    names: &'n Names,
    found: HashMap<String, Expr>,
}

impl Visitor for Ordered<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let Named { name, exact } = self.names.named(expr);
        self.found.insert(name, exact);
        ControlFlow::Continue(())
    }
}

#[derive(Default)]
struct Identifiers(HashSet<String>);

impl Visitor for Identifiers {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Identifier(name) = expr {
            self.0.insert(folded(name, true));
        }
        ControlFlow::Continue(())
    }
}

/// Which columns `*` and `t.*` give.
#[derive(Default)]
struct Stars {
    /// All but these, if there is one.
    all_but: Option<HashSet<String>>,
    of: HashSet<String>,
}

impl Stars {
    fn of(select: &Select) -> Self {
        let mut stars = Self::default();
        for item in &select.projection {
            match item {
                SelectItem::Wildcard(options) => stars.all_but = Some(excluded(options)),
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                    stars.of.extend(last(name));
                }
                _ => {}
            }
        }
        stars
    }

    /// Whether they give a column that an expression is called by.
    fn give(&self, expr: &Expr, is_single: bool) -> bool {
        let Some((side, column)) = named::column_within(expr) else { return false };
        let of_side = match side {
            Some(side) => self.of.contains(&side),
            None => is_single && !self.of.is_empty(),
        };
        of_side || self.all_but.as_ref().is_some_and(|excluded| !excluded.contains(&column))
    }
}

fn excluded(options: &WildcardAdditionalOptions) -> HashSet<String> {
    let names = match &options.opt_exclude {
        Some(ExcludeSelectItem::Single(name)) => std::slice::from_ref(name),
        Some(ExcludeSelectItem::Multiple(names)) => names.as_slice(),
        None => &[],
    };
    let except = options
        .opt_except
        .iter()
        .flat_map(|except| std::iter::once(&except.first_element).chain(&except.additional_elements));
    names.iter().filter_map(last).chain(except.map(|name| folded(name, true))).collect()
}

fn last(name: &ObjectName) -> Option<String> {
    name.0.last().and_then(ObjectNamePart::as_ident).map(|name| folded(name, true))
}
