"""Sends requests to the gateway, and again if it is too busy: by Python's own library, so that nothing is installed.

Errors name the address without its query, for filters hold values of rows; credentials are in no text at all.
"""

from __future__ import annotations

import json
import random
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from typing import Any
from urllib.parse import urlencode

from .options import Options

_RETRIED = frozenset({429, 502, 503, 504})
_LONGEST_WAIT = 300.0
"""Seconds."""
_MAX_ERROR = 1 << 20
"""Bytes of an error that are read."""


class GatewayError(RuntimeError):
    """The gateway could not be reached, or has refused a request."""

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message if code is None else f"{message} ({code})")
        self.code = code


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: another host must not get the credentials."""

    def redirect_request(self, *_: Any) -> None:
        """Return None: the redirect is an error."""


class Connection:
    """Requests to one gateway, with the credentials of its options."""

    def __init__(self, options: Options, sleep: Callable[[float], None] = time.sleep) -> None:
        self._options = options
        self._sleep = sleep
        self._opener = urllib.request.build_opener(_NoRedirects)

    @contextmanager
    def export(self, parameters: Mapping[str, str]) -> Iterator[HTTPResponse]:
        """Yield the response with an export or its description. Raises GatewayError."""
        path = self._options.export_path
        with self._sent(path, f"{path}?{urlencode(parameters)}", None) as response:
            yield response

    def describe(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        """Return the description of an export. Raises GatewayError."""
        with self.export(parameters) as response:
            return _read_json(self._options.export_path, response)

    def query(self, document: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Return the data of a query. Raises GatewayError if it has any error."""
        path = self._options.graphql_path
        body = json.dumps({"query": document, "variables": variables}).encode()
        for attempt in range(self._options.retries + 1):
            with self._sent(path, path, body) as response:
                answer = _read_json(path, response)
            errors = answer.get("errors")
            if not errors:
                data: dict[str, Any] = answer["data"]
                return data
            # Reads that failed for a while only: the operation was answered, and says when to come again.
            wait = errors[0].get("extensions", {}).get("retryAfter")
            if wait is None or attempt == self._options.retries:
                break
            self._wait(attempt, wait)
        raise _error_of(answer, f"{path} has answered with an error.")

    @contextmanager
    def _sent(self, path: str, target: str, body: bytes | None) -> Iterator[HTTPResponse]:
        headers = {"Accept": "application/graphql-response+json, */*;q=0.5"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self._options.credential is not None:
            headers["Authorization"] = self._options.credential
        # Options allow http and https only.
        request = urllib.request.Request(self._options.url + target, body, headers)  # noqa: S310
        with self._opened(path, request) as response:
            try:
                yield response
            except (HTTPException, OSError) as error:
                raise GatewayError(f"The answer of {path} has broken off.") from error

    def _opened(self, path: str, request: urllib.request.Request) -> HTTPResponse:
        """Return the response to a request that is repeated while the gateway is too busy. Raises GatewayError."""
        for attempt in range(self._options.retries + 1):
            is_last = attempt == self._options.retries
            try:
                response: HTTPResponse = self._opener.open(request, timeout=self._options.timeout)
            except urllib.error.HTTPError as refused:
                with refused:
                    wait = refused.headers.get("Retry-After")
                    error = _read_error(path, refused)
                if is_last or refused.code not in _RETRIED:
                    raise error from None
            except (HTTPException, OSError) as failed:
                # URLError says no more than why, and that not in the text of the exception below it.
                reason = getattr(failed, "reason", failed)
                wait = None
                if is_last:
                    raise GatewayError(f"{path} cannot be reached: {reason}.") from None
            else:
                return response
            self._wait(attempt, wait)
        raise AssertionError

    def _wait(self, attempt: int, seconds: object) -> None:
        try:
            wait = float(seconds)  # type: ignore[arg-type] # what is no number is an error as well
        except (TypeError, ValueError):
            wait = 2.0**attempt
        # Partitions that were refused together come back one after the other.
        spread = 1 + random.random() / 4  # noqa: S311 - no secret
        self._sleep(min(max(wait, 0.0), _LONGEST_WAIT) * spread)


def _read_json(path: str, response: HTTPResponse) -> dict[str, Any]:
    """Return the object in a response. Raises GatewayError, HTTPException, OSError."""
    try:
        body: dict[str, Any] = json.load(response)
    except ValueError:
        raise GatewayError(
            f"{path} has answered with no JSON: url is not that of a gateway."
        ) from None
    return body


def _read_error(path: str, refused: urllib.error.HTTPError) -> GatewayError:
    """Return the error in a response."""
    try:
        body = json.loads(refused.read(_MAX_ERROR))
    except (HTTPException, OSError, ValueError):
        body = None
    return _error_of(body, f"{path} has answered with status {refused.code}.")


def _error_of(body: object, otherwise: str) -> GatewayError:
    """Return the first error of a body, with its hint."""
    try:
        error = body["errors"][0]  # type: ignore[index] # bodies of others have none
        extensions = error.get("extensions", {})
        message, hint = str(error["message"]), extensions.get("hint")
        code = extensions.get("code")
    except (TypeError, KeyError, IndexError, AttributeError):
        return GatewayError(otherwise)
    return GatewayError(message if hint is None else f"{message} {hint}", code)
