"""The sandbox on a real port."""

from __future__ import annotations

import re
import subprocess
import sys
import urllib.request

from tests.support.process import PATIENCE


def test_the_kernel_chooses_a_port_and_the_address_is_printed():
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
