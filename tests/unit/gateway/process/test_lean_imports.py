"""Imports without what libraries load needlessly."""

import ssl
from concurrent.futures import ThreadPoolExecutor

from gateway.process.lean_imports import without_trusted_authorities


def authorities() -> int:
    return len(ssl.create_default_context().get_ca_certs())


def test_contexts_made_in_the_block_trust_nobody() -> None:
    trusted = authorities()

    with without_trusted_authorities(), ThreadPoolExecutor(1) as thread:
        empty, of_other_thread = authorities(), thread.submit(authorities).result()
        verify = ssl.create_default_context().verify_mode

    assert (empty, verify) == (0, ssl.CERT_REQUIRED)
    assert of_other_thread == authorities() == trusted
