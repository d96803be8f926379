"""Loaded into a Python tool that knows no pace of its own (as sitecustomize): its
requests go out at most one every PACE seconds."""
import http.client
import os
import time

FIRST = http.client.HTTPConnection.putrequest


def patiently(self, *words, **more):
    time.sleep(float(os.environ["PACE"]))
    return FIRST(self, *words, **more)


http.client.HTTPConnection.putrequest = patiently
