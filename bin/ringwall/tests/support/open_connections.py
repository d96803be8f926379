"""An attacker with an idle connection and a running download besides.

Probes for forgotten files on a third connection until refused, then says as JSON
how long after the last answered probe the other two connections were closed.
"""
import json
import select
import socket
import sys
import time

EDGE = (sys.argv[1], int(sys.argv[2]))
HEAD = ("Host: shop.example\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0\r\n"
        "Accept: text/html,*/*;q=0.8\r\nAccept-Language: en\r\n\r\n")
FILES = ["/.env", "/.git/config", "/backup.sql", "/.aws/credentials", "/id_rsa", "/.svn/entries", "/wp-config.php.bak",
         "/dump.sql.gz", "/.ssh/id_rsa", "/db.sqlite3", "/.htpasswd", "/config.yml.bak"]


def connect():
    return socket.create_connection(EDGE, timeout=5)


def ask(sock, path):
    sock.sendall(f"GET {path} HTTP/1.1\r\n{HEAD}".encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = sock.recv(65536)
        if not piece:
            return 0
        answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    status = int(head.split(b" ")[1])
    while path != "/slow" and len(body) < length:
        piece = sock.recv(65536)
        if not piece:
            break
        body += piece
    return status


idle, slow = connect(), connect()
assert ask(idle, "/") == 200
assert ask(slow, "/slow") == 200
probe, refused, answered = connect(), None, 0
for turn in range(100):
    before = time.monotonic()
    try:
        status = ask(probe, FILES[turn % len(FILES)] + ("" if turn < len(FILES) else f".{turn}"))
    except OSError:
        status = 0
    if status in (0, 403):
        refused = time.monotonic()
        break
    answered, last = answered + 1, time.monotonic()
closed = {}
waiting = {idle: "idle", slow: "slow"}
until = time.monotonic() + 5
while waiting and time.monotonic() < until:
    ready, _, _ = select.select(list(waiting), [], [], 0.05)
    for sock in ready:
        try:
            data = sock.recv(65536)
        except OSError:
            data = b""
        if not data:
            closed[waiting.pop(sock)] = (time.monotonic() - last) * 1000
print(json.dumps({"refused": refused is not None, "answered": answered, "closed_ms": closed}))
