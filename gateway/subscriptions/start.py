"""Starts a subscription: which entity set it watches, in which scope and with which filter, and its poll."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from gateway.config.setting_models import SubscriptionOptions
from gateway.errors import BadArgument
from gateway.events import Observer
from gateway.planning.change_queries import ChangeQuery, find_change_query
from gateway.request import GraphQLRequest, ValidOperation
from gateway.runtime.assembly import Gateway

from .operation import SubscriptionRequest, read_subscription
from .polling import Execute, Poll


@dataclass(frozen=True)
class ActiveSubscription:
    """A subscription, with what it watches."""

    of: SubscriptionRequest
    watched: ChangeQuery
    where: Mapping[str, Any]
    companies: tuple[str, ...] | None
    page: int

    @property
    def key(self) -> tuple[object, ...]:
        """The key that subscriptions share that can share a poll."""
        return self.watched, self.companies, msgspec.json.encode(self.where, order="deterministic")

    @cached_property
    def reading(self) -> tuple[Hashable, ...]:
        """The key that subscriptions share that have the same results for a change."""
        of = self.of
        variables = msgspec.json.encode(of.variables, order="deterministic")
        return of.key, of.fields, of.query, of.ids, variables, self.companies

    def poll(
        self,
        options: SubscriptionOptions,
        ask: Execute,
        now: Callable[[], float],
        observe: Observer,
    ) -> Poll:
        """Return the poll for its changes."""
        return Poll(
            of=self.watched,
            where=self.where,
            companies=self.companies,
            ask=ask,
            page=self.page,
            most=options.max_watched_rows,
            late=options.late,
            now=now,
            observe=observe,
        )

    def rows(self, ids: Sequence[str], timeout: float | None = None) -> GraphQLRequest:
        """Return the operation for changed rows; only if ``of.query`` is not empty."""
        return GraphQLRequest(
            query=self.of.query,
            variables={**self.of.variables, self.of.ids: ids},
            companies=self.companies,
            timeout=timeout,
        )


def start_subscription(
    gateway: Gateway, operation: ValidOperation, options: SubscriptionOptions
) -> ActiveSubscription:
    """Read a valid subscription. Raises GatewayError if its arguments cannot be used."""
    assert operation.document.node is not None
    request = operation.request
    of = read_subscription(
        gateway.schema.core,
        operation.document.node,
        operation.operation,
        operation.variables,
        request.variables,
    )
    query = find_change_query(gateway.catalog, of.arguments["set"], options.stamps)
    return ActiveSubscription(
        of,
        query,
        _where(query, of.arguments.get("where")),
        _companies(query, of.arguments.get("companies")) or request.companies,
        gateway.settings.max_page_size,
    )


def _where(of: ChangeQuery, where: object) -> Mapping[str, Any]:
    if where is None:
        return {}
    if not isinstance(where, Mapping):
        hint = f"Use the argument where of {of.name}."
        raise BadArgument("where is not an object.", hint=hint)
    if of.where is None:
        raise BadArgument(f"{of.name} cannot be filtered.", hint="Omit where.")
    return where


def _companies(of: ChangeQuery, companies: Sequence[str] | None) -> tuple[str, ...] | None:
    if companies and not of.has_company:
        raise BadArgument(f"Rows of {of.name} have no company.", hint="Omit companies.")
    return tuple(companies) if companies else None
