//! What libraries say, as people are told it: what is wrong, without the layers that it came through.

/// How errors of libraries begin that say where in them, and not what is wrong.
const LAYERS: [&str; 16] = [
    "Error during planning: ",
    "Execution error: ",
    "Arrow error: ",
    "Arrow: ",
    "Cast error: ",
    "Compute error: ",
    "Invalid argument error: ",
    "Optimizer rule 'simplify_expressions' failed ",
    "SQL error: ",
    "Ipc error: ",
    "Io error: ",
    "IO error: ",
    "Parquet argument error: ",
    "Parquet error: ",
    "Parser error: ",
    "External: ",
];

/// What they say of a file that ends too early.
const CUT_OFF: &str = "failed to fill whole buffer";

/// How Arrow says that its calendar has no such time, which only those beyond the year 262142 are.
const FAR: [(&str, &str); 2] = [
    ("Cannot convert arrow_array::types::Timestamp", "to datetime"),
    ("Failed to convert ", "to datetime for Timestamp"),
];

/// What a library says, in one line.
pub(crate) fn plain(message: &str) -> String {
    let cause = message.rsplit("caused by\n").next().unwrap_or(message);
    let text = cause.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut text = text.as_str();
    while let Some(rest) = LAYERS.iter().find_map(|layer| text.strip_prefix(layer)) {
        text = rest;
    }
    match text {
        CUT_OFF => "it ends in the middle".to_owned(),
        text if FAR.iter().any(|(begin, then)| text.starts_with(begin) && text.contains(then)) => {
            "a time beyond the year 262142 becomes no date and no text here".to_owned()
        }
        text => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_left_out() {
        let check = |message: &str, expected: &str| assert_eq!(plain(message), expected);
        check("Io error: failed to fill whole buffer", "it ends in the middle");
        check("Parquet argument error: Parquet error: no\nmagic", "no magic");
        check("Context\ncaused by\nArrow error: Cast error: no", "no");
        check("it is so", "it is so");
        let far = "a time beyond the year 262142 becomes no date and no text here";
        check(
            "Arrow error: Cast error: Cannot convert arrow_array::types::TimestampMicrosecondType 9 to datetime",
            far,
        );
        check("Cast error: Failed to convert 9223372036854775807 to datetime for Timestamp(µs)", far);
    }
}
