//! The types of members that nobody gave: what all values of a name are, at any depth.
//!
//! Numbers and texts together are texts, but an object, a list and a single value have no type in common. Texts are dates or times
//! where all of them are, and never numbers.

use std::sync::Arc;

use strandline::arrow::datatypes::{DataType, Field, Fields, Schema};
use strandline::format::MAX_TYPE_DEPTH;

use super::super::infer::Inferred;
use super::Wrong;
use super::json::Json;
use super::names::Names;

type Seen = std::result::Result<(), Wrong>;

/// What was seen of a member.
#[derive(Debug, Default)]
pub(super) struct Shape {
    single: Inferred,
    list: Option<Box<Shape>>,
    object: Option<Members>,
}

/// What was seen of objects.
#[derive(Debug, Default)]
struct Members {
    names: Names,
    shapes: Vec<(String, Shape)>,
}

impl Shape {
    /// Takes in the object of a line.
    pub(super) fn see_row(&mut self, line: &str) -> Seen {
        let mut json = Json::of(line);
        self.object.get_or_insert_default().see(&mut json, 0)?;
        json.end()
    }

    /// The columns.
    pub(super) fn schema(&self) -> Schema {
        Schema::new(self.object.as_ref().map(Members::fields).unwrap_or_default())
    }

    fn see(&mut self, json: &mut Json<'_>, depth: usize) -> Seen {
        if depth >= MAX_TYPE_DEPTH {
            return Err(Wrong::new(format!("values nest deeper than {MAX_TYPE_DEPTH}")));
        }
        match json.peek() {
            Some(b'n') => json.null(),
            Some(b'{') => {
                self.check(self.single.is_empty() && self.list.is_none())?;
                self.object.get_or_insert_default().see(json, depth)
            }
            Some(b'[') => {
                self.check(self.single.is_empty() && self.object.is_none())?;
                let list = self.list.get_or_insert_default();
                json.list(|json| list.see(json, depth + 1))
            }
            first => {
                self.check(self.list.is_none() && self.object.is_none())?;
                match first {
                    Some(b'"') => self.single.see_text(&json.string()?),
                    _ => self.single.see(json.bare()?),
                }
                Ok(())
            }
        }
    }

    fn check(&self, is_alike: bool) -> Seen {
        let text = "objects, lists and single values have no type in common, and another of them came before";
        if is_alike { Ok(()) } else { Err(Wrong::new(text)) }
    }

    fn data_type(&self) -> DataType {
        match (&self.object, &self.list) {
            (Some(members), _) => DataType::Struct(members.fields()),
            (None, Some(element)) => {
                DataType::List(Arc::new(Field::new_list_field(element.data_type(), true)))
            }
            (None, None) => self.single.data_type(),
        }
    }
}

impl Members {
    fn see(&mut self, json: &mut Json<'_>, depth: usize) -> Seen {
        self.names.begin();
        json.object(|json, name| {
            let place = self.names.place(&name).unwrap_or_else(|| {
                self.shapes.push((name.to_string(), Shape::default()));
                self.names.add(&name)
            });
            if !self.names.comes(place) {
                return Err(Wrong::new(format!("{name:?} stands there twice")));
            }
            let Some((_, shape)) = self.shapes.get_mut(place) else { return Ok(()) };
            shape.see(json, depth + 1).map_err(|wrong| wrong.within(&name))
        })
    }

    fn fields(&self) -> Fields {
        self.shapes.iter().map(|(name, shape)| Field::new(name, shape.data_type(), true)).collect()
    }
}

#[cfg(test)]
mod tests {
    use strandline::arrow::datatypes::TimeUnit;

    use super::*;

    fn shape(lines: &[&str]) -> std::result::Result<Schema, Wrong> {
        let mut shape = Shape::default();
        lines.iter().try_for_each(|line| shape.see_row(line))?;
        Ok(shape.schema())
    }

    fn check(lines: &[&str], expected: &DataType) {
        assert_eq!(shape(lines).unwrap().field(0).data_type(), expected, "{lines:?}");
    }

    #[test]
    fn no_digit_is_lost_by_a_type_that_nobody_gave() {
        use DataType::{Date32, Decimal128, Float64, Int64, Null, Timestamp, Utf8};
        check(&[r#"{"n":9007199254740993}"#, r#"{"n":1}"#], &Int64);
        check(&[r#"{"n":9007199254740992}"#, r#"{"n":0.5}"#], &Float64);
        check(&[r#"{"n":9007199254740993}"#, r#"{"n":0.5}"#], &Decimal128(17, 1));
        check(&[r#"{"n":18446744073709551615}"#], &Utf8);
        check(&[r#"{"n":1}"#, r#"{"n":"s"}"#], &Utf8);
        check(&[r#"{"n":1}"#, r#"{"n":"1"}"#, r#"{"n":null}"#], &Utf8);
        check(&[r#"{"n":18446744073709551616}"#], &Utf8);
        check(&[r#"{"n":1e300}"#], &Float64);
        check(&[r#"{"n":1e999}"#], &Utf8);
        check(&[r#"{"n":0.12345678901234567890}"#], &Decimal128(20, 20));
        check(&[r#"{"n":0.30000000000000004}"#], &Float64);
        check(&[r#"{"n":true}"#, r#"{"n":false}"#], &DataType::Boolean);
        check(&[r#"{"n":true}"#, r#"{"n":"true"}"#], &Utf8);
        check(&[r#"{"n":null}"#], &Null);
        check(&[r#"{"n":"2026-01-01"}"#], &Date32);
        check(&[r#"{"n":"2026-01-01T00:00:00"}"#], &Timestamp(TimeUnit::Second, None));
        check(&[r#"{"n":"2026-01-01"}"#, r#"{"n":1}"#], &Utf8);
        check(&[r#"{"n":"12"}"#], &Utf8);
    }

    #[test]
    fn the_same_is_kept_at_any_depth() {
        let list = |ty| DataType::List(Arc::new(Field::new_list_field(ty, true)));
        check(
            &[r#"{"l":[1,null]}"#, r#"{"l":[]}"#, r#"{"l":[0.5,9007199254740993]}"#],
            &list(DataType::Decimal128(17, 1)),
        );
        check(&[r#"{"l":[["2026-01-01"]]}"#, r#"{"l":null}"#], &list(list(DataType::Date32)));
        let fields = vec![Field::new("x", DataType::Utf8, true), Field::new("Y", list(DataType::Null), true)];
        let lines =
            [r#"{"s":{"x":12345678901234567890}}"#, r#"{"s":{"Y":[],"X":1}}"#, r#"{"s":{"y":[null]}}"#];
        check(&lines, &DataType::Struct(fields.into()));
    }

    #[test]
    fn columns_come_in_the_order_of_their_first_names() {
        let schema = shape(&[r#"{"b":1}"#, r#"{"a":1,"B":2}"#]).unwrap();
        assert_eq!(schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>(), ["b", "a"]);
    }

    #[test]
    fn what_has_no_type_in_common_is_refused() {
        let check = |lines: &[&str], path: &str, text: &str| {
            let wrong = shape(lines).unwrap_err();
            assert_eq!(
                (wrong.path.join("<"), wrong.text.contains(text)),
                (path.to_owned(), true),
                "{wrong:?}"
            );
        };
        check(&[r#"{"a":1}"#, r#"{"a":[1]}"#], "a", "no type in common");
        check(&[r#"{"s":{"a":{}}}"#, r#"{"s":{"a":"x"}}"#], "a<s", "no type in common");
        check(&[r#"{"l":[[1],{}]}"#], "l", "no type in common");
        check(&[r#"{"a":1,"A":2}"#], "", "\"A\" stands there twice");
        check(&[r#"{"s":{"a":1,"a":1}}"#], "s", "\"a\" stands there twice");
        check(&[&format!("{{\"l\":{}1{}}}", "[".repeat(100), "]".repeat(100))], "l", "nest deeper");
    }
}
