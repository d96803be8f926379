"""The site that field tests protect: pages, a login form, a slow download.

Serves HTTP/1.1 with kept-alive connections on the address given, and appends
one line "client-as-told-by-the-edge method path" a request to the log given.
"""
import http.server
import socketserver
import sys
import threading
import time

LOCK = threading.Lock()
LOG = open(sys.argv[3], "a", buffering=1)
PAGES = {"/": "Tea and maps", "/login": "<form method=post>Log in</form>", "/about": "About us"}


class Site(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, text, **headers):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def note(self):
        with LOCK:
            client = self.headers.get("X-Forwarded-For", "-")
            LOG.write(f"{client} {self.command} {self.path}\n")

    def do_GET(self):
        self.note()
        path = self.path.split("?")[0]
        if path == "/slow":
            self.send_response(200)
            self.send_header("Content-Length", str(600))
            self.end_headers()
            for _ in range(600):
                self.wfile.write(b"x")
                self.wfile.flush()
                time.sleep(0.1)
        elif path in PAGES or path.startswith("/item/"):
            self.answer(200, f"<h1>{PAGES.get(path, 'A fine thing')}</h1>")
        else:
            self.answer(404, "<h1>There is nothing here</h1>")

    do_HEAD = do_GET

    def do_POST(self):
        self.note()
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.path == "/login" and body == b"user=ada&password=correct-horse":
            self.answer(303, "", Location="/")
        elif self.path == "/login":
            self.answer(200, "<p>Wrong user name or password</p>")
        else:
            self.answer(404, "<h1>There is nothing here</h1>")

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 512


Server((sys.argv[1], int(sys.argv[2])), Site).serve_forever()
