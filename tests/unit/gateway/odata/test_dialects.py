"""The registry: which dialect a service has, and that the settings offer exactly those that are registered."""

from __future__ import annotations

from typing import get_args

import pytest

from gateway.config.settings import Settings
from gateway.errors import SettingsError
from gateway.odata.dialect import ODATA, Dialect
from gateway.odata.dialects import DIALECTS, SANDBOX, dialect_for, environment_kind
from gateway.odata.finops import FINOPS, NAMESPACE


def test_the_setting_offers_every_registered_dialect() -> None:
    annotation = Settings.model_fields["dialect"].annotation
    offered = {name for choice in get_args(annotation) for name in get_args(choice)}

    assert offered == {dialect.name for dialect in DIALECTS}


def test_names_and_titles_are_unique() -> None:
    assert len({d.name for d in DIALECTS}) == len({d.title for d in DIALECTS}) == len(DIALECTS)


def test_the_sandbox_imitates_finops() -> None:
    assert SANDBOX is FINOPS


@pytest.mark.parametrize(
    ("name", "url", "namespace", "expected"),
    [
        ("finops", "http://localhost/odata", "", FINOPS),
        ("odata", "https://x.operations.dynamics.com/data", NAMESPACE, ODATA),
        (None, "https://x.operations.dynamics.com/data", "", FINOPS),
        (None, "https://x.sandbox.operations.dynamics.com/data", "", FINOPS),
        (None, "https://x.operations.eu.dynamics.com/data", "", FINOPS),
        (None, "https://x.cloudax.dynamics.com/data", "", FINOPS),
        (None, "https://usnconeboxax1aos.axcloud.dynamics.com/data", "", FINOPS),
        (None, "https://erp.example.com/namespaces/AXSF/data", NAMESPACE, FINOPS),
        (None, "https://org.crm4.dynamics.com/api/data/v9.2", "Microsoft.Dynamics.CRM", ODATA),
        (None, "https://api.businesscentral.dynamics.com/v2.0", "Microsoft.NAV", ODATA),
        (None, "https://operations.example.com/odata", "Demo", ODATA),
        (None, "", "", ODATA),
    ],
)
def test_a_dialect_is_named_or_recognised(
    name: str | None, url: str, namespace: str, expected: Dialect
) -> None:
    assert dialect_for(name, url, namespace) is expected


def test_an_unknown_dialect_lists_the_accepted_names() -> None:
    with pytest.raises(SettingsError) as caught:
        dialect_for("oracle", "")

    assert caught.value.hint == "Accepted: finops, odata."


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        ("contoso.operations.dynamics.com", "production"),
        ("contoso.operations.eu.dynamics.com", "production"),
        ("contoso-uat.sandbox.operations.dynamics.com", "test"),
        ("usnconeboxax1aos.cloud.onebox.dynamics.com", None),
        ("contosodev.cloudax.dynamics.com", "development"),
        ("contosodev.axcloud.dynamics.com", "development"),
        ("services.odata.org", None),
        ("127.0.0.1", None),
    ],
)
def test_a_host_shows_what_its_environment_is_for(host: str, kind: str | None) -> None:
    assert environment_kind(host) == kind
