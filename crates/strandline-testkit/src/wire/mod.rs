//! Servers and connections of HTTP that a test owns: a server scripted answer by answer, a bucket that speaks as the stores
//! do, and a proxy that counts and fails on the way to a real one.

mod bucket;
mod classify;
mod message;
mod proxy;
mod server;
mod xml;

#[cfg(test)]
mod tests;

pub use bucket::{Breach, StubBucket, error};
pub use message::HttpRequest;
pub use proxy::Proxy;
pub use server::{HttpAnswer, HttpServer};
