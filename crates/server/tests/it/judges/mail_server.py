"""A mail server for the tests: takes mails with STARTTLS or implicit TLS, answers as told, and checks DKIM.

Usage: mail_server.py FOLDER starttls|tls|plain ANSWER...

FOLDER holds cert.pem and key.pem; dkim.pem is made there. Each ANSWER is what the next RCPT gets, or the next DATA, MAIL
or EHLO if it begins with `data `, `from ` or `ehlo `; the rest are taken. `auth PASSWORD` is the only password that is
taken, and makes one needed.
Prints a line of JSON for each thing that happens: listening, ehlo, auth, from, rcpt, mail.
"""

import asyncio
import base64
import json
import logging
import pathlib
import ssl
import sys
import warnings

import dkim
from aiosmtpd.smtp import SMTP, AuthResult, TLSSetupException
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

FOLDER, MODE = pathlib.Path(sys.argv[1]), sys.argv[2]
KINDS = ("data ", "from ", "ehlo ", "auth ")
TO_RCPT = [answer for answer in sys.argv[3:] if not answer.startswith(KINDS)]
TO_DATA, TO_MAIL, TO_EHLO, PASSWORDS = (
    [answer.removeprefix(kind) for answer in sys.argv[3:] if answer.startswith(kind)] for kind in KINDS
)

# Clients that break off TLS, and passwords without it, are what the tests do on purpose.
warnings.filterwarnings("ignore", message="Requiring AUTH")
LOG = logging.getLogger("mail.log")
LOG.setLevel(logging.ERROR)
LOG.addFilter(lambda record: not record.exc_info or record.exc_info[0] is not TLSSetupException)


def say(**what):
    print(json.dumps(what), flush=True)


def make_dkim_key():
    """Writes the private key; gives what the DNS would hold."""
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    (FOLDER / "dkim.pem").write_bytes(pem)
    (FOLDER / "dkim.pem").chmod(0o600)
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)


RECORD = make_dkim_key()
ASKED = []


def dns(name, timeout=5):
    ASKED.append(name.decode())
    return RECORD


def verifies(message):
    try:
        return dkim.verify(message, dnsfunc=dns)
    except dkim.DKIMException:
        return False


def check_password(server, session, envelope, mechanism, data):
    right = data.password.decode() in PASSWORDS
    say(event="auth", right=right)
    return AuthResult(success=right, handled=False)


class Handler:
    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        if TO_EHLO:
            say(event="ehlo", answer=TO_EHLO[0])
            return [TO_EHLO.pop(0)]
        return responses

    async def handle_MAIL(self, server, session, envelope, address, options):
        answer = TO_MAIL.pop(0) if TO_MAIL else "250 OK"
        say(event="from", tls=session.ssl is not None, address=address, answer=answer)
        if answer.startswith("250"):
            envelope.mail_from = address
        return answer

    async def handle_RCPT(self, server, session, envelope, address, options):
        answer = TO_RCPT.pop(0) if TO_RCPT else "250 OK"
        say(event="rcpt", answer=answer, address=address)
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server, session, envelope):
        answer = TO_DATA.pop(0) if TO_DATA else "250 OK"
        message = envelope.original_content
        changed = message.replace(b"Subject:", b"Subject: x", 1)
        say(
            event="mail",
            answer=answer,
            tls=session.ssl is not None or MODE == "tls",
            message=message.decode(),
            dkim=verifies(message),
            dkim_when_changed=verifies(changed),
            dkim_name=ASKED[0] if ASKED else None,
        )
        return answer


async def main():
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(FOLDER / "cert.pem", FOLDER / "key.pem")
    loop = asyncio.get_running_loop()
    starttls = dict(tls_context=context, require_starttls=True) if MODE == "starttls" else {}
    # aiosmtpd does not notice TLS that was there before it.
    auth = dict(authenticator=check_password, auth_required=True, auth_require_tls=False) if PASSWORDS else {}
    server = await loop.create_server(
        lambda: SMTP(Handler(), loop=loop, hostname="mail.test", **starttls, **auth),
        "127.0.0.1",
        0,
        ssl=context if MODE == "tls" else None,
    )
    say(event="listening", port=server.sockets[0].getsockname()[1])
    await server.serve_forever()


asyncio.run(main())
