#!/usr/bin/env python3
"""A webhook that drives a router, as docs/webhook-router.md has it. This one keeps the weights of each rollout in memory;
yours hands them to whatever splits the traffic, in `take`, and tells in `given` what is in effect.

    python3 server.py 8080
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

lock = threading.Lock()
kept = {}  # (namespace, name) -> [version, weights]
served = {}  # (rollout, idempotency key) -> status


def given(rollout):
    """The version and the weights that are in effect: everything on blue until somebody says otherwise."""
    return kept.setdefault(rollout, [1, {"blue": 100, "green": 0}])


def take(rollout, weights):
    """Sets both weights. Here is the place to call your load balancer; raise an exception when it fails."""
    version, _ = given(rollout)
    kept[rollout] = [version + 1, weights]


def wrong(weights):
    """What is wrong with two weights, if anything is."""
    if not isinstance(weights, dict) or set(weights) != {"blue", "green"}:
        return "write two weights, blue and green"
    if not all(type(w) is int and 0 <= w <= 100 for w in weights.values()) or sum(weights.values()) != 100:
        return "write two whole numbers that add up to 100"
    return None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def rollout(self):
        return self.headers.get("LlmRollout-Namespace", ""), self.headers.get("LlmRollout-Name", "")

    def do_GET(self):
        with lock:
            version, weights = given(self.rollout())
        self.answer(200, {"weights": weights}, [("ETag", f'"{version}"')])

    def do_PUT(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with lock:
            status, problem = self.put(body)
        self.answer(status, {"title": problem} if problem else None)

    def put(self, body):
        rollout, match = self.rollout(), self.headers.get("If-Match")
        key = (rollout, self.headers.get("Idempotency-Key"))
        if key[1] and key in served:
            return served[key], None
        if match not in ("*", f'"{given(rollout)[0]}"'):
            return 412, None
        try:
            weights = json.loads(body).get("weights")
        except (ValueError, AttributeError):
            weights = None
        if wrong(weights):
            return 422, wrong(weights)
        take(rollout, weights)
        if key[1]:
            served[key] = 204
        return 204, None

    def answer(self, status, document, headers=()):
        body = json.dumps(document).encode() if document is not None else b""
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if body:
            self.send_header("Content-Type", "application/json" if status < 400 else "application/problem+json")
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("", int(sys.argv[1])), Handler).serve_forever()
