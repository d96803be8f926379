//! Ordinary people in the shop: they browse, search, mistype a password, log in.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::client::Client;
use super::site::CREDENTIALS;

/// How many visitors there are.
pub(super) const VISITORS: u8 = 6;

/// What happened to the visitors.
#[derive(Debug, Default)]
pub(super) struct Tally {
    requests: AtomicU64,
    errors: AtomicU64,
}

impl Tally {
    /// Requests made.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Requests that did not get the page they should.
    pub(super) fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }
}

/// Visitors who browse until dismissed.
#[derive(Debug)]
pub(super) struct Visitors {
    tally: Arc<Tally>,
    dismissed: Arc<AtomicBool>,
    people: Vec<JoinHandle<()>>,
}

impl Visitors {
    /// Lets everybody in.
    pub(super) fn arrive(edge: SocketAddr) -> std::io::Result<Self> {
        let (tally, dismissed) = (Arc::new(Tally::default()), Arc::new(AtomicBool::new(false)));
        let people = (1..=VISITORS)
            .map(|number| {
                let (tally, dismissed) = (Arc::clone(&tally), Arc::clone(&dismissed));
                let mut client = Client::new(IpAddr::V4(Ipv4Addr::new(127, 0, 1, number)), edge);
                thread::Builder::new()
                    .name(format!("demo-visitor-{number}"))
                    .spawn(move || {
                        browse(&mut client, number, &tally, &dismissed);
                    })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            tally,
            dismissed,
            people,
        })
    }

    /// What happened so far.
    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Sends everybody home and waits until they are gone.
    pub(super) fn leave(self) -> Arc<Tally> {
        self.dismissed.store(true, Ordering::Release);
        for person in self.people {
            if person.join().is_err() {
                self.tally.errors.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.tally
    }
}

fn browse(client: &mut Client, number: u8, tally: &Tally, dismissed: &AtomicBool) {
    let item = format!("/item/{number}");
    // What a person does in a shop, and the status that each step should get.
    let steps: [(&str, &str, u16); 9] = [
        ("/", "", 200),
        ("/shop.css", "", 200),
        ("/favicon.ico", "", 404),
        ("/search?q=green+tea+%26+maps", "", 200),
        (&item, "", 200),
        ("/login", "", 200),
        ("/login", "user=ada&password=corect-horse", 200),
        ("/login", CREDENTIALS, 303),
        ("/basket", "item=7&count=1", 200),
    ];
    for round in 0.. {
        for (target, form, wanted) in steps {
            if dismissed.load(Ordering::Acquire) {
                return;
            }
            // Nobody logs in over and over.
            if target == "/login" && round % 8 != 0 {
                continue;
            }
            let status = if form.is_empty() {
                client.get(target)
            } else {
                client.post(target, form)
            };
            tally.requests.fetch_add(1, Ordering::Relaxed);
            if !matches!(status, Ok(code) if code == wanted) {
                tally.errors.fetch_add(1, Ordering::Relaxed);
            }
            thread::sleep(Duration::from_millis(40 + u64::from(number) * 7));
        }
    }
}
