"""What the judges of OAuth that run on Python share: their input, their way to the server, their talk with the test.

Input and output are those of judge.mjs: one JSON argument; `{"open": URL}` on a line of its own for each page that a
person has to visit, answered by a line with the URL that the person was sent to; one JSON object at the end, or status 1
and a reason.
"""

import json
import sys
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

INPUT = json.loads(sys.argv[1])


class Deviation(Exception):
    """The server did not do what its standard says."""


def tell(kind, error, _trace):
    """The reason is one line."""
    print(f"{kind.__name__}: {error}", file=sys.stderr)


sys.excepthook = tell


def must(holds, reason):
    if not holds:
        raise Deviation(reason)


def open_page(url):
    """The URL that a person is sent to who opened `url`."""
    print(json.dumps({"open": url}), flush=True)
    back = sys.stdin.readline().strip()
    must(back, "the test did not say where the person was sent")
    return back


class ToPlace(HTTPAdapter):
    """Connects to a place of its own for one host. TLS is for the host, and the request keeps its URL."""

    def __init__(self, host, place):
        self.host, self.place = host, place
        super().__init__()

    def init_poolmanager(self, *arguments, **options):
        super().init_poolmanager(*arguments, **options, server_hostname=self.host, assert_hostname=self.host)

    def send(self, request, **options):
        url = urlsplit(request.url)
        sent = request.copy()
        sent.headers["Host"] = url.netloc
        sent.url = url._replace(netloc=self.place).geturl()
        response = super().send(sent, **options)
        response.url, response.request = request.url, request
        return response


def prepare(session, client):
    """Makes a session trust the server's CA alone, find its hosts, and show the client's certificate if it has one."""
    session.trust_env = False
    session.verify = INPUT["ca"]
    if "certificate" in client:
        session.cert = (client["certificate"], client["key"])
    for host, place in INPUT.get("resolve", {}).items():
        session.mount(f"https://{host}", ToPlace(host.partition(":")[0], place))
    return session


def metadata(client):
    """What the server says of itself (RFC 8414 §3.3)."""
    response = prepare(requests.Session(), client).get(f"{INPUT['issuer']}/.well-known/oauth-authorization-server")
    must(response.status_code == requests.codes.ok, f"the metadata are answered by {response.status_code}")
    found = response.json()
    must(found["issuer"] == INPUT["issuer"], f"the metadata are those of {found['issuer']}")
    return found


def judge(name, steps):
    """Does the steps of the input in their order and prints what they found."""
    found = []
    for step in INPUT["steps"]:
        must(step in steps, f"there is no step {step}; there are {', '.join(steps)}")
        try:
            found.append({"step": step, **(steps[step]() or {})})
        except Exception as error:
            raise Deviation(f"{step}: {type(error).__name__}: {error}") from error
    print(json.dumps({"judge": name, "steps": found}))
