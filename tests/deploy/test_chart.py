"""The Helm chart, rendered by Helm's own library and checked against the schemas of Kubernetes, without a cluster."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import helm_python
import pytest
import yaml

from gateway.cli.draining import longest_end
from gateway.config.loading import load_settings
from gateway.config.rendering import settings_table
from gateway.config.settings import Settings

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "d365-graphql-gateway"
KUBERNETES = "1.34"
FOREIGN = {"ServiceMonitor", "ExternalSecret"}
"""Kinds of operators, which Kubernetes has no schemas of."""
SETTINGS = {
    "url": "https://contoso.operations.dynamics.com/data",
    "auth": "workload_identity",
    "inbound": {"anonymous": True},
    "cache": {"ttl": 300},
}
MINIMAL: dict[str, Any] = {}
FULL = {
    "image": {"digest": f"sha256:{'0' * 64}"},
    "settings": SETTINGS,
    "secrets": {
        "external": {
            "enabled": True,
            "storeRef": {"name": "vault"},
            "data": [{"secretKey": "store", "remoteRef": {"key": "d365-store"}}],
        }
    },
    "workloadIdentity": {"enabled": True, "clientId": "11111111-2222-3333-4444-555555555555"},
    "store": {"migrate": True},
    "ingress": {
        "enabled": True,
        "className": "nginx",
        "hosts": ["api.example.com"],
        "tls": [{"secretName": "api-tls", "hosts": ["api.example.com"]}],
    },
    "autoscaling": {"enabled": True, "targetActiveOperations": 20},
    "networkPolicy": {
        "enabled": True,
        "metricsFrom": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
        "egress": [{"ports": [{"port": 5432, "protocol": "TCP"}]}],
    },
    "metrics": {"serviceMonitor": {"enabled": True, "credentials": {"name": "d365-metrics"}}},
    "persistence": {"cache": {"existingClaim": "d365-cache"}},
    "podLabels": {"team": "integration"},
    "podAnnotations": {"note": "x"},
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "x", "operator": "Exists"}],
    "extraEnv": [{"name": "D365_COMPANIES", "value": "usmf"}],
    "extraVolumes": [{"name": "documents", "configMap": {"name": "documents"}}],
    "extraVolumeMounts": [{"name": "documents", "mountPath": "/etc/documents"}],
}
EXISTING = {
    "secrets": {"existingSecret": "d365"},
    "serviceAccount": {"create": False, "name": "gateway"},
    "podDisruptionBudget": {"enabled": False},
    "topologySpreadConstraints": [],
}
VALUES: Mapping[str, dict[str, Any]] = {"minimal": MINIMAL, "full": FULL, "existing": EXISTING}


def checked(values: dict[str, Any]) -> dict[str, str]:
    chart = helm_python.Chart.load(CHART)
    chart.validate_schema(values)
    return chart.render(values, name="erp", namespace="prod")


@cache
def rendered(name: str) -> tuple[dict[str, Any], ...]:
    texts = [text for path, text in checked(VALUES[name]).items() if path.endswith(".yaml")]
    return tuple(m for text in texts for m in yaml.safe_load_all(text) if m)


def one(name: str, kind: str) -> dict[str, Any]:
    (manifest,) = [m for m in rendered(name) if m["kind"] == kind]
    return manifest


def pod(name: str, kind: str = "Deployment") -> dict[str, Any]:
    spec: dict[str, Any] = one(name, kind)["spec"]["template"]["spec"]
    return spec


def variables(name: str, kind: str = "Deployment") -> dict[str, str]:
    return {each["name"]: each["value"] for each in pod(name, kind)["containers"][0]["env"]}


@pytest.mark.parametrize("name", VALUES)
def test_kubernetes_accepts_every_manifest(name: str) -> None:
    import kubernetes_validate  # takes a second of every process that collects tests

    for manifest in rendered(name):
        if manifest["kind"] not in FOREIGN:
            kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


@pytest.mark.parametrize("name", VALUES)
def test_helm_finds_no_fault(name: str) -> None:
    report = helm_python.chart.lint(CHART, VALUES[name], strict=True, kube_version="v1.34.0")

    serious = [m for m in report["messages"] if m["severity"] > 1]
    assert (serious, report["errors"]) == ([], [])


def test_all_switches_make_all_kinds() -> None:
    minimal = {"ConfigMap", "Deployment", "PodDisruptionBudget", "Service", "ServiceAccount"}

    assert {m["kind"] for m in rendered("minimal")} == minimal
    assert {m["kind"] for m in rendered("full")} == minimal | FOREIGN | {
        "HorizontalPodAutoscaler",
        "Ingress",
        "Job",
        "NetworkPolicy",
    }
    assert {m["kind"] for m in rendered("existing")} == {"ConfigMap", "Deployment", "Service"}


@pytest.mark.parametrize(
    "values",
    [
        {"replicas": 2},
        {"settings": {"client_secret": "x"}},
        {"terminationGracePeriodSeconds": 5},
        {"image": {"digest": "latest"}},
        {"workloadIdentity": {"enabled": True}},
        {"ingress": {"enabled": True}},
    ],
)
def test_values_that_cannot_work_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(helm_python.HelmError):
        checked(values)


@pytest.mark.parametrize("name", VALUES)
def test_variables_are_settings_of_the_gateway(name: str) -> None:
    known = {row.variable for row in settings_table()}
    jobs = [
        kind for kind in ("Deployment", "Job") if any(m["kind"] == kind for m in rendered(name))
    ]

    for kind in jobs:
        assert set(variables(name, kind)) <= known


def test_the_gateway_accepts_the_settings(tmp_path: Path) -> None:
    text = one("full", "ConfigMap")["data"]["gateway.toml"]
    file = tmp_path / "gateway.toml"
    file.write_text(text, encoding="utf-8")
    environment = variables("full") | {
        "D365_SECRETS_DIR": str(tmp_path),
        "D365_CREDENTIALS__FEDERATED_TOKEN_FILE": str(tmp_path / "token"),
        "D365_TENANT_ID": "00000000-0000-0000-0000-000000000000",
        "D365_CLIENT_ID": "11111111-2222-3333-4444-555555555555",
    }

    settings = load_settings(environment, file)

    assert tomllib.loads(text)["read_only"] is True  # a default of the chart beside the values
    assert (settings.admin.host, settings.admin.port) == ("0.0.0.0", 9090)
    assert settings.cache.ttl == 300


def test_ports_and_probes_are_those_of_the_command() -> None:
    (container,) = pod("full")["containers"]
    arguments = container["args"]
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}

    assert ports == {
        "http": int(arguments[arguments.index("--port") + 1]),
        "admin": int(variables("full")["D365_ADMIN__PORT"]),
    }
    probes = {
        probe: (container[probe]["httpGet"]["path"], container[probe]["httpGet"]["port"])
        for probe in ("startupProbe", "readinessProbe", "livenessProbe")
    }
    assert probes == {
        "startupProbe": ("/startupz", "admin"),
        "readinessProbe": ("/readyz", "http"),
        "livenessProbe": ("/livez", "admin"),
    }


@pytest.mark.parametrize("name", VALUES)
def test_a_pod_may_write_only_where_it_has_a_volume(name: str) -> None:
    spec = pod(name)
    (container,) = spec["containers"]
    mounts = {each["mountPath"]: each.get("readOnly", False) for each in container["volumeMounts"]}
    folders = [variables(name)[each] for each in ("D365_CACHE_DIR", "D365_DATA_DIR")]

    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert [mounts[folder] for folder in [*folders, "/tmp"]] == [False, False, False]
    assert {each["name"] for each in container["volumeMounts"]} == {
        each["name"] for each in spec["volumes"]
    }
    assert spec["securityContext"]["runAsUser"] == image_user() > 0
    assert spec["securityContext"]["runAsNonRoot"] is True


def image_user() -> int:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("USER ")))


def test_a_pod_has_time_to_end_what_runs() -> None:
    spec = pod("full")
    drain = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]

    assert spec["terminationGracePeriodSeconds"] >= drain + longest_end(Settings(host="0.0.0.0"))


def test_compose_and_systemd_give_it_time_too() -> None:
    compose = (ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8")
    unit = (ROOT / "deploy" / "systemd" / "d365-graphql.service").read_text(encoding="utf-8")
    times = (r"stop_grace_period: (\d+)s", compose), (r"TimeoutStopSec=(\d+)", unit)

    for pattern, text in times:
        found = re.search(pattern, text)
        assert found is not None
        assert int(found[1]) >= longest_end(Settings(host="0.0.0.0"))


def test_the_names_of_service_and_ingress_are_allowed() -> None:
    hosts = variables("full")["D365_ALLOWED_HOSTS"].split(",")

    assert hosts == ["erp", "erp.prod", "erp.prod.svc", "api.example.com"]


def test_the_chart_is_of_this_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))

    assert chart["appVersion"] == chart["version"] == project["version"]


def test_the_metric_that_scales_exists() -> None:
    metrics = one("full", "HorizontalPodAutoscaler")["spec"]["metrics"]
    names = [each["pods"]["metric"]["name"] for each in metrics if each["type"] == "Pods"]
    documented = (ROOT / "docs" / "operating" / "metrics.md").read_text(encoding="utf-8")

    assert names == ["d365_gateway_active_operations"]
    assert names[0] in documented
