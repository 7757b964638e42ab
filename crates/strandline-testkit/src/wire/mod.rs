//! Servers and connections of HTTP that a test owns: a server scripted answer by answer, a bucket that speaks as the stores
//! do and knows who may do what, where such users get their keys, and a proxy that counts and fails on the way to a real one.

mod access;
mod bucket;
mod classify;
mod issuer;
mod message;
mod narrow;
mod proxy;
mod server;
mod tls;
mod xml;

#[cfg(test)]
mod tests;

pub use access::{Access, Rights};
pub use bucket::{Breach, StubBucket, error};
pub use issuer::{CONTAINER, IDENTITY, Issuer, Lent};
pub use message::HttpRequest;
pub use narrow::NarrowLink;
pub use proxy::{Moment, Proxy};
pub use server::{HttpAnswer, HttpServer};
pub use tls::{Authority, DOMAIN};
