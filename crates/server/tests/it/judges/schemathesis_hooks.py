"""Teaches schemathesis to send PDF bodies: bytes go out as they are."""

import schemathesis


@schemathesis.serializer("application/pdf")
def as_it_is(ctx, value):
    if isinstance(value, bytes):
        return value
    return getattr(value, "data", None) or str(value).encode()


def whole(value):
    """JSON Schema calls 12.0 an integer. No serializer writes one so, and the server does not read it."""
    if isinstance(value, dict):
        return {name: whole(one) for name, one in value.items()}
    if isinstance(value, list):
        return [whole(one) for one in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


@schemathesis.hook
def map_body(context, body):
    return whole(body)
