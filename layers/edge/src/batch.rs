//! Answers that are known and not sent yet, told to the observer several at a time.
//!
//! For: keeping detection warm. Its tables and code are other ones than those that carry
//! bytes, and each of the two pushes the other out of the processor's caches; taken in
//! turns, a look at a request cost half as much again as taken together. So while
//! other exchanges are under way, an answer waits until all tasks that were ready have
//! had their turn; then the observer hears of all of them, and all are sent.
//!
//! Refuses: to be sent before it was heard. Assumes: tasks run in the order in which
//! they were woken, so that the batch's own task comes after those that were ready
//! before. An exchange that is alone on its core waits for nobody. On failure: a batch
//! that is full is told at once.

use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::num::NonZeroU64;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::borrow::Cow;
use std::rc::Rc;

use vocab::{ClientAddr, HttpEvent, Login, Timestamp};

use crate::local::Core;

/// Answers that wait at most; more are told at once.
const MOST: usize = 64;
/// Bytes of their texts that wait at most.
const MOST_BYTES: usize = 64 * 1024;

/// The answers of a core that wait to be heard.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    waiting: RefCell<Waiting>,
    /// Batches that were heard.
    heard: Cell<u64>,
    /// Exchanges under way.
    exchanges: Cell<usize>,
    /// Wakes the task that tells.
    teller: RefCell<Option<Waker>>,
}

#[derive(Debug, Default)]
struct Waiting {
    answers: Vec<Waits>,
    texts: String,
    senders: Vec<Waker>,
}

/// An event whose texts lie one after the other in [`Waiting::texts`].
#[derive(Debug)]
struct Waits {
    time: Timestamp,
    client: ClientAddr,
    version: u8,
    status: u16,
    body_bytes: Option<u64>,
    tls: bool,
    request_id: u64,
    session: bool,
    credentials: Option<NonZeroU64>,
    foreign: bool,
    login: Option<Login>,
    /// Lengths of site, method, target, host, user agent and referer.
    lengths: [usize; 6],
}

/// An answer that was not heard yet; ready when it was.
#[derive(Debug)]
pub(crate) struct Unheard<'b> {
    batch: &'b Batch,
    heard_before: u64,
    registered: bool,
}

impl Future for Unheard<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let batch = self.batch;
        if batch.heard.get() != self.heard_before {
            return Poll::Ready(());
        }
        if !self.registered {
            self.registered = true;
            let mut waiting = batch.waiting.borrow_mut();
            waiting.senders.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

/// An exchange under way, counted until it is dropped.
#[derive(Debug)]
pub(crate) struct UnderWay<'b>(&'b Batch);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.exchanges.set(self.0.exchanges.get() - 1);
    }
}

impl Waiting {
    fn add(&mut self, event: &HttpEvent<'_>) {
        let texts = [
            &event.site,
            &event.method,
            &event.target,
            &event.host,
            &event.user_agent,
            &event.referer,
        ];
        for text in texts {
            self.texts.push_str(text);
        }
        self.answers.push(Waits {
            time: event.time,
            client: event.client,
            version: event.version,
            status: event.status,
            body_bytes: event.body_bytes,
            tls: event.tls,
            request_id: event.request_id,
            session: event.session,
            credentials: event.credentials,
            foreign: event.foreign,
            login: event.login,
            lengths: texts.map(|text| text.len()),
        });
    }

    fn is_full(&self) -> bool {
        self.answers.len() >= MOST || self.texts.len() >= MOST_BYTES
    }

    /// Hands out every event, in the order in which they came.
    fn each(&self, mut hear: impl FnMut(&HttpEvent<'_>)) {
        let mut rest = self.texts.as_str();
        for answer in &self.answers {
            let [site, method, target, host, user_agent, referer] = answer.lengths.map(|length| {
                let (text, behind) = rest.split_at_checked(length).unwrap_or_default();
                rest = behind;
                Cow::Borrowed(text)
            });
            hear(&HttpEvent {
                time: answer.time,
                site,
                client: answer.client,
                method,
                target,
                version: answer.version,
                host,
                status: answer.status,
                user_agent,
                referer,
                body_bytes: answer.body_bytes,
                tls: answer.tls,
                request_id: answer.request_id,
                session: answer.session,
                credentials: answer.credentials,
                foreign: answer.foreign,
                login: answer.login,
            });
        }
    }

    fn clear(&mut self) {
        self.answers.clear();
        self.texts.clear();
        if self.texts.capacity() > MOST_BYTES {
            self.texts = String::new();
        }
    }
}

impl Core {
    /// Counts an exchange in.
    pub(crate) fn exchange_begins(&self) -> UnderWay<'_> {
        self.batch.exchanges.set(self.batch.exchanges.get() + 1);
        UnderWay(&self.batch)
    }

    /// Tells the observer of an answer: now, when no other exchange is under way, else
    /// together with those that are ready; then what is returned is waited for.
    #[must_use = "an answer is not sent before it was heard"]
    pub(crate) fn tell(&self, event: &HttpEvent<'_>) -> Option<Unheard<'_>> {
        let batch = &self.batch;
        if batch.exchanges.get() <= 1 || !self.shared.observer.gathers() {
            // Whatever waits is older.
            self.tell_waiting();
            self.hear(event);
            return None;
        }
        let mut waiting = batch.waiting.borrow_mut();
        waiting.add(event);
        let (first, full) = (waiting.answers.len() == 1, waiting.is_full());
        drop(waiting);
        if full {
            self.tell_waiting();
            return None;
        }
        if first && let Some(teller) = &*batch.teller.borrow() {
            teller.wake_by_ref();
        }
        Some(Unheard {
            batch,
            heard_before: batch.heard.get(),
            registered: false,
        })
    }

    /// An observer that panics costs its own answer's hearing and nobody else's.
    fn hear(&self, event: &HttpEvent<'_>) {
        let observer = &self.shared.observer;
        let heard = std::panic::AssertUnwindSafe(|| observer.http(self.number, event));
        if std::panic::catch_unwind(heard).is_err() {
            self.counters.panics.one();
        }
    }

    /// Tells the observer of all answers that wait, and has them sent.
    pub(crate) fn tell_waiting(&self) {
        let batch = &self.batch;
        let mut told = batch.waiting.take();
        batch.heard.set(batch.heard.get().wrapping_add(1));
        told.each(|event| self.hear(event));
        told.clear();
        told.senders.drain(..).for_each(Waker::wake);
        // Its memory serves the next batch, unless one has begun meanwhile.
        let mut waiting = batch.waiting.borrow_mut();
        if waiting.answers.is_empty() && waiting.senders.is_empty() {
            *waiting = told;
        }
    }
}

/// The task of a core that tells what waits, after all that were ready before it.
pub(crate) async fn teller(core: Rc<Core>) {
    poll_fn(|cx| {
        let mut teller = core.batch.teller.borrow_mut();
        if !teller
            .as_ref()
            .is_some_and(|known| known.will_wake(cx.waker()))
        {
            *teller = Some(cx.waker().clone());
        }
        drop(teller);
        core.tell_waiting();
        Poll::<()>::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use vocab::LoginBy;

    fn event(number: u32) -> HttpEvent<'static> {
        let text = |what: &str| Cow::Owned(format!("{what}{}", "\u{e4}".repeat(number as usize)));
        HttpEvent {
            time: Timestamp::from_unix_seconds(i64::from(number)),
            site: text("site"),
            client: ClientAddr::new([203, 0, 113, 9].into()),
            method: text("GET"),
            target: text("/"),
            version: 11,
            host: text("host"),
            status: 200,
            user_agent: Cow::Borrowed(""),
            referer: text("https://"),
            body_bytes: number.is_multiple_of(2).then_some(7),
            tls: true,
            request_id: u64::from(number),
            session: number.is_multiple_of(3),
            credentials: NonZeroU64::new(u64::from(number)),
            foreign: number.is_multiple_of(5),
            login: (number > 2).then_some(Login {
                account: 1,
                guess: None,
                by: LoginBy::Form,
            }),
        }
    }

    #[test]
    fn what_waits_is_told_as_it_was() {
        let mut waiting = Waiting::default();
        let events: Vec<_> = (0..20).map(event).collect();
        for _ in 0..2 {
            events.iter().for_each(|event| waiting.add(event));
            let mut told = Vec::new();
            waiting.each(|event| told.push(event.clone().into_owned()));
            assert_eq!(told, events);
            waiting.clear();
        }
        assert_eq!(waiting.answers.len(), 0);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut waiting = Waiting::default();
        while !waiting.is_full() {
            waiting.add(&event(1));
        }
        assert_eq!(waiting.answers.len(), MOST);
        waiting.clear();
        waiting.add(&event(20_000));
        assert!(waiting.is_full(), "long texts fill it");
        waiting.clear();
        assert!(
            waiting.texts.capacity() <= MOST_BYTES,
            "and leave nothing behind"
        );
    }
}
