use super::*;

mod bounds;
mod deny;

const ANN: &str = "203.0.113.10";
const EVE: &str = "198.51.100.66";
const SESSION: &str = "sid=0123456789abcdef0123";

/// One request and its answer.
#[derive(Clone, Copy)]
struct Visit<'a> {
    place: Whereabouts<'a>,
    cookie: &'a str,
    authorization: &'a str,
    answered: Answered<'a>,
    is_plain: bool,
    minute: u32,
}

/// Ann gets a page of administrators, without anything that says who she is.
fn visit() -> Visit<'static> {
    Visit {
        place: Whereabouts {
            site: "app",
            host: "app.example.org",
            client: ClientAddr::new(ANN.parse().unwrap()),
        },
        cookie: "",
        authorization: "",
        answered: Answered {
            method: b"GET",
            target: b"/admin",
            is_tls: true,
            accept: b"text/html,*/*;q=0.8",
            referer: b"",
            status: 200,
            location: b"",
        },
        is_plain: true,
        minute: 0,
    }
}

impl<'a> Visit<'a> {
    fn by(mut self, client: &str) -> Self {
        self.place.client = ClientAddr::new(client.parse().unwrap());
        self
    }

    fn on(mut self, host: &'a str) -> Self {
        self.place.host = host;
        self
    }

    fn with(mut self, cookie: &'a str) -> Self {
        self.cookie = cookie;
        self
    }

    fn authorized(mut self, value: &'a str) -> Self {
        self.authorization = value;
        self
    }

    fn method(mut self, method: &'a str) -> Self {
        self.answered.method = method.as_bytes();
        self
    }

    fn to(mut self, target: &'a str) -> Self {
        self.answered.target = target.as_bytes();
        self
    }

    fn accepting(mut self, accept: &'a str) -> Self {
        self.answered.accept = accept.as_bytes();
        self
    }

    fn referred(mut self, referer: &'a str) -> Self {
        self.answered.referer = referer.as_bytes();
        self
    }

    fn hears(mut self, status: u16) -> Self {
        self.answered.status = status;
        self
    }

    fn sent_to(mut self, location: &'a str) -> Self {
        self.answered.location = location.as_bytes();
        self.hears(302)
    }

    fn at(mut self, minute: u32) -> Self {
        self.minute = minute;
        self
    }

    /// Whether it is taken for a session's: when it comes, and when it is answered.
    fn go(&self, sessions: &Sessions) -> (bool, bool) {
        let some = |text: &'a str| (!text.is_empty()).then_some(text.as_bytes());
        let credentials = Credentials {
            authorization: some(self.authorization),
            cookies: some(self.cookie).into_iter(),
        };
        let now = Timestamp::from_unix_seconds(1_800_000_000 + i64::from(self.minute) * 60);
        let before = sessions.carried(&self.place, &credentials, now);
        let (place, answered) = (&self.place, &self.answered);
        let plain = || self.is_plain;
        let after = sessions.learn(place, &credentials, answered, before, plain, now);
        (before, after)
    }

    /// Whether a page that is not there counts as a session's for this visitor.
    fn is_exempt(self, sessions: &Sessions) -> bool {
        let (before, after) = self.to("/gone").hears(404).go(sessions);
        assert_eq!(before, after);
        after
    }
}

/// This visit, denied to two strangers.
fn denied_to_two(visit: Visit<'_>) -> Vec<Visit<'_>> {
    let by = |client| visit.by(client).with("lang=en; theme=dark").hears(401);
    vec![by("192.0.2.1"), by("192.0.2.2")]
}

/// What is known after these visits.
fn after(visits: &[Visit<'_>]) -> Sessions {
    let sessions = Sessions::default();
    for visit in visits {
        visit.go(&sessions);
    }
    sessions
}

/// `/admin` is known to be protected, and Ann is logged in.
fn logged_in() -> Sessions {
    let sessions = after(&denied_to_two(visit()));
    let proof = visit().with(SESSION).go(&sessions);
    assert_eq!(proof, (false, true), "the proof itself counts");
    sessions
}

#[test]
fn what_opens_a_page_that_others_are_denied_is_a_session() {
    let sessions = logged_in();
    let ann = visit().with(SESSION);
    assert!(ann.is_exempt(&sessions));
    for (what, visit) in [
        ("without the cookie", ann.with("")),
        ("another address", ann.by(EVE)),
        ("another host", ann.on("b.example.org")),
        ("another value", ann.with("sid=0123456789abcdef0124")),
        ("another name", ann.with("sod=0123456789abcdef0123")),
        ("as a header", ann.with("").authorized(SESSION)),
        ("half a day later", ann.at(12 * 60 + 1)),
    ] {
        assert!(!visit.is_exempt(&sessions), "DENY {what}");
    }
    let among = ann.with("theme=dark;sid=0123456789abcdef0123 ; _ga=GA1.2.1234567890.1");
    assert!(among.is_exempt(&sessions));
    let counters = sessions.counters();
    assert_eq!((counters.accepted, counters.protected), (1, 1));
}

#[test]
fn a_header_is_a_credential_like_a_cookie() {
    let sessions = after(&denied_to_two(visit()));
    let ann = visit().authorized("Basic YW5uOnRlYQ==");
    ann.go(&sessions);
    assert!(ann.is_exempt(&sessions));
    assert!(!ann.by(EVE).is_exempt(&sessions), "DENY");
    let wrong = visit().authorized("Basic YW5uOndyb25n");
    wrong.hears(401).go(&sessions);
    assert!(!wrong.is_exempt(&sessions), "DENY a wrong password");
}

#[test]
fn a_login_page_is_a_denial_as_much_as_401() {
    let strangers = ["192.0.2.1", "192.0.2.2"];
    let login = "https://app.example.org/users/login?next=/admin";
    let sessions = after(&strangers.map(|client| visit().by(client).sent_to(login)));
    let ann = visit().with(SESSION);
    ann.go(&sessions);
    assert!(ann.is_exempt(&sessions));
}

#[test]
fn a_proof_lasts_half_a_day_and_each_one_anew() {
    let sessions = logged_in();
    for hour in 1..40 {
        let ann = visit().with(SESSION).at(hour * 60);
        assert!(ann.is_exempt(&sessions), "{hour}");
        // others are denied it all the while, or the page would be forgotten
        ann.by(EVE).with("").hears(401).go(&sessions);
        ann.go(&sessions);
    }
}

#[test]
fn one_ipv6_network_is_one_client() {
    let by = |client| visit().by(client).hears(401);
    let sessions = after(&["2001:db8::1", "2001:db8::2"].map(by));
    let eve = visit().by(EVE).with(SESSION);
    let told = eve.go(&sessions);
    assert_eq!(told, (false, false), "DENY two addresses of one subscriber");
    by("2001:db8:0:1::1").go(&sessions);
    let ann = visit().by("2001:db8::77").with(SESSION);
    ann.go(&sessions);
    assert!(ann.by("2001:db8::78").is_exempt(&sessions));
}

#[test]
fn what_leads_to_a_login_is_told_by_its_address() {
    for (location, is) in [
        ("/login", true),
        ("/wp-login.php?redirect_to=%2F", true),
        ("/?do=login&id=start", true),
        ("./?_task=login", true),
        ("/index.php?title=Special:UserLogin", true),
        ("https://app.example.org/users/sign_in", true),
        ("https://auth.example.net/realms/x", true),
        ("//sso.example.net/", true),
        ("/oauth2/start?rd=/", true),
        ("/loginform", true),
        ("/accounts/authenticate", true),
        ("/Anmelden", true),
        ("", false),
        ("/", false),
        ("/author/1", false),
        ("/authors", false),
        ("/blogindex", false),
        ("/cash/1", false),
        ("/assorted", false),
        ("https://login.example.org/start", false),
        ("https://login.example.org:8443/start", false),
    ] {
        let host = if location.contains("//login") {
            "login.example.org"
        } else {
            "app.example.org"
        };
        let told = login::leads_to_login(location.as_bytes(), host);
        assert_eq!(told, is, "{location}");
    }
    // the host hides nothing that stands before it
    let hidden = b"/login?u=//app.example.org";
    assert!(login::leads_to_login(hidden, "app.example.org"), "DENY");
}
