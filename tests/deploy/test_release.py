"""`make release`: its files, twice the same, and what it refuses."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import helm_python
import pytest

ROOT = Path(__file__).parents[2]
COPIED = (
    *("pyproject.toml", "requirements.lock", "CHANGELOG.md", "README.md", "LICENSE", "Makefile"),
    *("Dockerfile", ".dockerignore", "deploy", "scripts"),
    "clients/typescript/package.json",
)


def load() -> Any:
    spec = spec_from_file_location("release", ROOT / "scripts" / "release.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


release = load()


def no_wheel(_root: Path, target: Path, environment: Mapping[str, str]) -> None:
    """Stands for the build of the wheel, which tests/test_wheel.py has."""
    (target / "gateway.whl").write_text(environment["SOURCE_DATE_EPOCH"], "utf-8")


def no_client(_root: Path, target: Path, _environment: Mapping[str, str]) -> None:
    """Stands for the package of the client, which tests/clients/test_typescript_client.py has."""
    (target / "client.tgz").write_text("packed", "utf-8")


def make(root: Path, target: Path) -> None:
    release.release(root, target, draft=True, wheel=no_wheel, client=no_client)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with what a release consists of."""
    root = tmp_path_factory.mktemp("tree")
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / name, root / name)
    (root / "gateway").mkdir()
    (root / "gateway" / "__init__.py").write_text("", "utf-8")
    for command in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", *command], cwd=root, check=True)
    return root


@pytest.fixture(scope="module")
def folders(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    made = [tmp_path_factory.mktemp(name) for name in ("first", "second")]
    for folder in made:
        make(tree, folder)
    return made


def test_two_runs_write_the_same_bytes(folders: list[Path]) -> None:
    first, second = ({f.name: f.read_bytes() for f in folder.iterdir()} for folder in folders)

    assert first == second
    assert len(first) == 7


def test_the_checksums_are_right(folders: list[Path]) -> None:
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=folders[0], check=True)

    sums = (folders[0] / "SHA256SUMS").read_text("utf-8")
    assert {line.split("  ")[1] for line in sums.splitlines()} == {
        file.name for file in folders[0].iterdir()
    } - {"SHA256SUMS"}


def test_helm_reads_the_chart(folders: list[Path]) -> None:
    (file,) = folders[0].glob("d365-graphql-gateway-*.tgz")

    chart = helm_python.Chart.load_archive(file.read_bytes())

    assert chart.name == "d365-graphql-gateway"
    assert "kind: Deployment" in "".join(chart.render({}, name="x", namespace="x").values())


def test_the_context_has_what_the_image_copies(folders: list[Path]) -> None:
    (file,) = folders[0].glob("*-image.tar.gz")
    with tarfile.open(fileobj=io.BytesIO(file.read_bytes())) as archive:
        names = set(archive.getnames())

    assert {"Dockerfile", "Makefile", "requirements.lock", "gateway/__init__.py"} <= names
    assert "scripts/install-locked" in names
    assert not {name for name in names if name.startswith(("deploy", "CHANGELOG"))}


def test_the_bill_of_materials_names_every_locked_package(folders: list[Path]) -> None:
    (file,) = folders[0].glob("*.cdx.json")
    materials = json.loads(file.read_text("utf-8"))
    locked = re.findall(
        r"^([a-z0-9._-]+)==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE
    )

    named = {(each["name"], each["version"]) for each in materials["components"]}

    assert materials["metadata"]["component"]["name"] == "d365-graphql-gateway"
    assert set(locked) == named
    assert str(ROOT) not in file.read_text("utf-8")


def test_the_notes_are_a_section_of_the_changelog() -> None:
    text = "# Changelog\n\n## Unreleased\n\n- new\n\n## [1.2.0] - 2026-11-30\n\n- old\n\n## 1.1.0\n\n- older\n"

    assert release.notes_of(text, "1.2.0", draft=False) == "# d365-graphql-gateway 1.2.0\n\n- old\n"
    assert release.notes_of(text, "1.3.0", draft=True) == "# d365-graphql-gateway 1.3.0\n\n- new\n"
    with pytest.raises(release.ReleaseError, match=r"no section 1\.3\.0"):
        release.notes_of(text, "1.3.0", draft=False)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("deploy/helm/d365-graphql-gateway/Chart.yaml", "appVersion: 0", "appVersion: 9"),
        ("clients/typescript/package.json", '"version": "0', '"version": "9'),
        ("deploy/compose.yaml", "image: d365-graphql-gateway:0", "image: d365-graphql-gateway:9"),
    ],
)
def test_versions_that_differ_make_no_release(
    tree: Path, tmp_path: Path, file: str, old: str, new: str
) -> None:
    root = tmp_path / "tree"
    shutil.copytree(tree, root)
    text = (root / file).read_text("utf-8")
    assert old in text
    (root / file).write_text(text.replace(old, new), "utf-8")

    with pytest.raises(release.ReleaseError, match=r"pyproject.toml says"):
        make(root, tmp_path / "out")


def test_a_version_that_is_not_recorded_makes_no_release(tree: Path, tmp_path: Path) -> None:
    root = tmp_path / "tree"
    shutil.copytree(tree, root)
    version = release.agreed_version(root)
    changelog = (root / "CHANGELOG.md").read_text("utf-8").replace("Unreleased", version, 1)
    (root / "CHANGELOG.md").write_text(changelog, "utf-8")

    with pytest.raises(release.ReleaseError, match="make record"):
        release.release(root, tmp_path / "out", draft=False, wheel=no_wheel, client=no_client)


def test_changes_that_are_not_committed_make_no_release(tree: Path, tmp_path: Path) -> None:
    root = tmp_path / "tree"
    shutil.copytree(tree, root)
    (root / "LICENSE").write_text("x", "utf-8")

    with pytest.raises(release.ReleaseError, match="commit them"):
        make(root, tmp_path / "out")
