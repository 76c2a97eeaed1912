"""Answers of the sandbox: what those to writes say, and one that no service should give."""

from __future__ import annotations

import base64
import re

from gateway.sandbox.settings import Fault

ERROR_IN_OK = Fault(status=200, body='{"error":{"code":"","message":"An error has occurred."}}')
"""An error under status 200."""


def inner(answer):
    """Return the inner message of an error answer, whose envelope is checked."""
    error = answer.json()["error"]
    assert (error["code"], error["message"]) == ("", "An error has occurred.")
    assert error["innererror"]["stacktrace"].startswith("   at ")
    return error["innererror"]["message"]


def decoded(tag):
    """Return the content of a weak etag."""
    return base64.b64decode(re.sub(r'^W/"(.*)"$', r"\1", tag)).decode()
