//! Bytes as a case gives them: text, or one of the forms for what is no text, or too long to write out.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::outcome::Failure;

/// A form for bytes that are no text.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    hex: Option<String>,
    base64: Option<String>,
    repeat: Option<Box<RawValue>>,
    times: Option<usize>,
    then: Option<Box<RawValue>>,
}

/// The bytes that an input stands for.
pub(crate) fn octets(input: &RawValue) -> Result<Vec<u8>, Failure> {
    if let Ok(text) = serde_json::from_str::<String>(input.get()) {
        return Ok(text.into_bytes());
    }
    match serde_json::from_str(input.get())? {
        Form { hex: Some(hex), base64: None, repeat: None, times: None, then: None } => from_hex(&hex),
        Form { hex: None, base64: Some(text), repeat: None, times: None, then: None } => {
            BASE64.decode(text).map_err(|error| Failure::Input(error.to_string()))
        }
        Form { hex: None, base64: None, repeat: Some(part), times: Some(times), then } => {
            let mut bytes = octets(&part)?.repeat(times);
            bytes.extend(then.map(|rest| octets(&rest)).transpose()?.unwrap_or_default());
            Ok(bytes)
        }
        _ => Err(Failure::Input("not one of the forms for bytes".to_owned())),
    }
}

fn from_hex(hex: &str) -> Result<Vec<u8>, Failure> {
    let digits = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap_or_default());
    let byte = |pair: &str| {
        u8::from_str_radix(pair, 16).map_err(|error| Failure::Input(format!("{pair:?}: {error}")))
    };
    digits.map(byte).collect()
}

/// Lower-case hex.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn forms_nest() {
    let read = |text: &str| octets(&RawValue::from_string(text.to_owned()).unwrap()).unwrap();
    assert_eq!(read(r#""a\u0000b""#), b"a\0b");
    assert_eq!(read(r#"{"hex":"00ff"}"#), [0, 255]);
    assert_eq!(read(r#"{"base64":"AP8="}"#), [0, 255]);
    assert_eq!(read(r#"{"repeat":"ab","times":2,"then":{"repeat":"c","times":1,"then":"d"}}"#), b"ababcd");
    assert!(octets(&RawValue::from_string("{}".to_owned()).unwrap()).is_err());
}
