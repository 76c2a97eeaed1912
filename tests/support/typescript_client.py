"""The TypeScript client, built with the programs of its page and the examples, as a reader would write them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from tests.support.node import ROOT, Tools
from tests.support.pages import blocks
from tests.support.process import invoke

PACKAGE = ROOT / "clients" / "typescript"
CLIENTS = ROOT / "tests" / "clients"
EXAMPLES = (ROOT / "examples" / "typescript", ROOT / "examples" / "browser")
SETS = (
    *("CustomersV3", "CustomerGroups", "SalesOrderHeadersV2", "LedgerJournalHeaders"),
    *("WarehousesOnHandV2", "Warehouses", "VendorInvoiceDocumentAttachments"),
    # of the accounting of the picker
    *("LegalEntities", "Ledgers", "MainAccounts", "AccountStructures"),
    *("AccountStructureConstraints", "FinancialDimensionValues", "DimensionAttributes"),
)
"""The code generator takes its time with more of them."""


def build(folder: Path) -> Tools:
    """Build the package in a folder, and below it a program that uses it; return the program."""
    shutil.copytree(
        PACKAGE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("dist", "node_modules")
    )
    (folder / "node_modules").symlink_to(CLIENTS / "node_modules", target_is_directory=True)
    Tools(folder).command("tsc", "--build")
    program = Tools(CLIENTS).copy("typescript", folder / "program")
    write_page(program.folder)
    for examples in EXAMPLES:
        shutil.copytree(examples, program.folder / "src", dirs_exist_ok=True)
    printed = invoke(folder, "schema", "print", D365_INCLUDE=",".join(SETS))
    assert printed.returncode == 0, printed.stderr
    (program.folder / "schema.graphql").write_text(printed.stdout, "utf-8")
    program.command("graphql-codegen")
    program.command("tsc", "--build")
    return program


def write_page(folder: Path) -> None:
    """Write the files that the page of the client prints: each begins with its name."""
    for block in blocks("ts", of="clients/typescript"):
        name = re.match(r"// (\S+)\n", block.text)
        assert name, block.text
        (folder / name[1]).write_text(block.text, "utf-8")
