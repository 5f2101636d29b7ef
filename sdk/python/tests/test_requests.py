"""Requests as frameworks give them, and as nobody should: every answer is a message or the package's own error."""

import base64
import io
import random
import re
import unittest
from email.message import Message

from countersign_webhooks import (
    Key,
    StaticKeys,
    WebhookConfigurationError,
    WebhookRefused,
    WebhookRequest,
    jwk_set,
    verify,
)
from samples import BODY, FILE, ID, KEY, KEY_ID, NOW_S, headers, options, outcome, request


class Raises:
    """An object that raises whatever is asked of it."""

    def items(self):
        raise ValueError("items")

    def read(self, size):
        raise OSError("read")

    def __iter__(self):
        raise RuntimeError("iter")


class Requests(unittest.TestCase):
    def test_a_message_has_a_typed_event(self):
        message = verify(request(), options())
        self.assertEqual((message.id, message.key_id, message.duplicate), (ID, KEY_ID, False))
        self.assertEqual((message.event.type, message.event.sequence), ("envelope.sent", 2))
        self.assertEqual((message.event.environment, message.event.envelope), ("live", None))
        self.assertEqual(message.body, BODY)

    def test_headers_and_body_come_in_any_form(self):
        plain = headers()
        mail = Message()
        for name, value in plain.items():
            mail[name] = value
        asgi = [(name.lower().encode(), value.encode()) for name, value in plain.items()]
        lists = {name: [value] for name, value in plain.items()}
        for form in [plain, list(plain.items()), mail, asgi, lists]:
            for body in [BODY, bytearray(BODY), memoryview(BODY), io.BytesIO(BODY), iter([BODY[:9], BODY[9:]])]:
                self.assertEqual(outcome(lambda: verify(WebhookRequest(form, body), options())), "accepted")

    def test_a_header_that_comes_twice_is_malformed(self):
        for twice in [[*headers().items(), ("webhook-id", ID)], {**headers(), "Webhook-Id": [ID, ID]}]:
            self.assertEqual(outcome(lambda: verify(WebhookRequest(twice, BODY), options())), "malformed")

    def test_a_body_without_an_end_is_left_after_the_largest_size(self):
        pulled = []

        def endless():
            while True:
                pulled.append(1)
                yield bytes(64 * 1024)

        self.assertEqual(outcome(lambda: verify(WebhookRequest(headers(), endless()), options())), "too_large")
        self.assertEqual(len(pulled), 5)

    def test_a_body_of_exactly_the_largest_size_is_taken(self):
        body = BODY + b" " * (256 * 1024 - len(BODY))
        self.assertEqual(outcome(lambda: verify(request(body=body), options())), "accepted")
        self.assertEqual(outcome(lambda: verify(request(body=body + b" "), options())), "too_large")

    def test_a_right_signature_over_no_event_is_refused_and_spends_no_nonce(self):
        given = options()
        bodies = [
            b"", b"[]", b"null", b"{}", b"{", b'"\xff"', b"[" * 100_000, b'{"a":' * 50_000, b"1" * 9000,
            b'{"type":1,"timestamp":"b","data":{}}',
            b'{"type":"a","timestamp":"b","data":[]}',
            b'{"type":"a","timestamp":"b","data":{},"type":"c"}',
            b'{"type":"a","timestamp":"b","data":{"x":{"y":1,"y":1}}}',
            b'{"type":"a","timestamp":"b","data":{"x":NaN}}',
            b'{"type":"a","timestamp":"b","data":{"x":-Infinity}}',
            b'{"type":"a","timestamp":"b","data":{"x":1e999}}',
            b'\xef\xbb\xbf{"type":"a","timestamp":"b","data":{}}',
        ]  # fmt: skip
        for body in bodies:
            self.assertEqual(outcome(lambda: verify(request(body=body), given)), "not_an_event", body[:60])
        self.assertEqual(outcome(lambda: verify(request(), given)), "accepted")

    def test_base64_is_taken_in_its_one_form_alone(self):
        # The last character before the padding of 32 or 64 bytes has bits to spare.
        def alike(text):
            return re.sub(r"(.)(=+)(?= |$)", lambda found: chr(ord(found[1]) + 1) + found[2], text)

        right = headers()["Webhook-Signature"]
        signature = alike(right)
        first, second = (text.split(" ")[0].split(",")[1] for text in (right, signature))
        self.assertEqual(base64.b64decode(first), base64.b64decode(second))
        given = WebhookRequest({**headers(), "Webhook-Signature": signature}, BODY)
        self.assertEqual(outcome(lambda: verify(given, options())), "malformed")
        with self.assertRaises(WebhookConfigurationError):
            StaticKeys([Key(id=KEY_ID, secret=alike(KEY["secret"]))])

    def test_a_label_that_stands_twice_is_malformed_though_rfc_8941_would_take_the_last(self):
        vector = next(vector for vector in FILE["vectors"] if vector["name"] == "http: Ed25519")
        asked = vector["request"]
        body = base64.b64decode(asked["body_base64"])
        for twice in ("user-agent", "signature", "signature-input", "content-digest"):
            pairs = [pair for pair in asked["headers"] for _ in range(2 if pair[0] == twice else 1)]
            given = WebhookRequest(pairs, body, asked["method"], asked["url"])
            ours = options(keys=jwk_set(FILE["jwks"]), profile="http-message-signature")
            expected = "accepted" if twice == "user-agent" else "malformed"
            self.assertEqual(outcome(lambda: verify(given, ours)), expected, twice)

    def test_options_and_keys_that_cannot_be_used_are_found_at_the_start(self):
        for wrong in [
            {"window_s": 301}, {"window_s": 0.5}, {"window_s": True}, {"body_max_bytes": 0}, {"replay": None},
            {"keys": None}, {"keys": [None]}, {"profile": "v1"}, {"clock": 5},
        ]:  # fmt: skip
            with self.assertRaises(WebhookConfigurationError, msg=wrong):
                options(**wrong)
        public = {"public": KEY["public"]}
        for wrong in [
            {}, {"secret": "whsec_AA=="}, {"secret": KEY["public"]}, {"public": KEY["secret"]}, {"secret": 7},
            {"public": "whpk_!"}, {"id": "whk_1", **public}, {"id": None, **public},
        ]:  # fmt: skip
            with self.assertRaises(WebhookConfigurationError, msg=wrong):
                StaticKeys([Key(**{"id": KEY_ID, **wrong})])
        for wrong in [None, [], {}, {"keys": {}}, {"keys": [{}] * 33}]:
            with self.assertRaises(WebhookConfigurationError):
                jwk_set(wrong)

    def test_a_clock_that_fails_refuses(self):
        def broken():
            raise OSError("no clock")

        for clock in [broken, lambda: float("nan"), lambda: None]:
            self.assertEqual(outcome(lambda: verify(request(), options(clock=clock))), "unavailable")

    def test_a_refusal_has_code_status_and_a_sentence_and_holds_nothing_of_the_request_or_the_key(self):
        with self.assertRaises(WebhookRefused) as caught:
            verify(WebhookRequest({**headers(), "Webhook-Id": "msg_<script>"}, BODY), options())
        refused = caught.exception
        self.assertEqual((refused.code, refused.status), ("malformed", 400))
        self.assertTrue(refused.message.endswith(".") and "script" not in str(refused))
        self.assertNotIn(KEY["secret"], repr(Key(KEY_ID, secret=KEY["secret"])))

    def test_the_clock_of_this_machine_is_the_default(self):
        import time

        given = options(clock=time.time)
        self.assertEqual(outcome(lambda: verify(request(timestamp=int(time.time())), given)), "accepted")
        self.assertEqual(outcome(lambda: verify(request(timestamp=NOW_S - 10**8), given)), "stale")

    def test_whatever_comes_there_is_a_message_or_the_packages_own_error(self):
        dice = random.Random(4)
        small = [vector for vector in FILE["vectors"] if len(vector["request"]["body_base64"]) < 4096]
        codes = {}
        for _ in range(6000):
            vector = dice.choice(small)
            asked = vector["request"]
            given = {
                "headers": [list(pair) for pair in asked["headers"]],
                "body": base64.b64decode(asked["body_base64"]),
                "method": asked["method"],
                "url": asked["url"],
            }
            spoil(given, dice)
            http = vector["profiles"] == ["http-message-signature"]
            profile = "http-message-signature" if http else "message"
            code = outcome(lambda: verify(WebhookRequest(**given), options(profile=profile)))
            codes[code] = codes.get(code, 0) + 1
        for strange in STRANGE:
            self.assertEqual(outcome(lambda: verify(strange, options())), "malformed")
        self.assertGreaterEqual(len(codes), 5, codes)
        self.assertGreater(codes["malformed"], 1000)


STRANGE = [
    None, float("nan"), float("inf"), -1, 10**400, True, object(), {}, [], [[]], [None], (), "", " ", "\0", "\r\nx: y", b"", b"\xff",
    "🦀" * 9, "\udcff", "٣" * 10, "9" * 5000, "-9" * 50, "(" * 500, "=:" * 500, "a" * 20_000, {"a": {"b": object()}}, {1: 2}, Raises(), Raises,
    lambda: "x", iter([1, 2]), range(3), "http://[", "https://receiver.example:99999/", "https://receiver.example:x",
]  # fmt: skip


def changed(text, dice):
    characters = list(str(text))
    for _ in range(dice.randint(1, 3)):
        position = dice.randint(0, len(characters))
        piece = chr(dice.randint(32, 126)) if dice.random() < 0.5 else chr(dice.randint(0, 0xFFFF))
        characters[position : position + dice.randint(0, 2)] = [piece]
    return "".join(characters)


def spoil(given, dice):
    """Changes one thing of a request."""
    pairs, strange = given["headers"], dice.choice(STRANGE)
    pair = dice.choice(pairs)
    act = dice.randrange(8)
    if act < 3:
        pair[1] = changed(pair[1], dice)
    elif act == 3:
        pair[dice.randrange(2)] = strange
    elif act == 4:
        given["headers"] = strange if dice.random() < 0.5 else {**dict(pairs), pair[0]: strange}
    elif act == 5:
        given["body"] = strange if dice.random() < 0.5 else dice.randbytes(dice.randrange(64))
    elif act == 6:
        given[dice.choice(["url", "method"])] = strange
    else:
        pairs.remove(pair)


if __name__ == "__main__":
    unittest.main()
