"""Strangers at a bounded rate, for a bounded time, from many addresses.

    strangers.py visit|attack URL-HOST PORT SECONDS REQUESTS-PER-SECOND ADDRESS…

Visitors ask for pages that exist, attackers for what attackers look for, each address
in turn for a few requests. Prints one JSON object: how many requests were sent, the
answers by status, and how many connections ended without an answer.
"""
import collections
import http.client
import json
import sys
import time

what, host, port, seconds, rate = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), float(sys.argv[5])
addresses = sys.argv[6:]
BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0", "Accept": "text/html"}
PAGES = ["/", "/about", "/item/7", "/login", "/item/8?colour=green"]
PROBES = ["/.env", "/.git/config", "/wp-login.php", "/phpmyadmin/", "/backup.sql", "/admin.php", "/?id=1'%20or%20'1'='1",
          "/../../etc/passwd", "/server-status", "/c99.php", "/item?q=%3Cscript%3Ealert(1)%3C/script%3E", "/vendor/phpunit/"]
answers, lost, sent = collections.Counter(), 0, 0
end, number = time.monotonic() + seconds, 0
due = time.monotonic()
while time.monotonic() < end:
    address = addresses[number % len(addresses)]
    number += 1
    connection = http.client.HTTPConnection(host, port, timeout=10, source_address=(address, 0))
    for turn in range(20):
        due += 1 / rate
        time.sleep(max(0, due - time.monotonic()))
        due = max(due, time.monotonic() - 1)
        if time.monotonic() >= end:
            break
        paths = PAGES if what == "visit" else PROBES
        try:
            sent += 1
            connection.request("GET", paths[turn % len(paths)], headers=BROWSER)
            answer = connection.getresponse()
            answer.read()
            answers[answer.status] += 1
        except (OSError, http.client.HTTPException):
            lost += 1
            connection.close()
    connection.close()
print(json.dumps({"sent": sent, "answers": answers, "lost": lost}))
