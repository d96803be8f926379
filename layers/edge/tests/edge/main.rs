//! The edge over real sockets on loopback.

#[cfg(test)]
mod accounts;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod introduction;
#[cfg(test)]
mod living;
#[cfg(test)]
mod proxying;
#[cfg(test)]
mod sealed;
#[cfg(test)]
mod second;
mod sessions;
#[cfg(test)]
mod strangers;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod together;
