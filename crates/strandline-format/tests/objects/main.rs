//! Every object: what is written reads as the same value, what is not known is ignored, and no bytes make a parser panic.

#[cfg(test)]
mod generate;
#[cfg(test)]
mod invalid;
#[cfg(test)]
mod merge;
#[cfg(test)]
mod pointer;
#[cfg(test)]
mod tree;
#[cfg(test)]
mod whole;
