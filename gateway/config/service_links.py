"""Recognises the environment variables that Kubernetes adds to every pod of a namespace, for each of its services.

A service named ``d365`` or ``d365-graphql`` has variables that begin like the settings: ``D365_PORT`` with
``tcp://10.0.0.11:80``, ``D365_GRAPHQL_SERVICE_HOST``, … Only complete families in the documented form are recognised,
so that a misspelled setting remains an error.

https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address

_HOST = "_SERVICE_HOST"
_URL = re.compile(r"(?:tcp|udp|sctp)://\S+:\d{1,5}")
_PORT = re.compile(r"\d{1,5}")
_FORMS = (
    (re.compile(r"_SERVICE_PORT(?:_[A-Z0-9_]+)?"), _PORT),
    (re.compile(r"_PORT"), _URL),
    (re.compile(r"_PORT_\d{1,5}_(?:TCP|UDP|SCTP)"), _URL),
    (re.compile(r"_PORT_\d{1,5}_(?:TCP|UDP|SCTP)_PORT"), _PORT),
    (re.compile(r"_PORT_\d{1,5}_(?:TCP|UDP|SCTP)_PROTO"), re.compile("tcp|udp|sctp")),
)
_ADDRESS = re.compile(r"_PORT_\d{1,5}_(?:TCP|UDP|SCTP)_ADDR")


def service_links(environ: Mapping[str, str]) -> frozenset[str]:
    """Return the names of the variables that Kubernetes has added: ``{"D365_PORT", "D365_SERVICE_HOST", …}``.

    A variable that the pod itself sets in another form, such as ``D365_PORT=8000``, is not among them.
    """
    services = [
        name.removesuffix(_HOST)
        for name, value in environ.items()
        if name.endswith(_HOST)
        and _is_address(value)
        and _PORT.fullmatch(environ.get(f"{name.removesuffix(_HOST)}_SERVICE_PORT", ""))
    ]
    return frozenset(
        name
        for name, value in environ.items()
        for service in services
        if name.startswith(f"{service}_") and _is_link(name.removeprefix(service), value)
    )


def _is_link(rest: str, value: str) -> bool:
    if rest == _HOST or _ADDRESS.fullmatch(rest):
        return _is_address(value)
    return any(name.fullmatch(rest) and form.fullmatch(value) for name, form in _FORMS)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
