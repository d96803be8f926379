//! The privileged helper process, and the main process's side of it.
//!
//! Root lives here alone. `ringwall up`, started as root, calls [`start`](start()) before any
//! thread exists: the program starts itself again as the helper, which runs
//! [`serve`](serve()) until its peer is gone, and the main process gives root up with
//! [`confine`](confine()). From then on it asks for what it needs through [`Access`].
//!
//! For: listeners on configured addresses, configured files opened for reading, and,
//! where the configuration asks for it, what containers' labels say.
//! Refuses: everything else. The helper takes its peer for compromised: verbs are a
//! closed set, name only what the helper itself read in the configuration
//! ([`Policy`]), are bounded in size and number, and the helper ends when its peer
//! does, or when the peer talks nonsense.
//! Assumes: Linux, and that [`start`](start()) and [`confine`](confine()) come before threads.
//! On failure: without the helper the main process serves on with what it holds and
//! gets [`HostError::Gone`] for more. A process that cannot give root up does not run.
//!
//! ```text
//! main()  ──► start(Launch)        as root: the helper runs, `Start::Privileged`
//!                                  otherwise: `Start::Ordinary`, with what is off
//!         ──► own_directory(state dir, &account)      still root
//!         ──► confine(Plan)        root given up and proven; landlock, seccomp
//!         ──► threads, runtimes; access.bind(…), access.open(…), access.reload()
//! ```
//!
//! | module | for |
//! |---|---|
//! | [`policy`] | what the configuration allows: [`Policy`], [`ListenerRule`], [`FileRule`] |
//! | [`verb`] | the datagrams: [`verb::Verb`], [`verb::Word`] |
//! | [`desk`] | pure: one datagram in, one order out |
//! | [`serve`](mod@serve) | the helper's loop |
//! | [`client`] | the main process's end: [`Client`] |
//! | [`docker`] | containers' labels as a stream of typed values |
//! | [`access`] | one way to a listener or file, with the helper and without: [`Access`] |
//! | [`start`](mod@start) | starting the helper: [`start()`], [`Start`], [`find_account`] |
//! | [`confine`](mod@confine) | giving up what is not needed: [`confine()`], [`Confinement`] |

pub mod access;
pub mod client;
pub mod confine;
pub mod desk;
pub mod docker;
pub mod policy;
pub mod serve;
pub mod start;
pub mod verb;

pub use access::Access;
pub use client::{Client, HelperState, HostError};
pub use confine::{Confinement, Plan, confine};
pub use docker::DockerRule;
pub use host_sys::file::{let_group_through, own_directory};
pub use host_sys::names::name_of;
pub use host_sys::process::{bound_heaps, release_memory, step_back};
pub use host_sys::{Account, Exec, Fence, Filter, PeerCredentials, Reach, TcpBind};
pub use host_sys::{bind_listener, peer_credentials};
pub use policy::{FileRule, ListenerRule, Policy};
pub use serve::serve;
pub use start::{Launch, Start, find_account, start};
