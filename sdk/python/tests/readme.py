"""Runs the server of README.md and sends it a message, a replay, a forgery and a length past all bounds. Prints the statuses, what was stored, and the bodies of the answers."""

import http.client
import http.server
import json
import os
import re
import tempfile
import threading
import time
from pathlib import Path

from samples import BODY, KEY, KEY_ID, headers

text = Path(__file__).resolve().parents[1].joinpath("README.md").read_text(encoding="utf-8")
snippet = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1].replace("whk_…", KEY_ID)
os.environ["WEBHOOK_SECRET"] = KEY["secret"]
stored = []
with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    names = {"store": lambda event: stored.append(event.type)}
    exec(compile(snippet, "README.md", "exec"), names)
    names["Webhooks"].log_message = lambda *_: None
    server = http.server.HTTPServer(("127.0.0.1", 0), names["Webhooks"])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    given = headers(timestamp=int(time.time()))
    statuses, said = [], b""
    endless = {**given, "content-length": "9" * 5_000}  # int() raises for as many digits.
    for body, sent in ((BODY, given), (BODY, given), (b"{}", given), (None, endless)):
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
        connection.request("POST", "/", body, sent)
        answer = connection.getresponse()
        statuses.append(answer.status)
        said += answer.read()
        connection.close()
    server.shutdown()
    thread.join()
    server.server_close()
    os.chdir("/")
print(json.dumps({"statuses": statuses, "stored": stored, "said": said.decode()}))
