//! The types of columns, as SQL writes them.
//!
//! | SQL | table |
//! |---|---|
//! | `BOOLEAN` | `boolean` |
//! | `TINYINT`, `SMALLINT`, `INT`, and unsigned below `INT` | `int` |
//! | `BIGINT`, `INT UNSIGNED` | `long` |
//! | `BIGINT UNSIGNED` | `decimal(20,0)` |
//! | `FLOAT`, `REAL`, `FLOAT(1..24)` | `float` |
//! | `DOUBLE`, `DOUBLE PRECISION`, `FLOAT(25..53)` | `double` |
//! | `DECIMAL(P,S)`, `NUMERIC(P,S)`; without digits `(38,10)`, as in DataFusion | `decimal(P,S)` |
//! | `DATE`, `TIME` | `date`, `time` |
//! | `TIMESTAMP`, `TIMESTAMP(0..6)`, `DATETIME` | `timestamp` |
//! | `TIMESTAMP(7..9)` | `timestamp_ns` |
//! | the same `WITH TIME ZONE`, `TIMESTAMPTZ` | `timestamptz`, `timestamptz_ns` |
//! | `VARCHAR`, `TEXT`, `STRING`, `CHAR`; a length is not kept | `string` |
//! | `UUID` | `uuid` |
//! | `BINARY(N)` | `fixed(N)` |
//! | `BYTEA`, `BLOB`, `VARBINARY`, `BINARY` | `binary` |
//! | `STRUCT<a INT NOT NULL, …>`, `STRUCT(a INT, …)` | struct |
//! | `ARRAY<T [NOT NULL]>`, `T[]` | list |
//! | `MAP<K, V [NOT NULL]>`, `MAP(K, V)` | map |
//!
//! Invariant: a type is one of these or refused, naming what to write instead. What does not belong here: Arrow.

use datafusion::sql::sqlparser::ast::{ArrayElemTypeDef, DataType as Sql, ExactNumberInfo, TimezoneInfo};
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;
use strandline::format::{ColumnName, Field, MAX_TYPE_DEPTH, PrimitiveType, Type};

use super::words::{Parsed, expect, identifier, refuse, take, text};

/// Digits of a decimal that says none, as DataFusion has them.
const DECIMAL: (u8, u8) = (38, 10);

/// The type that comes next.
pub(super) fn column_type(parser: &mut Parser<'_>) -> Parsed<Type> {
    let mut types = Types { parser, half: false, depth: 0 };
    let ty = types.one()?;
    if types.half {
        return types.parser.expected_ref("the end of the type", types.parser.peek_token_ref());
    }
    Ok(ty)
}

/// Types within types. `>>` is one token, which closes two of them.
struct Types<'p, 'd> {
    parser: &'p mut Parser<'d>,
    /// Whether the first half of the `>>` that comes next was taken.
    half: bool,
    /// How many types this is within.
    depth: usize,
}

impl Types<'_, '_> {
    fn one(&mut self) -> Parsed<Type> {
        self.depth += 1;
        check_depth(self.depth)?;
        let mut ty = if self.opens("STRUCT") {
            Type::Struct(self.members()?)
        } else if self.opens("ARRAY") || self.opens("LIST") {
            self.list()?
        } else if self.opens("MAP") {
            self.map()?
        } else {
            let ty = self.parser.parse_data_type()?;
            check_depth(self.depth + brackets(&ty))?;
            plain(ty)?
        };
        let mut depth = self.depth;
        while !self.half && self.parser.consume_token(&Token::LBracket) {
            self.parser.expect_token(&Token::RBracket)?;
            depth += 1;
            check_depth(depth)?;
            ty = Type::list(ty, false).map_err(|error| not_allowed(&error))?;
        }
        self.depth -= 1;
        Ok(ty)
    }

    /// Takes the word and what opens its parts, if both come next.
    fn opens(&mut self, word: &str) -> bool {
        let opening = matches!(self.parser.peek_nth_token(1).token, Token::Lt | Token::LParen);
        let found = opening && take(self.parser, &[word]);
        if found {
            self.parser.advance_token();
        }
        found
    }

    fn closes(&mut self) -> Parsed<()> {
        match self.parser.peek_token().token {
            Token::ShiftRight if !self.half => {
                self.half = true;
                return Ok(());
            }
            Token::ShiftRight | Token::Gt | Token::RParen => self.half = false,
            _ => return self.parser.expected_ref("the end of the nested type", self.parser.peek_token_ref()),
        }
        self.parser.advance_token();
        Ok(())
    }

    fn members(&mut self) -> Parsed<Vec<Field>> {
        let mut members = Vec::new();
        loop {
            let name = ColumnName::new(identifier(self.parser)?).map_err(|error| not_allowed(&error))?;
            let _ = self.parser.consume_token(&Token::Colon);
            let mut member = Field::optional(name, self.one()?);
            if !self.half {
                member.required = take(self.parser, &["NOT", "NULL"]);
                member.doc = take(self.parser, &["COMMENT"]).then(|| text(self.parser)).transpose()?;
            }
            members.push(member);
            if self.half || !self.parser.consume_token(&Token::Comma) {
                self.closes()?;
                return Ok(members);
            }
        }
    }

    fn list(&mut self) -> Parsed<Type> {
        let element = self.one()?;
        let required = self.required();
        self.closes()?;
        Type::list(element, required).map_err(|error| not_allowed(&error))
    }

    fn map(&mut self) -> Parsed<Type> {
        let key = self.one()?;
        self.required();
        self.parser.expect_token(&Token::Comma)?;
        let value = self.one()?;
        let required = self.required();
        self.closes()?;
        Type::map(key, value, required).map_err(|error| not_allowed(&error))
    }

    fn required(&mut self) -> bool {
        !self.half && take(self.parser, &["NOT", "NULL"])
    }
}

/// Refuses what the format would, before anything goes down as deep.
fn check_depth(depth: usize) -> Parsed<()> {
    if depth > MAX_TYPE_DEPTH {
        return refuse(format!("types nest deeper than {MAX_TYPE_DEPTH}"));
    }
    Ok(())
}

/// How many brackets the parser has taken for a type already.
fn brackets(ty: &Sql) -> usize {
    let (mut inner, mut brackets) = (ty, 0);
    while let Sql::Array(ArrayElemTypeDef::SquareBracket(element, _)) = inner {
        (inner, brackets) = (element, brackets + 1);
    }
    brackets
}

fn not_allowed(error: &strandline::format::Error) -> ParserError {
    ParserError::ParserError(error.to_string())
}

/// A type without parts in angles.
fn plain(ty: Sql) -> Parsed<Type> {
    use PrimitiveType as P;
    let primitive = match ty {
        Sql::Boolean | Sql::Bool => P::Boolean,
        Sql::TinyInt(_) | Sql::SmallInt(_) | Sql::Int(_) | Sql::Integer(_) | Sql::Int2(_) | Sql::Int4(_) => {
            P::Int
        }
        Sql::TinyIntUnsigned(_) | Sql::SmallIntUnsigned(_) | Sql::Int2Unsigned(_) => P::Int,
        Sql::UTinyInt | Sql::USmallInt => P::Int,
        Sql::BigInt(_) | Sql::Int8(_) | Sql::Int64 => P::Long,
        Sql::IntUnsigned(_) | Sql::IntegerUnsigned(_) | Sql::Int4Unsigned(_) | Sql::UnsignedInteger => {
            P::Long
        }
        Sql::BigIntUnsigned(_) | Sql::Int8Unsigned(_) | Sql::UBigInt => {
            P::Decimal { precision: 20, scale: 0 }
        }
        Sql::Real | Sql::Float4 | Sql::Float(ExactNumberInfo::None | ExactNumberInfo::Precision(..=24)) => {
            P::Float
        }
        Sql::Float(ExactNumberInfo::Precision(25..=53)) => P::Double,
        Sql::Double(_) | Sql::DoublePrecision | Sql::Float8 | Sql::Float64 => P::Double,
        Sql::Decimal(digits) | Sql::Numeric(digits) | Sql::Dec(digits) => decimal(digits)?,
        Sql::Date | Sql::Date32 => P::Date,
        Sql::Time(None | Some(0..=6), zone) => time(zone)?,
        Sql::Timestamp(digits, zone) => timestamp(digits, zone)?,
        Sql::Datetime(digits) => timestamp(digits, TimezoneInfo::None)?,
        Sql::Varchar(_) | Sql::Nvarchar(_) | Sql::CharVarying(_) | Sql::CharacterVarying(_) => P::String,
        Sql::Char(_) | Sql::Character(_) | Sql::Text | Sql::String(_) => P::String,
        Sql::Uuid => P::Uuid,
        Sql::Binary(Some(length)) => fixed(length)?,
        Sql::Binary(None) | Sql::Varbinary(_) | Sql::Blob(_) | Sql::Bytea | Sql::Bytes(_) => P::Binary,
        Sql::Array(ArrayElemTypeDef::SquareBracket(element, None)) => return list_of(*element),
        other => return refuse(format!("a column cannot be {other}: {}", instead(&other))),
    };
    primitive.check().map_err(|error| not_allowed(&error))?;
    Ok(Type::Primitive(primitive))
}

fn list_of(element: Sql) -> Parsed<Type> {
    Type::list(plain(element)?, false).map_err(|error| not_allowed(&error))
}

fn decimal(digits: ExactNumberInfo) -> Parsed<PrimitiveType> {
    let (precision, scale) = match digits {
        ExactNumberInfo::None => (u64::from(DECIMAL.0), i64::from(DECIMAL.1)),
        ExactNumberInfo::Precision(precision) => (precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (precision, scale),
    };
    match (u8::try_from(precision), u8::try_from(scale)) {
        (Ok(precision), Ok(scale)) => Ok(PrimitiveType::Decimal { precision, scale }),
        _ => refuse(format!(
            "DECIMAL({precision},{scale}): a decimal has 1 to 38 digits, and no more after the point"
        )),
    }
}

fn fixed(length: u64) -> Parsed<PrimitiveType> {
    match u32::try_from(length) {
        Ok(length) => Ok(PrimitiveType::Fixed(length)),
        Err(_) => refuse(format!("BINARY({length}) is too long: write VARBINARY")),
    }
}

fn time(zone: TimezoneInfo) -> Parsed<PrimitiveType> {
    match zone {
        TimezoneInfo::None | TimezoneInfo::WithoutTimeZone => Ok(PrimitiveType::Time),
        _ => refuse("a time of day has no zone: write TIME, or TIMESTAMPTZ for an instant"),
    }
}

fn timestamp(digits: Option<u64>, zone: TimezoneInfo) -> Parsed<PrimitiveType> {
    let zoned = matches!(zone, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz);
    Ok(match (digits.unwrap_or(6), zoned) {
        (0..=6, false) => PrimitiveType::Timestamp,
        (0..=6, true) => PrimitiveType::TimestampTz,
        (7..=9, false) => PrimitiveType::TimestampNs,
        (7..=9, true) => PrimitiveType::TimestampTzNs,
        (digits, _) => return refuse(format!("TIMESTAMP({digits}): at most 9 digits are kept, nanoseconds")),
    })
}

/// What to write instead of a type.
fn instead(ty: &Sql) -> &'static str {
    match ty {
        Sql::Time(..) => "write TIME, which keeps microseconds",
        Sql::Interval { .. } => "keep a number of days, or of microseconds, in BIGINT",
        Sql::JSON | Sql::JSONB => "keep the text in VARCHAR, or the parts in a STRUCT or MAP",
        Sql::Enum(..) | Sql::Set(..) => "write VARCHAR with a CHECK of the values",
        Sql::Array(_) => "write ARRAY<T>, or T[] without a length",
        Sql::HugeInt | Sql::Int128 | Sql::Int256 | Sql::UHugeInt => "write DECIMAL(38,0)",
        Sql::Map(..) => "write MAP<K, V>",
        _ => {
            "write one of BOOLEAN, INT, BIGINT, FLOAT, DOUBLE, DECIMAL(P,S), DATE, TIME, TIMESTAMP, TIMESTAMPTZ, \
              VARCHAR, UUID, BINARY(N), BYTEA, STRUCT<…>, ARRAY<…>, MAP<…>"
        }
    }
}

/// `SET DATA TYPE BIGINT`, `TYPE BIGINT`.
pub(super) fn new_type(parser: &mut Parser<'_>) -> Parsed<Type> {
    if take(parser, &["SET"]) {
        expect(parser, &["DATA"])?;
    }
    expect(parser, &["TYPE"])?;
    column_type(parser)
}
