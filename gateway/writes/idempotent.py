"""Runs mutations under the keys of their client: a whole operation by a header, single mutations by an argument."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from msgspec import Struct

from gateway.errors import UnsupportedQuery
from gateway.idempotency.ledger import Ledger
from gateway.odata.upstream import WriteUpstream
from gateway.request import Answer, ValidOperation
from schema.writes.catalog import IDEMPOTENCY_KEY

from .keyed_mutations import KeyedMutations
from .natural_keys import is_repeatable
from .once import NotingWriter, answer_once, input_digest, to_its_end

WriteKeyed: TypeAlias = Callable[[WriteUpstream, KeyedMutations | None], Awaitable[Answer]]
"""Runs an operation by a writer, with its mutations that have keys of their own; and answers it."""


class IdempotentWrites(Struct, frozen=True):
    """The idempotency keys of one API."""

    ledger: Ledger | None = None
    profile: str = ""
    """Name of the API, for the same operation may mean something else in another one."""

    async def answer(
        self, operation: ValidOperation, writer: WriteUpstream, write: WriteKeyed
    ) -> Answer:
        """Return the answer of ``write``, or what was stored by earlier requests with the same keys.

        Raises GatewayError as ``write`` and ``Ledger.begin`` do. With a key, a caller who is cancelled does not stop
        what has begun.
        """
        request = operation.request
        if request.idempotency_key is None:
            if IDEMPOTENCY_KEY.name not in request.query:
                return await write(writer, None)
            return await to_its_end(writer, self._with_keyed(operation, writer, write))
        if self.ledger is None:
            raise UnsupportedQuery("This API has no idempotency keys.", hint="Send none.")
        digest = input_digest(operation, self.profile)
        once = answer_once(
            self.ledger,
            request,
            digest,
            NotingWriter(writer),
            lambda noting: self._with_keyed(operation, noting, write),
            repeatable=is_repeatable(operation),
        )
        return await to_its_end(writer, once)

    async def _with_keyed(
        self, operation: ValidOperation, writer: WriteUpstream, write: WriteKeyed
    ) -> Answer:
        """Return the answer of ``write``, with the stored payloads of mutations that were run before."""
        noting = NotingWriter(writer)
        keyed = KeyedMutations(self.ledger, self.profile, operation, noting)
        try:
            answer = await write(noting, keyed)
        except Exception:
            await keyed.fail()
            raise
        except BaseException:
            keyed.abandon()
            raise
        await keyed.settle(answer)
        return answer
