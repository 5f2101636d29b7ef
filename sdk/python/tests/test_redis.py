"""The store in Redis, with a real Redis and the client of PyPI `redis`."""

import subprocess
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor

import redis

from countersign_webhooks import RedisReplayStore, verify
from samples import ID, NOW_S, options, outcome, request


class Redis(unittest.TestCase):
    def setUp(self):
        """A Redis of our own behind a socket in a folder, and a client of it."""
        folder = self.enterContext(tempfile.TemporaryDirectory())
        socket = f"{folder}/socket"
        command = ["redis-server", "--port", "0", "--unixsocket", socket, "--dir", folder, "--save", ""]
        self.server = self.enterContext(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        self.addCleanup(self.server.kill)
        while "ready to accept connections" not in self.server.stdout.readline().lower():
            self.assertIsNone(self.server.poll(), "redis-server ended")
        self.client = redis.Redis(unix_socket_path=socket)
        self.addCleanup(self.client.close)

    def test_attempts_are_taken_once_retries_are_known_and_everything_ends(self):
        now_s = [NOW_S]
        given = options(replay=RedisReplayStore(self.client), clock=lambda: now_s[0])
        with ThreadPoolExecutor(10) as threads:
            found = list(threads.map(lambda _: outcome(lambda: verify(request(), given)), range(50)))
        self.assertEqual((found.count("accepted"), found.count("replayed")), (1, 49))
        retry = verify(request(timestamp=NOW_S + 5), given)
        self.assertFalse(retry.duplicate)
        retry.acted()
        now_s[0] += 10
        self.assertTrue(verify(request(timestamp=NOW_S + 10), given).duplicate)
        nonce_ms = self.client.pttl(f"countersign:webhook:nonce:{ID}.{NOW_S}")
        id_ms = self.client.pttl(f"countersign:webhook:id:{ID}")
        self.assertTrue(540_000 < nonce_ms <= 601_000, nonce_ms)
        self.assertTrue(3_023_000_000 < id_ms <= 3_024_000_000, id_ms)
        self.server.kill()
        self.server.wait()
        self.assertEqual(outcome(lambda: verify(request(timestamp=NOW_S + 11), given)), "unavailable")


if __name__ == "__main__":
    unittest.main()
