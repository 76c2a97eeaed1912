"""There is no engine here to build the image with: its steps are the Makefile's steps, and the rest is read."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent


def instructions():
    """``[("FROM", "node:22 AS page"), …]``: comments gone, continued lines joined."""
    text = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [tuple(line.split(" ", 1)) for line in lines]


STEPS = instructions()
LAST = STEPS[max(i for i, (word, _) in enumerate(STEPS) if word == "FROM") :]


def test_each_make_step_is_a_target():
    steps = [a for word, a in STEPS if word == "RUN" and a.startswith("make ")]

    assert steps == ["make page", "make setup"]
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {s.split()[1] for s in steps} <= set(targets)


def test_the_image_holds_what_its_starts_would_compile():
    (compiling,) = [a for word, a in STEPS if word == "RUN" and "compileall" in a]
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    packages = build["targets"]["wheel"]["packages"]

    assert STEPS.index(("RUN", "make setup")) + 1 == STEPS.index(("RUN", compiling))
    assert "--invalidation-mode unchecked-hash" in compiling
    assert compiling.split()[-2:] == [p for p in packages if ("COPY", f"{p} {p}") in STEPS]


def test_what_is_copied_exists_and_is_not_ignored():
    allowed = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line.startswith("!")
    }
    copied = [a.split() for word, a in STEPS if word == "COPY" and not a.startswith("--from")]

    for *sources, _ in copied:
        for source in sources:
            assert (ROOT / source).exists(), source
            assert source.split("/")[0] in allowed, source


def test_each_stage_that_is_copied_from_exists():
    stages = {a.split(" AS ")[1] for word, a in STEPS if word == "FROM" and " AS " in a}
    copied = {
        a.split()[0].removeprefix("--from=")
        for word, a in STEPS
        if word == "COPY" and a.startswith("--from")
    }

    assert copied == stages


def test_both_python_stages_are_the_same_python():
    """A virtual environment does not move to another one."""
    pythons = {a.split()[0] for word, a in STEPS if word == "FROM" and a.startswith("python")}

    assert len(pythons) == 1


def test_base_images_are_pinned_by_an_exact_version_or_a_digest():
    images = [a.split()[0] for word, a in STEPS if word == "FROM"]

    assert len(images) == 3
    for image in images:
        assert re.search(r":\d+\.\d+\.\d+(-[a-z-]+)?(@sha256:[0-9a-f]{64})?$", image), image


def test_a_container_is_no_open_door_until_somebody_says_so():
    set_by_image = dict(
        pair.split("=", 1) for word, a in LAST if word == "ENV" for pair in a.split()
    )
    (command,) = [json.loads(a) for word, a in LAST if word == "CMD"]

    assert set_by_image["D365_READ_ONLY"] == "true"
    assert set_by_image["D365_GRAPHIQL"] == "false"
    # With a real environment it does not start before the settings say who may call.
    assert not [name for name in set_by_image if name.startswith("D365_INBOUND")]
    assert "--sandbox" not in command


def test_it_runs_as_nobody_special():
    (user,) = [a for word, a in LAST if word == "USER"]

    assert int(user) > 0


def test_it_says_whether_it_is_well():
    (check,) = [a for word, a in LAST if word == "HEALTHCHECK"]
    command = json.loads(check.partition("CMD ")[2])

    assert command[0] == "python"
    compile(command[2], "healthcheck", "exec")


@pytest.mark.parametrize(
    ("variables", "asked"),
    [({}, "8000"), ({"D365_PORT": "9000"}, "9000"), ({"D365_PORT": ""}, "8000")],
)
def test_the_health_check_follows_the_port(variables, asked, monkeypatch):
    (check,) = [a for word, a in LAST if word == "HEALTHCHECK"]
    opened = []
    monkeypatch.setattr("urllib.request.urlopen", lambda url, **_: opened.append(url))
    monkeypatch.delenv("D365_PORT", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    exec(json.loads(check.partition("CMD ")[2])[2], {})

    assert opened == [f"http://127.0.0.1:{asked}/healthz"]


def test_what_is_written_is_in_volumes_of_its_user():
    (volumes,) = [json.loads(a) for word, a in LAST if word == "VOLUME"]
    variables = dict(pair.split("=", 1) for word, a in LAST if word == "ENV" for pair in a.split())
    (made,) = [a for word, a in LAST if word == "RUN"]

    assert volumes == [variables["D365_DATA_DIR"], variables["D365_CACHE_DIR"]]
    assert f"install -d -o 10001 -m 700 {' '.join(volumes)}" in made


def test_it_listens_where_it_says():
    assert ("EXPOSE", "8000") in LAST
    (command,) = [json.loads(a) for word, a in LAST if word == "CMD"]
    assert command == ["d365-graphql", "serve", "--host", "0.0.0.0"]


@pytest.mark.parametrize("target", ["serve", "setup", "page", "test", "lint", "format", "bench"])
def test_make_knows_its_targets_and_lists_them(target):
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)

    assert re.search(rf"^  {target} ", listed.stdout, re.MULTILINE)


def test_no_lock_names_a_registry_or_a_place_on_a_machine():
    for name in ("requirements.lock", "requirements-dev.lock", "scripts/installer.lock"):
        text = (ROOT / name).read_text()

        assert not re.search(r"(https?|file)://|/(home|root|opt|work)/|--(index|find)", text), name
        assert "--hash=sha256:" in text


@pytest.mark.parametrize(
    ("name", "extra"), [("requirements.lock", None), ("requirements-dev.lock", "dev")]
)
def test_the_locks_hold_what_the_project_asks_for(name, extra):
    """Red after a change of the dependencies: run `make lock`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"]]
    if extra:
        asked += project["optional-dependencies"][extra]
    locked = dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", (ROOT / name).read_text(), re.MULTILINE))

    for requirement in map(Requirement, asked):
        version = locked.get(requirement.name.lower())
        assert version, f"{requirement.name} is not in {name}: run `make lock`"
        assert requirement.specifier.contains(version), f"{requirement}: {version} in {name}"
