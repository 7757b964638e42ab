//! Texts that people and listings give: names, paths, references, ids, times, types, values.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strandline_format::{
    ColumnName, Hash, LakeId, ObjectPath, PathKind, PrimitiveType, RefName, Reference, ReferenceRange,
    TableName, Timestamp, Transform, TxnId, Value,
};

const TYPES: [&str; 17] = [
    "boolean",
    "int",
    "long",
    "float",
    "double",
    "decimal(9,2)",
    "decimal(38,0)",
    "date",
    "time",
    "timestamp",
    "timestamptz",
    "timestamp_ns",
    "timestamptz_ns",
    "string",
    "uuid",
    "fixed(2)",
    "binary",
];

/// What is read is printed as it was.
macro_rules! prints_back {
    ($text:expr, $($name:ident),*) => {
        $(if let Ok(read) = $text.parse::<$name>() {
            assert_eq!(read.to_string(), $text);
        })*
    };
}

fn names(text: &str) {
    let _ = (TableName::new(text), ColumnName::new(text));
    if let Ok(name) = RefName::new(text) {
        let kind = ObjectPath::parse(ObjectPath::branch(&name).as_str());
        assert!(matches!(kind, Some(PathKind::Branch(key)) if key == name.key().as_str()));
    }
    let _ = ObjectPath::parse(text);
}

fuzz_target!(|text: &str| {
    names(text);
    prints_back!(text, Hash, LakeId, TxnId, Timestamp, PrimitiveType, Transform);
    if let Ok(read) = text.parse::<Reference>() {
        assert_eq!(read.to_string().parse(), Ok(read));
    }
    if let Ok(read) = text.parse::<ReferenceRange>() {
        assert_eq!(read.to_string().parse(), Ok(read));
    }
    for ty in TYPES {
        let ty: PrimitiveType = ty.parse().expect("a type");
        if let Ok(value) = Value::from_json(ty, text) {
            assert_eq!(Value::from_json(ty, &value.to_json().expect("no NaN is read")), Ok(value));
        }
    }
});
