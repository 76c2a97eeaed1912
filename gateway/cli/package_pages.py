"""The rows of an export that come with data packages, for the command `export`.

    .customers.parquet.resume/executions     the ids of the executions, with --resume: it polls them again
    .customers.parquet.package/              the package that is being converted

What was converted so far is not part of it: the package is downloaded again, which takes no work of the environment.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from gateway.errors import SettingsError, UpstreamRejected
from gateway.export.pages import Rows
from gateway.packages.executions import ExecutionFailed
from gateway.packages.reading import PackageReader
from gateway.packages.records import Execution
from gateway.request import Collect, GraphQLRequest
from gateway.storage.private_files import make_own_folder

from .replaced_file import replacing


class _Stored(Struct, frozen=True, kw_only=True):
    digest: str
    """Of what is exported."""
    executions: tuple[Execution, ...]


class ExecutionLog:
    """The executions of one export, on disk if they are to outlive the process. Raises OSError."""

    def __init__(
        self, target: Path, scope: tuple[object, ...], first: GraphQLRequest, *, resume: bool
    ) -> None:
        self._folder = target.parent / f".{target.name}.resume"
        self.is_stored = resume
        described = (scope, first.query, first.variables, first.companies)
        self._digest = hashlib.sha256(msgspec.json.encode(described)).hexdigest()
        self.executions: tuple[Execution, ...] = ()

    @property
    def _path(self) -> Path:
        return self._folder / "executions"

    def read(self) -> bool:
        """Read the executions of an interrupted export; return whether there are any. Raises SettingsError."""
        if not self.is_stored or not self._path.exists():
            return False
        try:
            stored = msgspec.json.decode(self._path.read_bytes(), type=_Stored)
        except msgspec.DecodeError:
            stored = None
        if stored is None or stored.digest != self._digest:
            raise SettingsError(
                f"--resume: {self._folder} is that of another export.",
                hint="Repeat the command that was interrupted, or remove the folder.",
            )
        self.executions = stored.executions
        return True

    def write(self, executions: tuple[Execution, ...]) -> None:
        """Note executions, durably."""
        self.executions = executions
        if self.is_stored:
            make_own_folder(self._folder)
            with replacing(self._path) as file:
                file.write(msgspec.json.encode(_Stored(digest=self._digest, executions=executions)))

    def remove(self) -> None:
        """Forget the executions."""
        if self.is_stored:
            shutil.rmtree(self._folder, ignore_errors=True)


async def package_pages(
    reader: PackageReader, log: ExecutionLog, target: Path, collect: Collect
) -> AsyncGenerator[Rows, None]:
    """Yield the rows of all packages, which lie beside the target for a while.

    Raises NoPackage, ExportFailed, GatewayError, OSError.
    """
    may_exist = log.read()
    if not may_exist:
        run = secrets.token_hex(16)
        companies = await reader.companies()
        log.write(tuple(Execution(id=f"gateway-{run}-{c}", company=c) for c in companies))
    with _scratch(target) as scratch:
        for index in range(len(log.executions)):
            execution = await _executed(reader, log, index, may_exist=may_exist)
            package = await reader.fetch(execution, scratch / "package.zip")
            pages = reader.pages(package.path, execution.company, 0, collect)
            async with aclosing(pages):
                async for page in pages:
                    yield page.rows


@contextmanager
def _scratch(target: Path) -> Iterator[Path]:
    """Yield a folder for our user alone; what a killed command has left there is removed."""
    folder = target.parent / f".{target.name}.package"
    shutil.rmtree(folder, ignore_errors=True)
    make_own_folder(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _executed(
    reader: PackageReader, log: ExecutionLog, index: int, *, may_exist: bool
) -> Execution:
    """Return an execution that has succeeded. Raises UpstreamRejected if it has not."""
    execution = log.executions[index]
    if not execution.is_started:
        # The one after a started one may have been started last; those behind it were not.
        asks = may_exist and (index == 0 or log.executions[index - 1].is_started)
        execution = await reader.executions.started(execution, may_exist=asks)
        execution = replace(execution, is_started=True)
        log.write((*log.executions[:index], execution, *log.executions[index + 1 :]))
    try:
        await reader.executions.ended(execution)
    except ExecutionFailed as failed:
        log.remove()
        raise UpstreamRejected(
            f"The data project {reader.plan.declared.project} has ended as {failed.status.value}.",
            hint="Its job history in the environment says why. The same command runs it again.",
        ) from failed
    return execution
