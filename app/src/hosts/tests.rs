use std::sync::mpsc::channel;

use super::*;

const SOON: Duration = Duration::from_secs(20);

/// A resolver that tests write, and that says what it was asked.
#[derive(Default)]
struct Zone {
    hosts: Mutex<HashMap<String, Vec<&'static str>>>,
    asked: Mutex<Vec<String>>,
}

impl Zone {
    fn set(&self, name: &str, addresses: &[&'static str]) {
        let mut hosts = self.hosts.lock().unwrap();
        hosts.insert(name.to_owned(), addresses.to_vec());
    }

    fn times(&self, name: &str) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|asked| *asked == name).count()
    }
}

impl Names for Zone {
    fn answer(&self, query: &Query) -> Answer {
        let Query::Host(name) = query else {
            return Answer::new();
        };
        self.asked.lock().unwrap().push(name.to_string());
        let hosts = self.hosts.lock().unwrap();
        let found = hosts.get(&**name).into_iter().flatten();
        found.map(|address| (*address).into()).collect()
    }
}

fn boxed(names: &[&str]) -> Vec<Box<str>> {
    names.iter().map(|name| (*name).into()).collect()
}

/// Waits for what is there soon, and says what is there.
fn soon(view: &dyn HostsView, name: &str, want: Option<&[&str]>) {
    let until = Instant::now() + SOON;
    loop {
        let found = view.addresses(name);
        let found = found.as_deref().map(|answer| {
            let answer = answer.iter();
            answer.map(|one| &**one).collect::<Vec<&str>>()
        });
        if found.as_deref() == want {
            return;
        }
        assert!(Instant::now() < until, "{name}: {found:?}, not {want:?}");
        std::thread::yield_now();
    }
}

#[test]
fn named_hosts_are_looked_up_kept_fresh_and_forgotten_with_their_rules() {
    let zone = Arc::new(Zone::default());
    zone.set("home.example.org", &["203.0.113.7"]);
    let hosts = Hosts::fresh_for(Arc::clone(&zone) as _, Duration::from_millis(1));
    let view = hosts.view();
    assert_eq!(view.addresses("home.example.org"), None, "nobody asked yet");
    hosts.want(&boxed(&["home.example.org"]));
    soon(&*view, "home.example.org", Some(&["203.0.113.7"]));
    zone.set("home.example.org", &["203.0.113.8", "2001:db8::8"]);
    let fresh = &["2001:db8::8", "203.0.113.8"];
    soon(&*view, "home.example.org", Some(fresh));
    hosts.want(&boxed(&["office.example.org"]));
    soon(&*view, "office.example.org", Some(&[]));
    soon(&*view, "home.example.org", None);
}

#[test]
fn a_resolver_that_fails_for_a_moment_takes_no_address_away_and_for_long_it_does() {
    let (table, start) = (Table::default(), Instant::now());
    let view = View(Arc::clone(&table));
    let at = |seconds| start + Duration::from_secs(seconds);
    let home = || Answer::from(["203.0.113.7".into()]);
    learn(&table, "home", home(), at(0));
    learn(&table, "home", home(), at(600));
    let hour = KEEP.as_secs();
    learn(&table, "home", Answer::new(), at(600 + hour - 1));
    assert_eq!(*view.addresses("home").unwrap(), home());
    learn(&table, "home", Answer::new(), at(600 + hour));
    assert_eq!(*view.addresses("home").unwrap(), Answer::new());
}

#[test]
fn only_so_many_names_are_looked_up() {
    let zone = Arc::new(Zone::default());
    let hosts = Hosts::new(Arc::clone(&zone) as _);
    let many: Vec<Box<str>> = (0..=MOST).map(|one| format!("h{one}").into()).collect();
    hosts.want(&many);
    let last = format!("h{}", MOST - 1);
    soon(&*hosts.view(), &last, Some(&[]));
    assert_eq!(zone.times(&format!("h{MOST}")), 0);
}

#[test]
fn its_thread_ends_with_it() {
    /// Tells of its end.
    struct Ends(#[expect(dead_code, reason = "it is dropped")] std::sync::mpsc::Sender<()>);
    impl Names for Ends {
        fn answer(&self, _: &Query) -> Answer {
            Answer::new()
        }
    }
    let (alive, ended) = channel();
    let hosts = Hosts::new(Arc::new(Ends(alive)));
    hosts.want(&boxed(&["home.example.org"]));
    soon(&*hosts.view(), "home.example.org", Some(&[]));
    drop(hosts);
    let end = ended.recv_timeout(SOON);
    assert_eq!(end, Err(RecvTimeoutError::Disconnected));
}
