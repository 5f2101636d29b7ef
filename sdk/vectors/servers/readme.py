"""Serves the handler of the Python package's README.md over TLS. It says its port, reads the secret and the key's id as JSON, says so, and stops
at the end of its input."""

import http.server
import json
import os
import re
import ssl
import sys
import tempfile
import threading
from pathlib import Path

readme = Path(__file__).resolve().parents[2] / "python" / "README.md"
server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(os.environ["CERTIFICATE"], os.environ["CERTIFICATE_KEY"])
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)

held = json.loads(sys.stdin.readline())
os.environ["WEBHOOK_SECRET"] = held["secret"]
snippet = re.search(r"```python\n(.*?)```", readme.read_text(encoding="utf-8"), re.DOTALL)[1].replace("whk_…", held["key_id"])
with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    names = {"store": lambda event: print(event.type, flush=True)}
    exec(compile(snippet, "README.md", "exec"), names)
    names["Webhooks"].log_message = lambda *_: None
    server.RequestHandlerClass = names["Webhooks"]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()
    server.shutdown()
    os.chdir("/")
