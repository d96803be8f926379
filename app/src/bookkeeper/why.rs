//! Why an address is barred, or is not, and the ways out.

use book::AllowItem;
use vocab::time::Span;
use vocab::{Alert, Cidr, Decision, Kind, Origin, Timestamp};

use super::{Bookkeeper, neighbours};
use crate::control::protocol::{DecisionView, Remedy, WhyView};
use crate::now;
use crate::term::counted;

impl Bookkeeper {
    /// Why an address, a range or a decision's subject is barred, or is not.
    ///
    /// # Errors
    /// A sentence when the subject is not understood.
    pub fn why(&self, subject: &str) -> Result<WhyView, String> {
        let time = now();
        let turned = self.recent.by_reference(subject);
        let subject = turned
            .as_ref()
            .map_or_else(|| subject.to_owned(), |turned| turned.client.to_string());
        let subject = subject.as_str();
        let desk = self.lock();
        let range = match subject.parse::<Cidr>() {
            Ok(range) => range,
            Err(_) => desk.find(subject, time).first().and_then(|one| one.cidr()).ok_or_else(|| {
                format!("'{subject}' is neither an address, a range, the id of a decision in force, nor the reference \
                     of a recent refusal. The access log holds older references.")
            })?,
        };
        let spared = desk.policy.protected.overlapping(range);
        let allowing = desk.book.allowing(range, time).cloned();
        let decisions: Vec<DecisionView> = desk
            .book
            .covering(range, time)
            .into_iter()
            .map(|one| desk.view(one, time))
            .collect();
        drop(desk);
        let alerts = self.alerts(20, Some(&range.to_string()));
        let verdict = Verdict {
            range,
            spared,
            allowing,
            decisions: &decisions,
            alerts: &alerts,
            time,
        };
        let (mut sentence, barred, remedies) =
            (verdict.sentence(), verdict.barred(), verdict.remedies());
        if let Some(turned) = turned {
            sentence = format!(
                "{} was refused with {} by {} at {}. {sentence}",
                turned.client,
                turned.status,
                turned.rule,
                turned.time.to_the_second()
            );
        }
        Ok(WhyView {
            subject: range.to_string(),
            sentence,
            barred,
            decisions,
            alerts,
            remedies,
        })
    }
}

/// What `why` has to go by.
struct Verdict<'a> {
    range: Cidr,
    spared: Option<(Cidr, book::Role)>,
    allowing: Option<AllowItem>,
    decisions: &'a [DecisionView],
    alerts: &'a [Alert],
    time: Timestamp,
}

impl Verdict<'_> {
    /// The decision that restrains it now.
    fn restraint(&self) -> Option<&Decision> {
        let free = self.spared.is_some() || self.allowing.is_some();
        let first = self.decisions.first().map(|view| &view.decision);
        first.filter(|one| !free && one.kind != Kind::Observe)
    }

    fn barred(&self) -> bool {
        self.restraint().is_some()
    }

    fn cause(&self, decision: &Decision) -> Option<&Alert> {
        self.alerts
            .iter()
            .find(|alert| alert.scenario == decision.reason)
    }

    fn sentence(&self) -> String {
        let range = self.range;
        if let Some((_, role)) = self.spared {
            return format!("{range} is never barred: it is {role}.");
        }
        if let Some(item) = &self.allowing {
            return format!(
                "{range} is allowed whatever it does (from: {}), because: {}.",
                item.list, item.why
            );
        }
        let Some(decision) = self.decisions.first().map(|view| &view.decision) else {
            return match self.alerts.first() {
                Some(alert) if alert.exempt.is_some() => format!(
                    "{range} is not barred. It was last noticed by {} at {}, and is exempt: {}.",
                    alert.scenario,
                    alert.stop_at.to_the_second(),
                    alert.exempt.as_deref().unwrap_or_default()
                ),
                Some(alert) => format!(
                    "{range} is not barred. It was last noticed by {} at {}.",
                    alert.scenario,
                    alert.stop_at.to_the_second()
                ),
                None => format!("{range} is not barred, and nothing was noticed about it."),
            };
        };
        let deed = match decision.kind {
            Kind::Ban => "barred",
            Kind::Challenge => "challenged",
            Kind::Throttle => "throttled",
            Kind::Observe => "only watched, not barred",
            Kind::Other(_) => "marked for other enforcers",
        };
        let left = Span(decision.until.since(self.time));
        if let Some(told) = neighbours::told(decision) {
            return format!(
                "{range} is {deed} for another {left} with all of {}, because of its neighbours: {told}. {}",
                decision.value,
                match self.alerts.len() {
                    0 => "Nothing was noticed about itself.".to_owned(),
                    seen => format!("About itself, {} raised.", are(seen)),
                }
            );
        }
        let because = match (&decision.origin, self.cause(decision)) {
            (Origin::Detection, Some(alert)) => format!(
                "{} saw {} within {}",
                alert.scenario,
                counted(
                    usize::try_from(alert.events_count).unwrap_or(usize::MAX),
                    "event"
                ),
                Span(alert.stop_at.since(alert.start_at))
            ),
            (Origin::Detection, None) => format!("{} asked for it", decision.reason),
            (origin, _) => format!("{origin} decided so: {}", decision.reason),
        };
        format!("{range} is {deed} for another {left}, because {because}.")
    }

    fn remedies(&self) -> Vec<Remedy> {
        let Some(decision) = self.restraint() else {
            return Vec::new();
        };
        let short: String = decision.id.to_string().chars().take(8).collect();
        if neighbours::told(decision).is_some() {
            return neighbours::remedies(decision, self.range, &short);
        }
        let mut remedies = vec![
            Remedy {
                does: "Undo this decision".to_owned(),
                command: format!("ringwall decision delete {short}"),
            },
            Remedy {
                does: "Never again for this source".to_owned(),
                command: format!("ringwall allowlist add {} --reason \"…\"", decision.value),
            },
        ];
        if decision.origin == Origin::Detection {
            remedies.push(Remedy {
                does: "Switch the rule off, or with '--site HOST' where it is wrong".to_owned(),
                command: format!("ringwall hub tune {} --off", decision.reason),
            });
        }
        remedies
    }
}

fn are(alerts: usize) -> String {
    let verb = if alerts == 1 { "was" } else { "were" };
    format!("{} {verb}", counted(alerts, "alert"))
}
