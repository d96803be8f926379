//! An instance behind a trusted proxy on loopback, so that a test can be anybody.

use std::net::SocketAddr;

use crate::instance::{Instance, free_port, text};
use crate::support::{Folder, exchange, status_of};

/// A browser's name and what it asks for.
const BROWSER: &str = "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0\r\n\
     Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en\r\n";

/// Starts one that believes what loopback says of its clients, with the usual list of those who
/// are never barred.
pub fn start(sites: &str, more: &str) -> Instance {
    let folder = Folder::make("behind");
    let edge = SocketAddr::from(([127, 0, 0, 1], free_port()));
    folder.file("ringwall.toml", &config(&folder, edge, sites, more));
    Instance::again(folder, edge)
}

/// Writes other words into its configuration.
pub fn rewrite(instance: &Instance, sites: &str, more: &str) {
    let words = config(&instance.folder, instance.edge, sites, more);
    instance.folder.file("ringwall.toml", &words);
}

fn config(folder: &Folder, edge: SocketAddr, sites: &str, more: &str) -> String {
    text(folder, edge, sites, more)
        .replace("[edge]\n", "[edge]\ntrusted_proxies = [\"127.0.0.1\"]\n")
        .replace("[book]\nnever_ban = [\"127.0.0.1\"]\n", "")
}

/// Somebody with a browser.
#[derive(Clone)]
pub struct Person {
    edge: SocketAddr,
    address: String,
    /// What the browser sends along: whole header lines.
    fields: String,
}

impl Person {
    pub fn at(instance: &Instance, address: &str) -> Self {
        Self {
            edge: instance.edge,
            address: address.to_owned(),
            fields: BROWSER.to_owned(),
        }
    }

    /// The same with one more header.
    pub fn with(&self, field: &str) -> Self {
        let fields = format!("{}{field}\r\n", self.fields);
        Self {
            fields,
            ..self.clone()
        }
    }

    /// The same calling itself something else.
    pub fn called(&self, name: &str) -> Self {
        Self {
            fields: format!("User-Agent: {name}\r\n"),
            ..self.clone()
        }
    }

    /// Somebody elsewhere who sends the very same.
    pub fn copied_to(&self, address: &str) -> Self {
        let address = address.to_owned();
        Self {
            address,
            ..self.clone()
        }
    }

    /// The status of a page.
    pub fn get(&self, path: &str) -> u16 {
        status_of(self.send("GET", path, "").as_bytes())
    }

    /// The whole answer to a form.
    pub fn post(&self, path: &str, body: &str) -> String {
        self.send("POST", path, body)
    }

    /// How many of so many pages that are not there are answered by the site.
    pub fn looks_for(&self, pages: usize) -> usize {
        let missing = |number| self.get(&format!("/missing-{number}")) == 404;
        (0..pages).filter(|number| missing(*number)).count()
    }

    fn send(&self, method: &str, path: &str, body: &str) -> String {
        let length = match body.len() {
            0 => String::new(),
            length => format!(
                "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n"
            ),
        };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {}\r\n{}{length}Connection: close\r\n\r\n{body}",
            self.address, self.fields
        );
        String::from_utf8_lossy(&exchange(self.edge, request.as_bytes())).into_owned()
    }
}

/// The kind of the decision about an address (IPv6 by its /64), if there is one in force.
pub fn decision(instance: &Instance, value: &str) -> Option<String> {
    let listed = crate::support::json_lines(&instance.run(&["--json", "decision", "list"]));
    let found = listed.into_iter().find(|one| one["value"] == value);
    found.map(|one| one["kind"].as_str().unwrap_or_default().to_owned())
}

/// How many alerts there are about an address.
pub fn alerts(instance: &Instance, value: &str) -> usize {
    let listed = crate::support::json_lines(&instance.run(&["--json", "alert", "list"]));
    let about = |one: &&serde_json::Value| one.to_string().contains(&format!("\"{value}\""));
    listed.iter().filter(about).count()
}
