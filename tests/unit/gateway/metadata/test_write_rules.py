"""Write rules of the settings, with the posting service of the sandbox."""

from typing import Any

import pytest

from gateway.config.settings import Settings
from gateway.metadata.write_rules import write_rules
from gateway.odata.finops import FINOPS

(POST,) = FINOPS.services


def services_of(**values: Any) -> list[tuple[str, str]]:
    rules = write_rules(Settings(**values))
    assert rules is not None
    return [(service.name, service.path) for service in rules.services]


def test_the_sandbox_posts_journals_without_a_declaration() -> None:
    assert services_of() == [(POST.name, POST.path)]


@pytest.mark.parametrize(
    "values",
    [
        {"url": "https://x.example/data", "auth": "none"},
        {"metadata": "some.xml"},
        {"sandbox": {"metadata": "some.xml"}},
    ],
    ids=["another-service", "other-metadata", "a-sandbox-of-another-document"],
)
def test_only_the_sandbox_gets_its_service(values: dict[str, Any]) -> None:
    assert services_of(**values) == []


@pytest.mark.parametrize(
    ("name", "path"), [("post", POST.path), (POST.name, "Group/Service/operation")]
)
def test_declared_services_override_the_sandboxs(name: str, path: str) -> None:
    declared = [{"name": name, "path": path}]

    assert services_of(writes={"services": declared}) == [(name, path)]
