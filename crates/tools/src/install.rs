//! Ways of installing a tool that is not there.

pub(crate) mod archive;
mod download;
mod listing;
mod unpack;

#[cfg(all(test, unix))]
mod tests;
