//! The control socket: the command line's only way to a running instance.
//!
//! One line of JSON goes in, one comes back, and the connection closes. The
//! socket is mode 0660; the peer's credentials are asked of the kernel on every
//! connection, and only root and the user that Ringwall runs as are served, or
//! members of the socket file's group, whom the file mode lets in.
//!
//! **Refuses:** lines over 64 KiB, other protocol versions, unknown commands,
//! more than 32 callers at once. **On failure:** the caller gets a sentence.

pub mod client;
pub mod protocol;
pub mod server;
