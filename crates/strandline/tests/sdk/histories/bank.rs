//! A bank of two tables: money goes from one account to another in serializable transactions, at random, while stores fail and
//! processes crash. No version of the history ever has another sum, and what was acknowledged is there.
