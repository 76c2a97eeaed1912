"""``python -m tests.catalogue FILE``: write the catalogue, packed if the file's name ends in ``.gz``."""

from __future__ import annotations

import argparse
import gzip
import sys
import time
from pathlib import Path

from tests.catalogue.document import write
from tests.catalogue.generate import catalogue


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.catalogue", description=__doc__)
    parser.add_argument("file", type=Path)
    path = parser.parse_args().file
    started = time.perf_counter()
    model = catalogue()
    content = write(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content, 6, mtime=0) if path.suffix == ".gz" else content)
    sys.stdout.write(
        f"{path}: {len(model.entity_sets):,} entity sets, {len(content) / 1e6:.1f} MB of XML, "
        f"{time.perf_counter() - started:.1f} s\n"
    )


if __name__ == "__main__":
    main()
