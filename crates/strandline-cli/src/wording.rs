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

/// What a library says, in one line.
pub(crate) fn plain(message: &str) -> String {
    let cause = message.rsplit("caused by\n").next().unwrap_or(message);
    let text = cause.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut text = text.as_str();
    while let Some(rest) = LAYERS.iter().find_map(|layer| text.strip_prefix(layer)) {
        text = rest;
    }
    if text == CUT_OFF { "it ends in the middle".to_owned() } else { text.to_owned() }
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
    }
}
