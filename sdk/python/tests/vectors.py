"""Runs the vectors of the wire format. Prints how many were run for each profile, as JSON; ends with 1 if one came out
differently. Usage: python vectors.py [profile…]"""

import base64
import json
import sys

from countersign_webhooks import (
    Attempt,
    Key,
    MemoryReplayStore,
    StaticKeys,
    VerifyOptions,
    WebhookRefused,
    WebhookRequest,
    jwk_set,
    verify,
)
from samples import FILE

RECEIVERS = [["v1"], ["v1a"], ["v1", "v1a"], ["http-message-signature"]]


def held(ids, profiles):
    """What the receiver holds: nothing that another profile needs."""
    if profiles == ["http-message-signature"]:
        return jwk_set({"keys": [key for key in FILE["jwks"]["keys"] if key["kid"] in ids]})
    members = {"v1": "secret", "v1a": "public"}
    return StaticKeys(Key(id, **{members[name]: FILE["keys"][id][members[name]] for name in profiles}) for id in ids)


def outcome(vector, profiles):
    replay = MemoryReplayStore()
    for id, timestamp_s in vector["seen"]:
        replay.take(Attempt(id, timestamp_s, timestamp_s, timestamp_s + 2 * FILE["receiver"]["window_s"] + 1))
        replay.acted(id, timestamp_s, timestamp_s + 35 * 86_400)
    asked = vector["request"]
    body = base64.b64decode(asked["body_base64"])
    request = WebhookRequest(asked["headers"], body, asked["method"], asked["url"])
    options = VerifyOptions(
        keys=held(vector["keys"], profiles),
        replay=replay,
        profile="http-message-signature" if profiles == ["http-message-signature"] else "message",
        window_s=FILE["receiver"]["window_s"],
        body_max_bytes=FILE["receiver"]["body_max_bytes"],
        clock=lambda: vector["now"],
    )
    try:
        return "duplicate" if verify(request, options).duplicate else "accepted"
    except WebhookRefused as refused:
        return refused.code


def main():
    run, wrong = {}, 0
    wanted = sys.argv[1:] or ["+".join(profiles) for profiles in RECEIVERS]
    for profiles in RECEIVERS:
        name = "+".join(profiles)
        if name not in wanted:
            continue
        run[name] = 0
        for vector in FILE["vectors"]:
            if not set(profiles) <= set(vector["profiles"]):
                continue
            run[name] += 1
            found = outcome(vector, profiles)
            if found != vector["expect"]:
                wrong += 1
                print(f"{name}: {vector['name']}: {found}, and must be {vector['expect']}", file=sys.stderr)
    print(json.dumps(run))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
