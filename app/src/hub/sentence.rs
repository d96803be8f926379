//! What went wrong, as sentences with the likely fix.

use fetch::FetchError;
use hub::{IndexError, PlanError, WrongDigest};

use crate::Error;

/// Something could not be fetched.
pub(super) fn fetching(what: &str, error: &FetchError) -> Error {
    let advice = match error {
        FetchError::Url { .. } => "Check how it is written.",
        FetchError::NotPublic { .. } => {
            "Only the host that detection.hub_url names may be a local one: nobody else may have \
             Ringwall call hosts of your network."
        }
        FetchError::Plain { .. } => {
            "Only the host that detection.hub_url names may be asked by plain http."
        }
        FetchError::NoHost { .. } | FetchError::Unreachable { .. } => {
            "Is this machine offline, or does it reach the internet through a proxy only? Proxies \
             are not used; detection.hub_url can name a mirror in your network."
        }
        FetchError::Tls { .. } => {
            "If it is a mirror of yours with an authority of its own, name its certificate in \
             SSL_CERT_FILE."
        }
        FetchError::NoRoots { .. } => "Install the package ca-certificates, or set SSL_CERT_FILE.",
        FetchError::Time { .. } | FetchError::Broken { .. } => "Try again later.",
        FetchError::Size { .. } => "That is more than it can be if it is what it should be.",
        FetchError::Status { .. } => "Check detection.hub_url, or try again later.",
        FetchError::Redirect { .. } | FetchError::Encoded { .. } => {
            "Check detection.hub_url; a mirror has to serve the files as they are."
        }
    };
    Error::Operator(format!(
        "Cannot get {what}: could not {error}. {advice} What is installed stays as it is."
    ))
}

/// An index is not to be believed.
pub(super) fn index(url: &str, error: &IndexError) -> Error {
    Error::Operator(format!(
        "The hub's index at {url} is not to be believed: {error}. Nothing was changed."
    ))
}

/// An item is not what the index says.
pub(super) fn digest(error: &WrongDigest) -> Error {
    Error::Operator(format!(
        "Not installed: {error}. Somebody changed it on the way, or the hub is being changed right \
         now. Nothing was changed here; try again later."
    ))
}

/// There is no next set.
pub(super) fn plan(error: &PlanError) -> Error {
    let meant = |nearest: &[String]| match nearest {
        [] => String::new(),
        near => format!(" Did you mean {}?", near.join(" or ")),
    };
    Error::Operator(match error {
        PlanError::Unknown { nearest, .. } => format!(
            "Cannot install it: {error}.{} 'ringwall hub search WORD' finds items.",
            meant(nearest)
        ),
        PlanError::NotInstalled { nearest, .. } => format!(
            "Nothing was changed: {error}.{} 'ringwall hub list' shows what is.",
            meant(nearest)
        ),
        PlanError::NotRun { .. } => {
            format!("Cannot install it: {error}. It is listed, so that you know what is left out.")
        }
        PlanError::Lacking { .. } => {
            format!("Cannot install it: {error}. Tell the hub; nothing was changed.")
        }
        PlanError::Needed { id, by } => format!(
            "Cannot take it out: {error}. Take out {}, or turn it off: ringwall hub tune {} --off",
            by.name, id.name
        ),
    })
}
