"""An application with a login, as small as an honest one can be.

Pages below /office/ send strangers to /login; the right password gives a session
of its own, /logout ends it. /dav/ asks for Basic. Everybody may see / and /login.
Every visitor is given a `visit` cookie, which is no session.
"""
import base64
import http.server
import secrets
import socketserver
import sys
import urllib.parse

PASSWORD = "correct-horse"
SESSIONS = set()


class App(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, text="", **headers):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        if "visit=" not in self.headers.get("Cookie", ""):
            self.send_header("Set-Cookie", f"visit={secrets.token_hex(16)}; Path=/")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def session(self):
        pairs = (pair.strip() for pair in self.headers.get("Cookie", "").split(";"))
        return next((pair[4:] for pair in pairs if pair.startswith("sid=")), "")

    def do_GET(self):
        path = urllib.parse.urlsplit(self.path).path
        if path in ("/", "/login"):
            self.answer(200, "<h1>Hello</h1>")
        elif path == "/logout":
            SESSIONS.discard(self.session())
            self.answer(303, Location="/")
        elif path == "/dav/":
            right = "Basic " + base64.b64encode(f"ann:{PASSWORD}".encode()).decode()
            if self.headers.get("Authorization") == right:
                self.answer(200, "files")
            else:
                self.answer(401, WWW_Authenticate='Basic realm="files"')
        elif path.startswith("/office/") and self.session() not in SESSIONS:
            self.answer(302, Location=f"/login?next={urllib.parse.quote(self.path)}")
        elif path == "/office/":
            self.answer(200, "<h1>The office</h1>")
        else:
            self.answer(404, "<h1>There is nothing here</h1>")

    do_HEAD = do_GET

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        if self.path != "/login":
            self.answer(404)
        elif urllib.parse.parse_qs(body).get("password") == [PASSWORD]:
            session = secrets.token_hex(16)
            SESSIONS.add(session)
            self.answer(303, Location="/office/", Set_Cookie=f"sid={session}; Path=/; HttpOnly")
        else:
            self.answer(200, "<p>Wrong user name or password</p>")

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 512


Server((sys.argv[1], int(sys.argv[2])), App).serve_forever()
