"""Compose file, nginx and the systemd unit, read against the settings and the image: no engine runs them here."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr

from gateway.config.loading import load_settings
from gateway.config.rendering import secret_settings, settings_table

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text("utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
UNIT = (ROOT / "deploy/systemd/d365-graphql.service").read_text("utf-8")
(EXPOSED,) = re.findall(r"^EXPOSE (\d+)", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
NGINX = (ROOT / "deploy/nginx.conf").read_text("utf-8")
GATEWAYS = ("gateway-1", "gateway-2")
KNOWN = {row.variable for row in settings_table()} | {
    f"D365_{name.replace('.', '__')}_FILE".upper() for name in secret_settings()
}


def test_there_are_two_gateways_and_what_they_share() -> None:
    assert {"balancer", "sandbox", "valkey", "postgres", "migrate", *GATEWAYS} <= set(SERVICES)


def test_images_are_pinned_by_an_exact_version() -> None:
    for name, service in SERVICES.items():
        assert re.search(r":v?\d+\.\d+(\.\d+)?(-[a-z]+)?$", service["image"]), name


@pytest.mark.parametrize("name", GATEWAYS)
def test_the_gateway_accepts_the_variables(name: str) -> None:
    variables = SERVICES[name]["environment"]

    settings = load_settings(variables)

    assert set(variables) <= KNOWN
    assert str(settings.url).startswith("http://sandbox:")
    assert isinstance(settings.store, SecretStr)
    assert "@postgres/" in settings.store.get_secret_value()


def test_names_and_ports_lead_to_services() -> None:
    variables = SERVICES["gateway-1"]["environment"]
    port = SERVICES["sandbox"]["command"][-1]

    assert variables["D365_URL"] == f"http://sandbox:{port}/data"
    assert "//valkey:6379" in variables["D365_REPLICAS__ADDRESS"]
    assert variables["D365_ALLOWED_HOSTS"].split(",") == list(GATEWAYS)
    assert re.findall(r"server (\S+):(\d+) ", NGINX) == [(name, EXPOSED) for name in GATEWAYS]


def test_prometheus_reads_both_gateways_with_their_key() -> None:
    variables = SERVICES["gateway-1"]["environment"]
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text("utf-8"))
    (job,) = config["scrape_configs"]
    script = SERVICES["migrate"]["command"][-1]
    key = job["authorization"]["credentials_file"]

    port = variables["D365_ADMIN__PORT"]
    assert job["static_configs"][0]["targets"] == [f"{name}:{port}" for name in GATEWAYS]
    assert f"key={key};" in script
    assert "--role admin" in script
    assert any(volume.startswith("data:") for volume in SERVICES["prometheus"]["volumes"])


def test_prometheus_accepts_its_file(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is missing: install Debian's prometheus")
    text = (ROOT / "deploy/prometheus/prometheus.yml").read_text("utf-8")
    key = tmp_path / "key"
    key.write_text("k", "utf-8")
    file = tmp_path / "prometheus.yml"
    file.write_text(
        text.replace(
            "/etc/prometheus/alerts.yml", str(ROOT / "deploy/prometheus/alerts.yml")
        ).replace("/var/lib/d365-graphql/metrics-key", str(key)),
        "utf-8",
    )

    run = subprocess.run(
        [promtool, "check", "config", str(file)], capture_output=True, text=True, check=False
    )

    assert run.returncode == 0, run.stdout + run.stderr


def test_only_loopback_is_published() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]

    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


@pytest.mark.parametrize("name", GATEWAYS)
def test_containers_write_only_to_volumes(name: str) -> None:
    service = SERVICES[name]
    mounted = [volume.split(":")[1] for volume in service["volumes"]]

    assert service["read_only"] is True
    assert mounted == [service["environment"][f"D365_{each}_DIR"] for each in ("CACHE", "DATA")]


def test_files_that_are_mounted_exist() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert not source.startswith(".") or (ROOT / "deploy" / source).exists(), source


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is missing: install Debian's systemd")
    file = tmp_path / "d365-graphql.service"
    # The program is not installed there.
    file.write_text(UNIT.replace("/opt/d365-graphql/.venv/bin/d365-graphql", "/bin/true"), "utf-8")

    run = subprocess.run(
        [analyze, "verify", "--man=no", str(file)], capture_output=True, text=True, check=False
    )

    assert (run.returncode, run.stdout + run.stderr) == (0, "")


def test_the_unit_names_settings_and_its_own_folders() -> None:
    pairs = re.findall(r"(D365_\w+)=(\S+)", UNIT)

    assert {name for name, _ in pairs} <= KNOWN
    named = dict(pairs)
    assert named["D365_DATA_DIR"] == f"/var/lib/{re.findall('StateDirectory=(.+)', UNIT)[0]}"
    assert named["D365_CACHE_DIR"] == f"/var/cache/{re.findall('CacheDirectory=(.+)', UNIT)[0]}"


def test_nginx_accepts_its_file(tmp_path: Path) -> None:
    nginx = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if nginx is None:
        pytest.skip("nginx is missing: install Debian's nginx-light")
    text = NGINX
    for name in GATEWAYS:  # names of the network that compose makes
        text = text.replace(f"server {name}:", "server 127.0.0.1:")
    file = tmp_path / "nginx.conf"
    file.write_text(text, "utf-8")

    run = subprocess.run(
        [nginx, "-t", "-q", "-c", str(file), "-p", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stderr
