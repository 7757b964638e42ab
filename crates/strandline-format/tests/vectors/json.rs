//! JSON whose numbers keep what they say: whole numbers of any size stay exact, 1 is not 1.0, and -0.0 is not 0.0.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::value::RawValue;

/// A JSON value; the order of members does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Json {
    Object(BTreeMap<String, Json>),
    Array(Vec<Json>),
    Text(String),
    /// `true`, `false`, `null` or a number: a whole one as it is written, any other in one way of writing it.
    Word(String),
}

impl Json {
    /// Reads a text.
    pub(crate) fn parse(text: &str) -> serde_json::Result<Self> {
        Self::of(serde_json::from_str(text)?)
    }

    fn of(raw: &RawValue) -> serde_json::Result<Self> {
        let text = raw.get();
        Ok(match text.as_bytes().first() {
            Some(b'{') => {
                let members: BTreeMap<String, &RawValue> = serde_json::from_str(text)?;
                let member = |(name, value)| Ok((name, Self::of(value)?));
                Self::Object(members.into_iter().map(member).collect::<serde_json::Result<_>>()?)
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(text)?;
                Self::Array(items.into_iter().map(Self::of).collect::<serde_json::Result<_>>()?)
            }
            Some(b'"') => Self::Text(serde_json::from_str(text)?),
            _ => Self::Word(one_form(text)),
        })
    }
}

/// The same number with a fraction or an exponent may be written in many ways.
fn one_form(word: &str) -> String {
    let number = word.parse::<f64>().ok().filter(|_| word.contains(['.', 'e', 'E']));
    number.map_or_else(|| word.to_owned(), |number| format!("{number:?}"))
}

/// Compact JSON.
impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(members) => {
                f.write_str("{")?;
                for (at, (name, value)) in members.iter().enumerate() {
                    let comma = if at == 0 { "" } else { "," };
                    write!(f, "{comma}{}:{value}", quoted(name))?;
                }
                f.write_str("}")
            }
            Self::Array(items) => {
                f.write_str("[")?;
                for (at, item) in items.iter().enumerate() {
                    let comma = if at == 0 { "" } else { "," };
                    write!(f, "{comma}{item}")?;
                }
                f.write_str("]")
            }
            Self::Text(text) => f.write_str(&quoted(text)),
            Self::Word(word) => f.write_str(word),
        }
    }
}

/// A text as JSON.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[test]
fn numbers_differ_by_what_they_say() {
    let parse = |text: &str| Json::parse(text).unwrap();
    assert_ne!(parse("1"), parse("1.0"));
    assert_ne!(parse("-0.0"), parse("0.0"));
    assert_ne!(parse("9007199254740993"), parse("9007199254740992"));
    assert_eq!(parse("3.4e+38"), parse("34e37"));
    assert_eq!(parse(r#"{"a":1,"b":[2,null]}"#), parse(r#"{ "b" : [2, null], "a" : 1 }"#));
    assert_eq!(parse(r#"{ "a" : [1, "x\u0041"] }"#).to_string(), r#"{"a":[1,"xA"]}"#);
}
