"""Teaches schemathesis the product's media types: bytes go out and come in as they are."""

import schemathesis


@schemathesis.serializer("application/pdf")
def send(ctx, value):
    if isinstance(value, bytes):
        return value
    return getattr(value, "data", None) or str(value).encode()


@schemathesis.deserializer("application/pdf", "application/zip")
def receive(ctx, response):
    return response.content
