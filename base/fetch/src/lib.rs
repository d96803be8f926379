//! Fetching files over HTTP from whom the operator named, without being led elsewhere.
//!
//! For: hub items, their data files, and whatever else is brought in from outside.
//! Blocking: it serves commands and threads of their own, never a core that answers.
//! **Refuses:** addresses that are not public, unless the operator named that very host and
//! port ([`Rules::named`]); plain HTTP for everybody else; a way from HTTPS to HTTP; more
//! than [`MOST_REDIRECTS`]; more bytes or time than allowed; encodings nobody asked for;
//! proxies that the environment names. No cookie and no credential is ever sent.
//! **Assumes:** names are looked up once for each connection, and it is made to what was
//! found and checked, so that a name cannot change its mind in between.
//! **On failure:** a [`FetchError`] that says whose fault it is; nothing is kept.
//!
//! | module | what it is for |
//! |---|---|
//! | [`url`] | addresses as they may be fetched |
//! | [`address`] | which addresses belong to the public internet |

pub mod address;
mod client;
mod error;
mod guard;
pub mod url;

pub use client::{Answer, Client, Fetched, MOST_REDIRECTS, Roots, Rules, Validators};
pub use error::FetchError;
pub use url::{BadUrl, Url};
