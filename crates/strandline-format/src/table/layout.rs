//! How rows lie: orders and splits that files refer to, and which of them a writer should use. Hints, never meaning: any
//! rows may stand in any file, so changing the layout rewrites nothing [TBL-5].

use std::fmt;

use crate::error::{Error, Result};
use crate::hash::clip;
use crate::id::FieldId;
use crate::name::ColumnName;
use crate::transform::Transform;

macro_rules! layout_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u32);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

layout_id! {
    /// One order of a table.
    ///
    /// ```
    /// use strandline_format::OrderId;
    /// assert!(OrderId(1) < OrderId(2));
    /// ```
    OrderId
}
layout_id! {
    /// One split of a table.
    ///
    /// ```
    /// use strandline_format::SplitId;
    /// assert!(SplitId(1) < SplitId(2));
    /// ```
    SplitId
}
layout_id! {
    /// One field of a split; the same id in two splits is the same transform of the same field.
    ///
    /// ```
    /// use strandline_format::{SplitField, SplitFieldId};
    ///
    /// // As Iceberg numbers partition fields.
    /// assert_eq!(SplitField::FIRST_ID, SplitFieldId(1000));
    /// ```
    SplitFieldId
}

/// An order of rows within a file.
///
/// ```
/// use strandline_format::{Direction, FieldId, NullOrder, OrderId, SortField, SortOrder};
///
/// let newest = SortField { field: FieldId(4), direction: Direction::Descending, nulls: NullOrder::Last };
/// let order = SortOrder { id: OrderId(1), fields: vec![newest] };
/// assert_eq!(order.fields[0].field, FieldId(4));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortOrder {
    /// Which order.
    pub id: OrderId,
    /// The fields, the most significant first.
    pub fields: Vec<SortField>,
}

/// One field of an order.
///
/// ```
/// use strandline_format::{Direction, FieldId, NullOrder, SortField};
///
/// let newest = SortField { field: FieldId(4), direction: Direction::Descending, nulls: NullOrder::Last };
/// assert_eq!(newest.direction.as_str(), "desc");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SortField {
    /// The field.
    pub field: FieldId,
    /// Which end comes first.
    pub direction: Direction,
    /// Where nulls stand.
    pub nulls: NullOrder,
}

/// Which end of a field's values comes first.
///
/// ```
/// use strandline_format::Direction;
/// assert_ne!(Direction::Ascending.as_str(), Direction::Descending.as_str());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The least.
    Ascending,
    /// The greatest.
    Descending,
}

/// Where nulls stand in an order.
///
/// ```
/// use strandline_format::NullOrder;
/// assert_ne!(NullOrder::First.as_str(), NullOrder::Last.as_str());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NullOrder {
    /// Before all values.
    First,
    /// After all values.
    Last,
}

/// A way to split rows over files.
///
/// ```
/// use strandline_format::{ColumnName, FieldId, Split, SplitField, SplitId, Transform};
///
/// // A file for each day.
/// let name = ColumnName::new("placed_day")?;
/// let by_day = SplitField { id: SplitField::FIRST_ID, field: FieldId(4), name, transform: Transform::Day };
/// let split = Split { id: SplitId(1), fields: vec![by_day] };
/// assert_eq!(split.fields.len(), 1);
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// Which split.
    pub id: SplitId,
    /// Its fields.
    pub fields: Vec<SplitField>,
}

/// One field of a split.
///
/// ```
/// use strandline_format::{ColumnName, FieldId, SplitField, Transform, Value};
///
/// let name = ColumnName::new("placed_day")?;
/// let by_day = SplitField { id: SplitField::FIRST_ID, field: FieldId(4), name, transform: Transform::Day };
/// // 1970-01-02T00:00:00Z lies in the day with the number 1.
/// assert_eq!(by_day.transform.apply(&Value::TimestampTz(86_400_000_000))?, Some(Value::Int(1)));
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitField {
    /// Its id, at least [`SplitField::FIRST_ID`].
    pub id: SplitFieldId,
    /// The field that it is made from.
    pub field: FieldId,
    /// Its name.
    pub name: ColumnName,
    /// How it is made.
    pub transform: Transform,
}

impl SplitField {
    /// Where the ids of split fields begin, as Iceberg's do.
    pub const FIRST_ID: SplitFieldId = SplitFieldId(1000);
}

/// Which of a table's orders and splits a writer should use, and how large its files should be.
///
/// ```
/// use strandline_format::{Layout, OrderId};
///
/// // A hint to writers: files that were written otherwise stay as they are.
/// let layout = Layout { order: Some(OrderId(1)), target_file_bytes: Some(64 << 20), ..Layout::default() };
/// assert_eq!(layout.split, None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The order of rows in a file.
    pub order: Option<OrderId>,
    /// The split of rows over files.
    pub split: Option<SplitId>,
    /// About how large files should be.
    pub target_file_bytes: Option<u64>,
}

impl Direction {
    /// The name of the direction in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ascending => "asc",
            Self::Descending => "desc",
        }
    }

    pub(super) fn parse(text: &str) -> Result<Self> {
        match text {
            "asc" => Ok(Self::Ascending),
            "desc" => Ok(Self::Descending),
            _ => Err(Error::unsupported(format!("the direction {:?} is not known here", clip(text)))),
        }
    }
}

impl NullOrder {
    /// The name of the place in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Last => "last",
        }
    }

    pub(super) fn parse(text: &str) -> Result<Self> {
        match text {
            "first" => Ok(Self::First),
            "last" => Ok(Self::Last),
            _ => Err(Error::unsupported(format!("nulls {:?} is not known here", clip(text)))),
        }
    }
}
