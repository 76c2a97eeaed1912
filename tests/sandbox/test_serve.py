"""The sandbox on a port."""

from __future__ import annotations

import re
import subprocess
import sys
import urllib.request

from tests.support.process import PATIENCE


def test_a_free_port_is_chosen_and_printed():
    command = "from gateway.sandbox.serve import run; run()"
    with subprocess.Popen(
        [sys.executable, "-c", command], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            (url,) = re.findall(r"^Sandbox: (http://127\.0\.0\.1:\d+/data)\n$", line)
            with urllib.request.urlopen(f"{url}/Currencies/$count") as answer:
                assert int(answer.read()) == 5
        finally:
            process.terminate()
            process.wait(PATIENCE)
