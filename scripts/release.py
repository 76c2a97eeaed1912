"""`make release`: all files of a release in one folder, with their checksums.

    d365_graphql_gateway-VERSION-py3-none-any.whl     for pip
    d365-graphql-gateway-VERSION-image.tar.gz         what the image is built from: docker build - < FILE
    d365-graphql-gateway-VERSION.tgz                  the Helm chart
    d365-graphql-client-VERSION.tgz                   the TypeScript client, for npm
    d365-graphql-gateway-VERSION.cdx.json             the bill of materials (CycloneDX) of the locked packages
    RELEASE_NOTES.md                                  the section of the changelog
    SHA256SUMS                                        for sha256sum --check

Two runs over one commit write the same bytes: times are those of the commit, owners and order are fixed.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

NAME = "d365-graphql-gateway"
CHART = f"deploy/helm/{NAME}"
CLIENT = "clients/typescript"
RECORDED = "tests/releases"
"""What each version leaves behind, for the tests of those after it."""
CONTEXT = ("Dockerfile", ".dockerignore")
"""Goes into the image's context beside what .dockerignore admits."""
SUMS = "SHA256SUMS"
Build = Callable[[Path, Path, Mapping[str, str]], None]
"""Builds a part of the release, of a repository, into a folder, with an environment."""


class ReleaseError(Exception):
    """Says what has to be changed before a release can be made."""


def release(root: Path, target: Path, *, draft: bool, wheel: Build, client: Build) -> list[Path]:
    """Write the files of a release into a folder that is empty or absent, and return them. Raises ReleaseError."""
    version = agreed_version(root)
    notes = notes_of((root / "CHANGELOG.md").read_text("utf-8"), version, draft=draft)
    if target.exists() and any(target.iterdir()):
        raise ReleaseError(f"{target} is not empty: move it away.")
    if not draft and not (root / RECORDED / version).is_dir():
        raise ReleaseError(f"{RECORDED}/{version} is missing: run `make record`, and commit it.")
    time = committed_at(root)
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(time)}
    target.mkdir(parents=True, exist_ok=True)
    files = tracked(root)
    wheel(root, target, environment)
    client(root, target, environment)
    pack(root, target / f"{NAME}-{version}-image.tar.gz", context_of(root, files), time=time)
    chart = {file: file.removeprefix("deploy/helm/") for file in files if file.startswith(CHART)}
    pack(root, target / f"{NAME}-{version}.tgz", chart, time=time)
    write_materials(root, target / f"{NAME}-{version}.cdx.json", environment)
    (target / "RELEASE_NOTES.md").write_text(notes, "utf-8")
    written = sorted(target.iterdir())
    sums = "".join(f"{digest_of(file)}  {file.name}\n" for file in written)
    (target / SUMS).write_text(sums, "utf-8")
    return [*written, target / SUMS]


def agreed_version(root: Path) -> str:
    """Return the version of the package, which chart, compose file and client must name too. Raises ReleaseError."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    version: str = project["version"]
    chart = (root / CHART / "Chart.yaml").read_text("utf-8")
    compose = (root / "deploy/compose.yaml").read_text("utf-8")
    named = {
        "version of the chart": re.findall(r"^version: (\S+)$", chart, re.MULTILINE),
        "appVersion of the chart": re.findall(r"^appVersion: (\S+)$", chart, re.MULTILINE),
        "version of the TypeScript client": [
            json.loads((root / CLIENT / "package.json").read_text("utf-8"))["version"]
        ],
        "image of deploy/compose.yaml": re.findall(rf"image: {NAME}:(\S+)", compose),
    }
    others = [f"{what}: {', '.join(v) or 'none'}" for what, v in named.items() if v != [version]]
    if others:
        raise ReleaseError(f"pyproject.toml says {version}, but {'; '.join(others)}.")
    return version


def notes_of(changelog: str, version: str, *, draft: bool) -> str:
    """Return the section of a version; that of what is unreleased for a draft. Raises ReleaseError."""
    sections = re.split(r"^## ", changelog, flags=re.MULTILINE)[1:]
    for heading in (version, *(["Unreleased"] if draft else [])):
        for section in sections:
            title, _, text = section.partition("\n")
            if title.strip("[] ").split("]")[0].split(" ")[0] == heading and text.strip():
                return f"# {NAME} {version}\n\n{text.strip()}\n"
    raise ReleaseError(
        f"CHANGELOG.md has no section {version}: give Unreleased that name, or make a draft (--draft)."
    )


def committed_at(root: Path) -> int:
    """Return when the commit was made, in seconds since 1970."""
    return int(_git(root, "log", "-1", "--format=%ct").strip())


def tracked(root: Path) -> list[str]:
    """Return the files that Git tracks. Raises ReleaseError if some of them are changed."""
    if _git(root, "status", "--porcelain", "--untracked-files=no").strip():
        raise ReleaseError("Files are changed: commit them, as a release is made of a commit.")
    return sorted(_git(root, "ls-files", "-z").split("\0")[:-1])


def context_of(root: Path, files: Iterable[str]) -> dict[str, str]:
    """Return what the image is built from: file → its name in the archive."""
    rules = (root / ".dockerignore").read_text("utf-8").split()
    admitted = [rule[1:] for rule in rules if rule.startswith("!")]
    return {
        file: file
        for file in files
        if file in CONTEXT or any(file == rule or file.startswith(f"{rule}/") for rule in admitted)
    }


def pack(root: Path, target: Path, files: Mapping[str, str], *, time: int) -> None:
    """Write an archive of files → their names in it, whose bytes depend on these alone."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for file, name in sorted(files.items(), key=lambda item: item[1]):
            data = (root / file).read_bytes()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(data), time
            entry.mode = 0o755 if os.access(root / file, os.X_OK) else 0o644
            archive.addfile(entry, io.BytesIO(data))
    target.write_bytes(gzip.compress(buffer.getvalue(), mtime=0))


def write_materials(root: Path, target: Path, environment: Mapping[str, str]) -> None:
    """Write the bill of materials: every locked package with its hashes, and the gateway that consists of them."""
    command = [
        *(sys.executable, "-m", "cyclonedx_py", "requirements", "requirements.lock"),
        *("--pyproject", "pyproject.toml", "--output-reproducible", "--output-format", "JSON"),
        "--no-validate",  # which takes ten times as long as to write it
    ]
    done = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ReleaseError(f"The bill of materials was not made:\n{done.stderr}")
    materials = json.loads(done.stdout)
    target.write_text(json.dumps(materials, indent=1, sort_keys=True) + "\n", "utf-8")


def build_wheel(root: Path, target: Path, environment: Mapping[str, str]) -> None:
    """Build the wheel with the tools of this environment, the full GraphiQL page included. Raises ReleaseError."""
    if not (root / "gateway/graphiql/assets/index.html").is_file():
        raise ReleaseError("The GraphiQL page is not built: run `make page` (needs Node 20+).")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory"]
    done = subprocess.run(
        [*command, str(target.resolve())],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ReleaseError(f"The wheel was not built:\n{done.stderr}")


def pack_client(root: Path, target: Path, environment: Mapping[str, str]) -> None:
    """Pack the TypeScript client, which is built before. Raises ReleaseError."""
    if not (root / CLIENT / "dist/index.js").is_file():
        raise ReleaseError("The TypeScript client is not built: run `make typescript-client`.")
    command = ["npm", "pack", "--silent", "--pack-destination", str(target.resolve())]
    done = subprocess.run(
        command,
        cwd=root / CLIENT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ReleaseError(f"The TypeScript client was not packed:\n{done.stderr}")


def digest_of(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments],  # noqa: S607 - of who makes the release
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the files of a release into dist/VERSION.")
    parser.add_argument("--draft", action="store_true", help="notes of what is unreleased")
    parser.add_argument("--target", type=Path, help="folder; default: dist/VERSION")
    options = parser.parse_args()
    root = Path(__file__).resolve().parent.parent
    try:
        target = options.target or root / "dist" / agreed_version(root)
        files = release(root, target, draft=options.draft, wheel=build_wheel, client=pack_client)
    except ReleaseError as error:
        print(error, file=sys.stderr)
        return 1
    for file in files:
        print(f"{file.stat().st_size:>10}  {file}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
