"""Wheels of this project, and environments that they are installed into."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SPARK = "clients/spark/d365_graphql_spark"
BESIDE = ("scripts", "pyproject.toml", "README.md", "LICENSE")
SOURCES = ("gateway", "schema", SPARK, *BESIDE)
OF_THE_PAGE = ("gateway/graphiql", *BESIDE)
"""What a build of the page reads; the rest of the code takes most of the time of a build."""
BUILT = ("__pycache__", "node_modules", "assets")


def source_tree(folder: Path, *, assets: bool, names: tuple[str, ...] = SOURCES) -> Path:
    """Copy what a wheel is built of; without ``assets`` nothing of it is built yet."""
    left = shutil.ignore_patterns(*(name for name in BUILT if not (assets and name == "assets")))
    for name in names:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=left)
        else:
            shutil.copy2(source, folder / name)
    shutil.copy2(ROOT / ".gitignore", folder / ".gitignore")
    return folder


def build_wheel(tree: Path, target: str = "wheel", **variables: str) -> tuple[Path, str]:
    """Build a distribution as pip does, without an environment of the build's own; return it and what was said."""
    out = tree / "dist"
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(out)]
    done = subprocess.run(
        command,
        cwd=tree,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (found,) = out.iterdir()
    return found, done.stdout + done.stderr


@dataclass(frozen=True)
class Environment:
    """A virtual environment with a wheel in it, and the dependencies of this one on its path."""

    folder: Path

    @property
    def program(self) -> Path:
        return self.folder / "bin/d365-graphql"

    @property
    def packages(self) -> Path:
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        return self.folder / "lib" / version / "site-packages"

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the installed program to its end, away from the repository."""
        return subprocess.run(
            [self.program, *arguments],
            cwd=self.folder,
            env=self.variables(),
            capture_output=True,
            text=True,
            check=False,
        )

    def variables(self) -> dict[str, str]:
        """Return an environment without settings and without a path to the repository."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("D365_", "PYTHON"))}
        folders = {
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "XDG_DATA_HOME": str(self.folder / "data"),
        }
        return {**kept, **folders, "COLUMNS": "200"}


def installed(wheel: Path, folder: Path) -> Environment:
    """Install a wheel as pip does. Its dependencies are those of the tests: a path to them, after its own."""
    venv.create(folder, with_pip=False)
    found = Environment(folder)
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin/python")]
    options = ["install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
    # Most modules are never imported here.
    options.append("--no-compile")
    subprocess.run([*pip, *options, str(wheel)], check=True, cwd=folder)
    paths = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    paths |= {path for path in sys.path if path.endswith("site-packages")}
    (found.packages / "dependencies.pth").write_text("\n".join(sorted(paths)) + "\n", "utf-8")
    return found
