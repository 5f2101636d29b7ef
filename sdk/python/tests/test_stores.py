"""What was seen before, in each store; and the JWK set that is kept."""

import http.server
import json
import math
import tempfile
import threading
import unittest
import urllib.error
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from countersign_webhooks import (
    Attempt,
    MemoryReplayStore,
    RedisReplayStore,
    RemoteJwkSet,
    SqliteReplayStore,
    WebhookConfigurationError,
    WebhookRefused,
    verify,
)
from samples import FILE, ID, KEY_ID, NOW_S, options, outcome, request

URL = "https://sign.example/webhooks/whe_1/jwks.json"


class Clock:
    def __init__(self, now_s=NOW_S):
        self.now_s = now_s

    def __call__(self):
        return self.now_s


class FakeRedis:
    """The two calls of Redis that are used, with a clock of the test."""

    def __init__(self, clock):
        self.clock, self.entries, self.lock = clock, {}, threading.Lock()

    def get(self, name):
        value, until_s = self.entries.get(name, (None, -math.inf))
        return value if until_s > self.clock() else None

    def set(self, name, value, *, px, nx=False):
        with self.lock:
            if nx and self.get(name) is not None:
                return None
            self.entries[name] = (value.encode(), self.clock() + px / 1000)
            return True


class Stores(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def stores(self):
        for name in ("memory", "sqlite", "redis"):
            clock = Clock()
            path = Path(self.folder.name, name)
            made = {
                "memory": MemoryReplayStore,
                "sqlite": lambda: SqliteReplayStore(path),
                "redis": lambda: RedisReplayStore(FakeRedis(clock)),
            }
            store = made[name]()
            with self.subTest(store=name):
                yield clock, options(replay=store, clock=clock)
            if name == "sqlite":
                store.close()
                path.unlink()

    def test_an_attempt_is_taken_once_and_a_retry_is_a_duplicate_when_the_message_was_acted_on(self):
        for clock, given in self.stores():
            first = verify(request(), given)
            self.assertEqual(outcome(lambda: verify(request(), given)), "replayed")
            clock.now_s += 5
            self.assertFalse(verify(request(timestamp=clock.now_s), given).duplicate, "it was not acted on yet")
            first.acted()
            clock.now_s += 30
            self.assertTrue(verify(request(timestamp=clock.now_s), given).duplicate)
            self.assertEqual(outcome(lambda: verify(request(timestamp=clock.now_s), given)), "replayed")
            clock.now_s += 34 * 86_400
            self.assertTrue(verify(request(timestamp=clock.now_s), given).duplicate)
            clock.now_s += 2 * 86_400
            self.assertFalse(verify(request(timestamp=clock.now_s), given).duplicate, "ids are kept for 35 days")

    def test_a_nonce_is_kept_for_as_long_as_its_timestamp_is_taken(self):
        for clock, given in self.stores():
            clock.now_s, timestamp = NOW_S + 0.9, NOW_S + 300
            self.assertEqual(outcome(lambda: verify(request(timestamp=timestamp), given)), "accepted")
            clock.now_s = timestamp + 300.999
            self.assertEqual(outcome(lambda: verify(request(timestamp=timestamp), given)), "replayed")
            clock.now_s = timestamp + 301
            self.assertEqual(outcome(lambda: verify(request(timestamp=timestamp), given)), "stale")

    def test_of_fifty_calls_with_one_attempt_one_is_taken(self):
        for _, given in self.stores():
            with ThreadPoolExecutor(10) as threads:
                found = list(threads.map(lambda _: outcome(lambda: verify(request(), given)), range(50)))
            self.assertEqual((found.count("accepted"), found.count("replayed")), (1, 49))

    def test_a_forged_message_leaves_nothing_in_the_store(self):
        for _, given in self.stores():
            forged = request(body=b"{}")
            object.__setattr__(forged, "body", b"[]")
            self.assertEqual(outcome(lambda: verify(forged, given)), "bad_signature")
            self.assertEqual(outcome(lambda: verify(request(), given)), "accepted")

    def test_a_store_that_fails_or_says_something_strange_refuses(self):
        class Strange:
            def __init__(self, answer):
                self.answer = answer

            def take(self, attempt):
                if isinstance(self.answer, Exception):
                    raise self.answer
                return self.answer

        for answer in [OSError("down"), None, "perhaps", 1, []]:
            self.assertEqual(outcome(lambda: verify(request(), options(replay=Strange(answer)))), "unavailable")
        full = options(replay=MemoryReplayStore(entries_max=1))
        self.assertEqual(outcome(lambda: verify(request(), full)), "accepted")
        self.assertEqual(outcome(lambda: verify(request(timestamp=NOW_S + 1), full)), "unavailable")

    def test_sqlite_survives_a_restart_and_is_shared_by_processes(self):
        path = Path(self.folder.name, "shared")
        one, other = SqliteReplayStore(path), SqliteReplayStore(path)
        verify(request(), options(replay=one)).acted()
        self.assertEqual(outcome(lambda: verify(request(), options(replay=other))), "replayed")
        one.close()
        other.close()
        again = SqliteReplayStore(path)
        self.assertEqual(outcome(lambda: verify(request(), options(replay=again))), "replayed")
        self.assertTrue(verify(request(timestamp=NOW_S + 5), options(replay=again)).duplicate)
        again.close()
        self.assertEqual(outcome(lambda: verify(request(timestamp=NOW_S + 6), options(replay=again))), "unavailable")

    def test_what_is_over_is_forgotten(self):
        in_file = SqliteReplayStore(Path(self.folder.name, "over"))
        self.addCleanup(in_file.close)
        for store, count in [
            (MemoryReplayStore(), lambda store: len(store._nonces)),
            (in_file, lambda store: store._connection.execute("SELECT count(*) FROM webhook_nonces").fetchone()[0]),
        ]:
            for index in range(100):
                self.assertEqual(store.take(Attempt(ID, index, NOW_S + index, NOW_S + index + 10)), "new")
            self.assertEqual(count(store), 11)


class Remote:
    """A JWK set whose content, answer and clock the test moves."""

    def __init__(self):
        self.clock, self.asked, self.keys, self.answer = Clock(), 0, FILE["jwks"]["keys"], None
        self.set = RemoteJwkSet(URL, self.fetch)

    def fetch(self, url):
        assert url == URL
        self.asked += 1
        return json.dumps({"keys": self.keys}).encode() if self.answer is None else self.answer()

    def find(self, id=KEY_ID):
        return len(self.set.find([id], self.clock())) > 0


def fails():
    raise OSError("fetch failed")


class JwkSets(unittest.TestCase):
    def test_a_set_is_fetched_once_in_five_minutes(self):
        remote = Remote()
        with ThreadPoolExecutor(9) as threads:
            self.assertEqual(list(threads.map(lambda _: remote.find(), range(9))), [True] * 9)
        remote.clock.now_s += 299
        self.assertTrue(remote.find())
        self.assertEqual(remote.asked, 1)
        remote.clock.now_s += 1
        self.assertTrue(remote.find())
        self.assertEqual(remote.asked, 2)

    def test_an_unknown_key_id_makes_us_ask_once_in_a_minute_and_a_revoked_key_is_gone_with_the_next_set(self):
        remote, unknown = Remote(), list(FILE["keys"])[-1]
        self.assertTrue(remote.find())
        self.assertEqual([remote.find(unknown) for _ in range(5)], [False] * 5)
        self.assertEqual(remote.asked, 1)
        remote.clock.now_s += 60
        self.assertEqual([remote.find(unknown) for _ in range(5)], [False] * 5)
        self.assertEqual(remote.asked, 2)
        remote.keys = []
        remote.clock.now_s += 300
        self.assertFalse(remote.find())

    def test_the_last_good_set_serves_for_a_day_while_fetches_fail(self):
        for answer in [fails, lambda: b"<html>", lambda: b"\xff", lambda: b'{"keys":{}}', lambda: None, lambda: b"[" * 99_999]:
            remote = Remote()
            self.assertTrue(remote.find())
            remote.answer = answer
            remote.clock.now_s += 86_399
            self.assertTrue(remote.find() and remote.find())
            self.assertEqual(remote.asked, 2, "one failure is enough for a minute")
            remote.clock.now_s += 1
            with self.assertRaises(LookupError):
                remote.find()
            late = options(keys=remote.set, clock=remote.clock)
            self.assertEqual(outcome(lambda: verify(request(timestamp=remote.clock()), late)), "unavailable")
            remote.answer = None
            remote.clock.now_s += 60
            self.assertTrue(remote.find())

    def test_why_there_are_no_keys_is_told(self):
        def times_out():
            raise urllib.error.URLError(TimeoutError("timed out"))

        def missing():
            raise urllib.error.HTTPError(URL, 404, "Not Found", None, None)

        for answer, why in [
            (fails, "fetch failed"),
            (times_out, "no whole answer came within 5 s"),
            (missing, "it was answered with 404"),
            (lambda: b"<html>", "it is no JSON"),
            (lambda: b'{"keys":{}}', "it is JSON and no JWK set"),
        ]:
            remote = Remote()
            remote.answer = answer
            ours = options(keys=remote.set, clock=remote.clock)
            for _ in range(2):  # Also while it is not asked again.
                with self.assertRaises(WebhookRefused) as refused:
                    verify(request(), ours)
                self.assertEqual((refused.exception.code, refused.exception.status), ("unavailable", 503))
                self.assertIn(f"could not be fetched: {why}", refused.exception.message)
                self.assertIsInstance(refused.exception.__cause__, LookupError)
            self.assertIn(why, remote.set.failure)
            # A set without this key, and one that cannot be fetched anew.
            remote.answer, remote.keys = None, FILE["jwks"]["keys"][-1:]
            remote.clock.now_s += 10
            self.assertFalse(remote.find())
            self.assertIsNone(remote.set.failure)
            remote.answer = answer
            remote.clock.now_s += 60
            with self.assertRaises(WebhookRefused) as refused:
                verify(request(timestamp=remote.clock()), ours)
            self.assertEqual(refused.exception.code, "unknown_key")
            self.assertIn(f"The JWK set: {why}", refused.exception.message)
        remote = Remote()
        remote.keys = []
        with self.assertRaises(WebhookRefused) as refused:
            verify(request(), options(keys=remote.set, clock=remote.clock))
        self.assertEqual(refused.exception.code, "unknown_key")
        self.assertIn("The JWK set: no key in it can be used here.", refused.exception.message)

    def test_keys_that_cannot_be_used_are_skipped(self):
        remote, good = Remote(), FILE["jwks"]["keys"][0]
        curve = {"kty": "EC", "crv": "P-256", "kid": good["kid"], "x": good["x"], "y": good["x"]}
        large = next(key["n"] for key in FILE["jwks"]["keys"] if key["kty"] == "RSA")
        rsa = [{"kty": "RSA", "kid": good["kid"], "n": n, "e": e} for n, e in ((large, "Ag"), ("AAAA" + "AQAB" * 85, "AQAB"))]
        wrong = [None, 1, {}, curve, *rsa, *({**good, **change} for change in ({"use": "enc"}, {"alg": "none"}, {"x": "AA"}, {"kid": 7}, {"kty": [1]}, {"alg": {}}))]
        remote.keys = wrong
        self.assertFalse(remote.find())
        remote.keys = [*wrong, good]
        remote.clock.now_s += 60
        self.assertTrue(remote.find())

    def test_a_set_is_fetched_by_https_alone_but_for_this_machine(self):
        for url in ["http://sign.example/jwks.json", "ftp://sign.example", "jwks.json", "https://[", "file:///etc/passwd", 7, None]:
            with self.assertRaises(WebhookConfigurationError, msg=url):
                RemoteJwkSet(url)

    def test_urllib_fetches_a_set_bounded_and_without_redirects(self):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                paths.append(self.path)
                document = json.dumps(FILE["jwks"]).encode()
                body = {"/good": document, "/large": document + b" " * 65_536}.get(self.path, b"")
                self.send_response(302 if self.path == "/moved" else 200 if body else 404)
                self.send_header("location", "/good")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        paths = []
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        origin = f"http://127.0.0.1:{server.server_port}"
        self.assertEqual(len(RemoteJwkSet(f"{origin}/good").find([KEY_ID], NOW_S)), 1)
        for path, why in (("/large", "larger than 65536"), ("/moved", "answered with 302"), ("/missing", "answered with 404")):
            with self.assertRaisesRegex(LookupError, why, msg=path):
                RemoteJwkSet(origin + path).find([KEY_ID], NOW_S)
        self.assertEqual(paths, ["/good", "/large", "/moved", "/missing"])


if __name__ == "__main__":
    unittest.main()
