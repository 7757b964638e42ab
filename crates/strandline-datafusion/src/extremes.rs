//! `min` and `max` of floating-point numbers, by groups.
//!
//! DataFusion's own way by groups begins each with the outermost finite number, so that of infinities nothing is seen, and whether NaN counts depends
//! on the order of rows. Invariant: by groups and without, NaN is the greatest; all else of the two functions is DataFusion's. What does not
//! belong here: what is answered by statistics (`table::statistics`).

mod floats;

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef, Float32Type, Float64Type};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::execution::context::SessionContext;
use datafusion::functions_aggregate::min_max::{max_udaf, min_udaf};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::function::{AccumulatorArgs, AggregateFunctionSimplification, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, Expr, GroupsAccumulator, Operator,
    ReversedUDAF, SetMonotonicity, Signature, StatisticsArgs,
};

use floats::{Extremes, Kept};

/// Puts them in the place of DataFusion's in a session.
pub(crate) fn register(ctx: &SessionContext) {
    functions().into_iter().for_each(|function| ctx.register_udaf(function));
}

fn functions() -> [AggregateUDF; 2] {
    [min_udaf(), max_udaf()].map(|inner| AggregateUDF::new_from_impl(Extreme(inner)))
}

/// Whether a function is one of them.
pub(crate) fn is_ours(function: &AggregateUDF) -> bool {
    function.inner().downcast_ref::<Extreme>().is_some()
}

/// One of them by its name, where a plan was sent that calls it.
pub(crate) fn function(name: &str) -> Option<Arc<AggregateUDF>> {
    functions().into_iter().find(|function| function.name() == name).map(Arc::new)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Extreme(Arc<AggregateUDF>);

impl Extreme {
    fn inner(&self) -> &Arc<dyn AggregateUDFImpl> {
        self.0.inner()
    }
}

impl AggregateUDFImpl for Extreme {
    fn name(&self) -> &str {
        self.inner().name()
    }

    fn signature(&self) -> &Signature {
        self.inner().signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.inner().return_type(arguments)
    }

    fn return_field(&self, arguments: &[FieldRef]) -> Result<FieldRef> {
        self.inner().return_field(arguments)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        self.inner().accumulator(args)
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.inner().state_fields(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        // Of 16 bits each group has an accumulator, which is right.
        *args.return_field.data_type() != DataType::Float16 && self.inner().groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        let (kept, of_32, of_64) = match self.name() {
            "min" => (Kept::Least, f32::NAN, f64::NAN),
            _ => (Kept::Greatest, f32::NEG_INFINITY, f64::NEG_INFINITY),
        };
        match args.return_field.data_type() {
            DataType::Float32 => Ok(Box::new(Extremes::<Float32Type>::new(kept, of_32))),
            DataType::Float64 => Ok(Box::new(Extremes::<Float64Type>::new(kept, of_64))),
            _ => self.inner().create_groups_accumulator(args),
        }
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        self.inner().create_sliding_accumulator(args)
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.inner().order_sensitivity()
    }

    fn simplify(&self) -> Option<AggregateFunctionSimplification> {
        self.inner().simplify()
    }

    fn simplify_expr_op_literal(
        &self,
        function: &AggregateFunction,
        argument: &Expr,
        op: Operator,
        literal: &Expr,
        is_left: bool,
    ) -> Result<Option<Expr>> {
        self.inner().simplify_expr_op_literal(function, argument, op, literal, is_left)
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        self.inner().reverse_expr()
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        self.inner().coerce_types(arguments)
    }

    fn is_nullable(&self) -> bool {
        self.inner().is_nullable()
    }

    fn is_descending(&self) -> Option<bool> {
        self.inner().is_descending()
    }

    fn value_from_stats(&self, args: &StatisticsArgs<'_>) -> Option<ScalarValue> {
        self.inner().value_from_stats(args)
    }

    fn default_value(&self, ty: &DataType) -> Result<ScalarValue> {
        self.inner().default_value(ty)
    }

    fn supports_null_handling_clause(&self) -> bool {
        self.inner().supports_null_handling_clause()
    }

    fn set_monotonicity(&self, ty: &DataType) -> SetMonotonicity {
        self.inner().set_monotonicity(ty)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner().documentation()
    }
}
