"""A small shop to attack: pages with links, a search, a login, an area behind a
password, a large file, and one parameter that goes into SQL as it came.

Usage: shop.py ADDRESS PORT LOG. Serves HTTP/1.1 with kept-alive connections and
appends a line "client-as-told-by-the-proxy method path" a request to LOG.
"""
import base64
import html
import http.server
import socketserver
import sqlite3
import sys
import threading
import urllib.parse

LOCK = threading.Lock()
LOG = open(sys.argv[3], "a", buffering=1)
STYLE = "body { font: 1em serif; margin: 2em }"
LOGO = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><circle r="4"/></svg>'
LARGE = 16 * 1024 * 1024
MEMBER = "Basic " + base64.b64encode(b"ada:correct-horse").decode()
GOODS = ["Green tea", "Black tea", "A map of the moors", "A kettle", "A compass", "Honey"]

BASE = sqlite3.connect(":memory:", check_same_thread=False)
BASE.execute("create table goods (id integer, name text, price integer)")
BASE.executemany("insert into goods values (?, ?, ?)",
                 [(number, name, 300 + number) for number, name in enumerate(GOODS, 1)])


def page(title, text):
    """A page as the shop's pages look, with the style and picture that belong to it."""
    return (f"<!doctype html><html><head><title>{title}</title>"
            '<link rel="stylesheet" href="/static/style.css"></head><body>'
            '<img src="/static/logo.svg" alt=""><nav><a href="/">Home</a> '
            '<a href="/about">About</a> <a href="/goods">Goods</a> '
            '<a href="/search?q=tea">Search</a> <a href="/login">Log in</a> '
            f'<a href="/members/">Members</a></nav><h1>{title}</h1>{text}</body></html>')


def goods():
    links = (f'<li><a href="/item?id={number}">{name}</a>' for number, name in enumerate(GOODS, 1))
    return page("Goods", "<ul>" + "".join(links) + "</ul>")


def item(number):
    """Here is the hole that sqlmap looks for: what was asked becomes part of the query."""
    with LOCK:
        found = BASE.execute(f"select name, price from goods where id = {number}").fetchall()
    if not found:
        return 404, page("Not here", "We have no such thing.")
    name, price = found[0]
    return 200, page(html.escape(str(name)), f"It costs {html.escape(str(price))} pence.")


def search(words):
    hits = [name for name in GOODS if words.lower() in name.lower()]
    form = '<form action="/search"><input name="q"><input type="submit"></form>'
    return page("Search", f"{form}<p>{html.escape(words)}: {', '.join(hits) or 'nothing'}</p>")


LOGIN = page("Log in", '<form method="post" action="/login"><input name="user">'
             '<input type="password" name="password"><input type="submit"></form>')


class Shop(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, text, kind="text/html; charset=utf-8", **headers):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def note(self):
        client = self.headers.get("X-Forwarded-For", "-")
        with LOCK:
            LOG.write(f"{client} {self.command} {self.path}\n")

    def do_GET(self):
        self.note()
        asked = urllib.parse.urlsplit(self.path)
        query = urllib.parse.parse_qs(asked.query, errors="replace")
        if asked.path == "/item":
            try:
                self.answer(*item(query.get("id", ["0"])[0]))
            except (sqlite3.Error, sqlite3.Warning) as error:
                self.answer(500, page("Error", f"sqlite3.OperationalError: {html.escape(str(error))}"))
        elif asked.path == "/search":
            self.answer(200, search(query.get("q", [""])[0]))
        elif asked.path.startswith("/members/"):
            self.members()
        elif asked.path == "/static/style.css":
            self.answer(200, STYLE, "text/css")
        elif asked.path == "/static/logo.svg":
            self.answer(200, LOGO, "image/svg+xml")
        elif asked.path == "/large":
            self.large()
        else:
            self.plain(asked.path)

    do_HEAD = do_GET

    def plain(self, path):
        pages = {
            "/": page("Tea and maps", "Welcome."),
            "/about": page("About", "We sell tea and maps."),
            "/goods": goods(),
            "/login": LOGIN,
        }
        if path in pages:
            self.answer(200, pages[path])
        else:
            self.answer(404, page("Not here", "There is nothing here."))

    def members(self):
        if self.headers.get("Authorization") == MEMBER:
            self.answer(200, page("Members", "Welcome back."))
        else:
            self.answer(401, page("Members only", "Who are you?"),
                        WWW_Authenticate='Basic realm="members"')

    def large(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(LARGE))
        self.end_headers()
        if self.command != "HEAD":
            for _ in range(LARGE // 65536):
                self.wfile.write(bytes(65536))

    def do_POST(self):
        self.note()
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.path == "/login" and body == b"user=ada&password=correct-horse":
            self.answer(303, "", Location="/")
        elif self.path == "/login":
            self.answer(200, LOGIN.replace("<form", "<p>Wrong user name or password</p><form"))
        else:
            self.answer(404, page("Not here", "There is nothing here."))

    def log_message(self, *_):
        pass

    def handle(self):
        try:
            super().handle()
        except ConnectionError:
            pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 512


Server((sys.argv[1], int(sys.argv[2])), Shop).serve_forever()
