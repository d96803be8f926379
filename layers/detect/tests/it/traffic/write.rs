//! The formats in which servers write what happened.

use core::time::Duration;

use vocab::Timestamp;

use super::shell::Said;
use super::web::{Hit, Note, user};
use super::{Dice, Server};

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

/// A moment in the parts in which logs write it.
struct Moment {
    civil: vocab::time::Civil,
    unix: i64,
    milliseconds: u32,
}

impl Moment {
    fn of(at: Timestamp) -> Self {
        Self {
            civil: at.civil(),
            unix: at.unix_seconds(),
            milliseconds: u32::try_from(at.unix_nanos().rem_euclid(1_000_000_000) / 1_000_000)
                .unwrap(),
        }
    }

    fn clock(&self) -> String {
        let civil = &self.civil;
        format!("{:02}:{:02}:{:02}", civil.hour, civil.minute, civil.second)
    }

    fn month(&self) -> &'static str {
        MONTHS[usize::from(self.civil.month) - 1]
    }

    /// `22/Nov/2026:12:00:00`
    fn common(&self) -> String {
        let (day, year) = (self.civil.day, self.civil.year);
        format!("{day:02}/{}/{year}:{}", self.month(), self.clock())
    }

    fn weekday(&self) -> &'static str {
        DAYS[usize::try_from(self.unix.div_euclid(86_400).rem_euclid(7)).unwrap()]
    }
}

fn later(begin: Timestamp, milliseconds: i64) -> Timestamp {
    begin.after(Duration::from_millis(u64::try_from(milliseconds).unwrap()))
}

/// A date of an access log in some zone.
fn zoned(dice: &mut Dice, at: Timestamp) -> String {
    let (name, minutes) = *dice.pick(&[
        ("+0000", 0),
        ("+0000", 0),
        ("+0100", 60),
        ("-0330", -210),
        ("+0545", 345),
    ]);
    let seconds = at.unix_seconds() + minutes * 60;
    let there = Moment::of(Timestamp::from_unix_seconds(seconds));
    format!("{} {name}", there.common())
}

/// What happened on a web server, as `server` logs it.
pub(super) fn web(
    server: Server,
    dice: &mut Dice,
    begin: Timestamp,
    acts: &[(i64, Hit)],
) -> Vec<Vec<u8>> {
    let mut floor = begin;
    let mut lines = Vec::with_capacity(acts.len());
    for (at, hit) in acts {
        let at = later(begin, *at).max(floor);
        let line = match (server, hit.note) {
            (Server::Nginx | Server::Crawled, Note::Access | Note::Broken) => nginx(dice, at, hit),
            (Server::Nginx | Server::Crawled, _) => nginx_error(dice, at, hit),
            (Server::Haproxy, _) => haproxy(dice, at, hit),
            (_, Note::Access) => apache(dice, at, hit),
            _ => {
                // It writes fractions here and none elsewhere: nothing may seem earlier.
                let second = Timestamp::from_unix_seconds(at.unix_seconds() + 1);
                floor = second;
                apache_error(dice, at, hit)
            }
        };
        lines.push(damage(dice, hit.note == Note::Broken, line));
    }
    lines
}

/// Breaks a line that is to be broken, and writes some in an encoding of old.
fn damage(dice: &mut Dice, breaks: bool, line: String) -> Vec<u8> {
    let mut bytes = line.into_bytes();
    if breaks {
        match dice.below(4) {
            0 => bytes.truncate(dice.index(bytes.len())),
            1 => {
                let at = dice.index(bytes.len());
                bytes[at] = 0;
            }
            2 => bytes = b"\x16\x03\x01 \xff\xfe no line of any log".to_vec(),
            _ => {
                let at = dice.index(bytes.len());
                bytes[at] = 0xe9;
            }
        }
    }
    bytes.retain(|byte| *byte != b'\n' && *byte != b'\r');
    bytes
}

fn nginx(dice: &mut Dice, at: Timestamp, hit: &Hit) -> String {
    let host = if dice.percent(30) {
        format!("{} ", hit.host)
    } else {
        String::new()
    };
    let user = if dice.percent(2) { user(dice) } else { "-" };
    let ingress = if dice.percent(5) {
        " 512 0.004 [shop-web-80] []"
    } else {
        ""
    };
    format!(
        "{host}{} - {user} [{}] \"{} {} HTTP/{}\" {} {} \"{}\" \"{}\"{ingress}",
        hit.address,
        zoned(dice, at),
        hit.method,
        hit.target,
        dice.pick(&["1.1", "2.0", "1.0"]),
        hit.status,
        dice.below(9_000),
        hit.referer,
        hit.agent,
    )
}

fn nginx_error(dice: &mut Dice, at: Timestamp, hit: &Hit) -> String {
    let moment = Moment::of(at);
    let civil = &moment.civil;
    let user = user(dice);
    let words = match hit.note {
        Note::WrongPassword => format!("user \"{user}\": password mismatch"),
        Note::NoSuchUser => format!("user \"{user}\" was not found in \"/etc/nginx/htpasswd\""),
        Note::Limited => format!(
            "limiting requests, excess: {}.5 by zone \"one\"",
            dice.below(9)
        ),
        _ => "access forbidden by rule".to_owned(),
    };
    format!(
        "{}/{:02}/{:02} {} [error] 28#28: *{} {words}, client: {}, server: {}, request: \"{} {} HTTP/1.1\", host: \"{}\"",
        civil.year,
        civil.month,
        civil.day,
        moment.clock(),
        dice.below(90_000),
        hit.address,
        hit.host,
        hit.method,
        hit.target,
        hit.host,
    )
}

fn apache(dice: &mut Dice, at: Timestamp, hit: &Hit) -> String {
    let host = match dice.below(3) {
        0 => format!("{}:443 ", hit.host),
        1 => format!("{} ", hit.host),
        _ => String::new(),
    };
    let head = format!(
        "{host}{} - - [{}] \"{} {} HTTP/1.1\" {} {}",
        hit.address,
        zoned(dice, at),
        hit.method,
        hit.target,
        hit.status,
        dice.pick(&["-", "0", "5120"]),
    );
    if dice.percent(5) {
        return head;
    }
    format!("{head} \"{}\" \"{}\"", hit.referer, hit.agent)
}

fn apache_error(dice: &mut Dice, at: Timestamp, hit: &Hit) -> String {
    let moment = Moment::of(at);
    let (user, target) = (user(dice), &hit.target);
    let (module, words) = match hit.note {
        Note::WrongPassword => (
            "auth_basic",
            format!(
                "AH01617: user {user}: authentication failure for \"{target}\": Password Mismatch"
            ),
        ),
        Note::NoSuchUser => (
            "auth_basic",
            format!("AH01618: user {user} not found: {target}"),
        ),
        Note::Denied => (
            "authz_core",
            "AH01630: client denied by server configuration: /srv/www/private".to_owned(),
        ),
        _ => (
            "core",
            format!(
                "AH00126: Invalid URI in request {} {target} HTTP/1.1",
                hit.method
            ),
        ),
    };
    format!(
        "[{} {} {:02} {}.{:06} {}] [{module}:error] [pid 811:tid 1404] [client {}:{}] {words}",
        moment.weekday(),
        moment.month(),
        moment.civil.day,
        moment.clock(),
        moment.milliseconds * 1_000,
        moment.civil.year,
        hit.address,
        1_024 + dice.below(60_000),
    )
}

fn haproxy(dice: &mut Dice, at: Timestamp, hit: &Hit) -> String {
    let moment = Moment::of(at);
    let port = 1_024 + dice.below(60_000);
    let head = format!(
        "{} haproxy[1234]: {}:{port} [{}.{:03}] web~ app/app{}",
        header(at, "lb1", false),
        hit.address,
        moment.common(),
        moment.milliseconds,
        dice.below(3),
    );
    if dice.percent(6) {
        return format!("{head} 1/0/{} 1024 -- 5/5/1/0/0 0/0", dice.below(5_000));
    }
    let headers = match dice.below(3) {
        0 => format!("{{{}|{}}} ", hit.host, hit.agent),
        1 => format!("{{{}}} {{text/html}} ", hit.host),
        _ => String::new(),
    };
    let request = match (hit.note, dice.below(8)) {
        (Note::Broken, _) => "<BADREQ>".to_owned(),
        (_, 0) => format!("{} https://{}{} HTTP/2.0", hit.method, hit.host, hit.target),
        _ => format!("{} {} HTTP/1.1", hit.method, hit.target),
    };
    format!(
        "{head} 0/0/1/{}/{} {} {} - - ---- 3/3/0/0/0 0/0 {headers}\"{request}\"",
        dice.below(90),
        dice.below(900),
        hit.status,
        dice.below(9_000),
    )
}

/// A syslog line's beginning: of old, or as rsyslog writes it now.
fn header(at: Timestamp, host: &str, modern: bool) -> String {
    let moment = Moment::of(at);
    let civil = &moment.civil;
    if modern {
        return format!(
            "{}-{:02}-{:02}T{}.{:06}+00:00 {host}",
            civil.year,
            civil.month,
            civil.day,
            moment.clock(),
            moment.milliseconds * 1_000,
        );
    }
    format!(
        "{} {:>2} {} {host}",
        moment.month(),
        civil.day,
        moment.clock()
    )
}

/// What sshd and others said; half way through, the host's syslog is a newer one.
pub(super) fn shell(dice: &mut Dice, begin: Timestamp, acts: &[(i64, Said)]) -> Vec<Vec<u8>> {
    let turn = acts
        .get(acts.len() / 2)
        .map_or(0, |(at, _)| at / 1_000 * 1_000);
    let lines = acts.iter().map(|(at, said)| {
        let header = header(later(begin, *at), "web1", *at >= turn);
        let line = match said.program {
            "kernel" => format!("{header} kernel: {}", said.words),
            program => format!("{header} {program}[{}]: {}", dice.below(90_000), said.words),
        };
        let breaks = dice.below(500) == 0;
        damage(dice, breaks, line)
    });
    lines.collect()
}
