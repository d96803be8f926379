//! The control socket: the command line's only way to a running instance.
//!
//! One line of JSON goes in, one comes back, and the connection closes. The
//! socket is mode 0660; the peer's credentials are asked of the kernel on every
//! connection, and only root, the user that Ringwall runs as, and callers whose own
//! group is the socket's are served, whatever became of the file's mode.
//!
//! **Refuses:** lines over 64 KiB, other protocol versions, unknown commands,
//! more than 32 callers at once. **On failure:** the caller gets a sentence.

pub mod client;
pub mod protocol;
pub mod server;
