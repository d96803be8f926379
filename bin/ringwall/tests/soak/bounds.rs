//! What must be true of the run when it is over.

use std::time::Duration;

use crate::ground::{Lines, WRK_CONNECTIONS};
use crate::{LONG, Measured, RATE};

const MEGABYTE: i64 = 1024;
/// So many of the latest alerts and refusals are kept for who asks about them: memory grows
/// until there were as many (`app`'s `bookkeeper::recent`).
const ALERTS_KEPT: u64 = 256;
const REFUSALS_KEPT: u64 = 4_096;
/// What they take, in KiB: as measured, and the database's pages with them.
const LISTS: i64 = 3 * MEGABYTE;
/// A run that is so long fills them in its first half, or its load is not what it was.
const FILLS: Duration = Duration::from_secs(3_600);
/// The most that wrk asks for in a second.
const WRK_RATE: u64 = WRK_CONNECTIONS * 10;

fn median(mut all: Vec<i64>) -> i64 {
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or(0)
}

impl Measured {
    fn is_long(&self) -> bool {
        self.length >= LONG
    }

    /// The first sample at which the lists of what was last are as long as they become.
    pub fn full(&self) -> Option<usize> {
        let full = |one: &crate::Sample| one.alerts >= ALERTS_KEPT && one.refusals >= REFUSALS_KEPT;
        let at = self.samples.iter().position(full);
        at.filter(|at| at * 2 <= self.samples.len())
    }

    /// Memory after warming up, and at the end: medians of a sixth of the samples each, in
    /// KiB; of the edge and of the helper.
    ///
    /// Some lists are bounded and are filled by what happens, at this load in a quarter of an
    /// hour: memory is flat from then on, and says nothing of leaks before. A run that fills
    /// them is warm when they are full; a run of ten minutes after a sixth of it, with room for
    /// them; the short run after three reloads, since each holds two sets of
    /// rules.
    pub fn memory(&self) -> [(&'static str, i64, i64); 2] {
        let sixth = (self.samples.len() / 6).max(1);
        let warm = match self.full() {
            Some(full) => full.max(sixth),
            None if self.is_long() => sixth,
            None => sixth * 4,
        };
        let part = |from: usize, of: fn(&crate::Sample) -> i64| {
            median(self.samples.iter().skip(from).take(sixth).map(of).collect())
        };
        let end = self.samples.len() - sixth;
        let own = |one: &crate::Sample| one.memory;
        let helper = |one: &crate::Sample| one.helper_memory;
        [
            ("edge", part(warm, own), part(end, own)),
            ("helper", part(warm, helper), part(end, helper)),
        ]
    }

    /// Memory does not grow once tables and caches are warm. A short run only shows that
    /// nothing grows by more than a few sets of rules.
    pub fn flat(&self) {
        let full = self.full().is_some();
        assert!(
            full || self.length < FILLS,
            "the lists that fill up were not full by half of the time: the load is too small"
        );
        for (who, warm, end) in self.memory() {
            let most = match (who, self.is_long()) {
                ("helper", true) => MEGABYTE,
                ("helper", false) => 4 * MEGABYTE,
                (_, true) => 8 * MEGABYTE,
                (_, false) => 32 * MEGABYTE,
            };
            assert!(
                end - warm < most,
                "the memory of the {who} grew from {warm} KiB to {end} KiB"
            );
            // Who has not filled the lists has room for what they still take.
            let grown = end - warm - if full { 0 } else { LISTS };
            assert!(
                !self.is_long() || who == "helper" || grown * 20 < warm,
                "the memory of the {who} grew by more than 5 %: {warm} KiB to {end} KiB"
            );
        }
    }

    /// What was begun has ended.
    pub fn ended(&self) {
        let (rest, before) = (&self.rest, &self.before);
        assert!(
            rest.threads <= before.threads && rest.tasks <= before.tasks,
            "{rest:?}, before {before:?}"
        );
        let busy = self.samples.iter().map(|one| one.tasks).max();
        assert!(
            busy > Some(before.tasks),
            "the count of tasks says nothing: {busy:?} under load, {} before",
            before.tasks
        );
        for gauge in [
            "edge_tasks",
            "edge_connections_open",
            "edge_connections_idle",
            "edge_tunnels_open",
        ] {
            assert_eq!(self.metrics.of_name(gauge), 0, "{gauge}");
        }
        for counter in [
            "edge_panics_total",
            "edge_log_dropped_total",
            "detect_errors_total",
        ] {
            assert_eq!(self.metrics.of_name(counter), 0, "{counter}");
        }
        assert_eq!(self.metrics.of_name("store_healthy"), 1);
    }

    /// Refusals before a request was read, which have no line in the log.
    fn at_the_door(&self) -> u64 {
        let answers: u64 = ["2xx", "3xx", "4xx", "5xx"]
            .iter()
            .map(|class| {
                self.metrics
                    .of_name(&format!("edge_answers_total{{class=\"{class}\"}}"))
            })
            .sum();
        let lines = self.log.lines;
        assert!(answers >= lines, "{answers} answers, {lines} lines");
        answers - lines
    }

    /// What was counted at one place is what was counted at the others.
    pub fn adds_up(&self) {
        let of = |name: &str| self.metrics.of_name(name);
        let refused = |by: &str| of(&format!("edge_refused_total{{by=\"{by}\"}}"));
        let log = &self.log;
        let heard = of("edge_requests_total") + refused("codec");
        assert_eq!(
            heard, log.lines,
            "every request has its line in the access log"
        );
        // A barred source is told so when it connects, and never asked what it wants.
        let spared = refused("book") + refused("limit") + refused("route");
        assert_eq!(
            spared,
            self.at_the_door() + log.spared,
            "refusals that are no events"
        );
        assert_eq!(
            of("detect_events_total") + log.spared,
            log.lines,
            "the others were looked at"
        );
        assert_eq!(
            of("book_entries_total"),
            self.rows,
            "what the book wrote stands in the store"
        );
        assert_eq!(
            of("book_volatile") + of("store_queued"),
            0,
            "nothing waits for the disk"
        );
    }

    /// What clients counted is what the access log has of them.
    pub fn agree(&self) {
        let log = &self.log;
        for (who, told, lines) in [
            ("visitors", &self.visitors, log.visitors.all),
            (
                "attackers",
                &self.attackers,
                log.attackers.all + self.at_the_door(),
            ),
        ] {
            assert!(
                (told.all()..=told.all() + told.lost).contains(&lines),
                "{who} counted {told:?}, the log has {lines} lines"
            );
        }
        // wrk hangs up on what is under way when its time is over
        assert!(
            (self.wrk..=self.wrk + WRK_CONNECTIONS).contains(&log.wrk.all),
            "wrk counted {}, the log has {}",
            self.wrk,
            log.wrk.all
        );
        // a page whose site dies before all of it was sent is begun with 200, and lost
        let (got, lost) = (self.visitors.of("200"), self.visitors.lost);
        assert!(
            (got..=got + lost).contains(&log.visitors.good),
            "visitors got {got} pages and lost {lost}, the log has {}",
            log.visitors.good
        );
    }

    /// The site was there for everybody it is meant for, except while it was away, and it
    /// came back for them each time; attackers were refused.
    pub fn served(&self) {
        let (log, outages) = (&self.log, &self.outages);
        assert!(outages.number > 0, "the site never went away");
        let left = self.length.saturating_sub(outages.over_at).as_secs();
        let length = self.length.as_secs();
        for (who, lines, lost, rate) in [
            ("visitors", log.visitors, self.visitors.lost, RATE),
            ("wrk", log.wrk, 0, WRK_RATE),
        ] {
            let Lines {
                good,
                good_at_last,
                failed,
                ..
            } = lines;
            let reach = outages.reach(rate);
            assert!(
                failed + lost <= reach,
                "{who}: {failed} failed and {lost} lost, but only {reach} met an outage: {outages:?}"
            );
            assert!(
                good * 3 >= length * rate,
                "{who}: {good} pages in {length} s, at {rate} a second"
            );
            assert!(
                good_at_last * 3 >= left * rate,
                "{who}: {good_at_last} pages in the {left} s after the last outage"
            );
        }
        let good = log.visitors.good + log.wrk.good;
        assert!(
            log.passed >= good,
            "{good} pages, but only {} requests reached the site",
            log.passed
        );
        let spoilt = self.visitors.all() - self.visitors.of("200") - self.visitors.of("502");
        assert_eq!(spoilt, 0, "visitors got {:?}", self.visitors);
        self.attackers_were_refused();
    }

    fn attackers_were_refused(&self) {
        let told = &self.attackers;
        assert!(
            (told.all() + told.lost) * 3 >= self.length.as_secs() * RATE,
            "few attackers came: {told:?}"
        );
        // Every twenty seconds all are let go, and whoever is let go is unheard of for as long
        // as the rules are silent after an alert, mostly five minutes: more passes, the longer
        // the run is.
        let share = if self.is_long() { 10 } else { 4 };
        assert!(
            told.of("403") * share >= told.all(),
            "few attackers were refused: {told:?}"
        );
        // a ban closes what is open, so each may cost its source one answer
        let alerts = self.metrics.of_name("detect_alerts_total");
        let reach = self.outages.reach(RATE);
        assert!(
            told.lost <= alerts + reach,
            "{told:?}, with {alerts} alerts and {reach} that met an outage"
        );
    }
}
