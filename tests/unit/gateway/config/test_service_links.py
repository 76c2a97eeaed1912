"""Variables that Kubernetes adds for services are not settings; all others are."""

from __future__ import annotations

import pytest

from gateway.config.loading import load_settings
from gateway.errors import SettingsError


def links(service: str, host: str = "10.0.0.11", proto: str = "tcp") -> dict[str, str]:
    """Return what Kubernetes' documentation lists for a service with one named port."""
    url = f"{proto}://{host if ':' not in host else f'[{host}]'}:6379"
    port = f"{service}_PORT_6379_{proto.upper()}"
    return {
        f"{service}_SERVICE_HOST": host,
        f"{service}_SERVICE_PORT": "6379",
        f"{service}_SERVICE_PORT_HTTP_API": "6379",
        f"{service}_PORT": url,
        port: url,
        f"{port}_PROTO": proto,
        f"{port}_PORT": "6379",
        f"{port}_ADDR": host,
    }


@pytest.mark.parametrize(
    "environ",
    [
        links("D365"),
        links("D365_GRAPHQL"),
        links("D365_GRAPHQL_2", host="fd00::11"),
        links("D365", proto="udp"),
        links("D365") | links("D365_GRAPHQL") | links("REDIS_PRIMARY"),
    ],
)
def test_variables_of_a_kubernetes_service_are_ignored(environ: dict[str, str]) -> None:
    assert load_settings(environ) == load_settings({})


def test_settings_of_the_pod_count_despite_a_service_of_that_name() -> None:
    assert load_settings({**links("D365"), "D365_PORT": "9000"}).port == 9000


@pytest.mark.parametrize(
    "environ",
    [
        {"D365_PORT": "tcp://10.0.0.11:80"},
        {"D365_SERVICE_HOST": "10.0.0.11"},
        {"D365_GRAPHQL_PORT": "tcp://10.0.0.11:80"},
        {**links("D365"), "D365_SERVICE_HOST": "example.com"},
        {**links("D365"), "D365_GRAPHQL_PORT": "tcp://10.0.0.11:80"},
        {**links("D365"), "D365_SERVICE_PORT_HTTP": "http"},
        {**links("D365"), "D365_PORTT": "9000"},
        {**links("D365_GRAPHQL"), "D365_GRAPHQL_URL": "https://x.example"},
    ],
)
def test_incomplete_families_of_variables_are_refused(environ: dict[str, str]) -> None:
    with pytest.raises(SettingsError):
        load_settings(environ)
