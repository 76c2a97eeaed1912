"""Starts a subscription: which entity set it watches, in which scope and with which filter, and its poll."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from gateway.admission.work import Lane
from gateway.changes.feed import feed_companies
from gateway.changes.followed import find_followed, find_unified
from gateway.config.setting_models import SubscriptionOptions
from gateway.events import Observer
from gateway.identity.caller import ANONYMOUS, Caller
from gateway.planning.change_queries import ChangeQuery
from gateway.request import GraphQLRequest, ValidOperation
from gateway.runtime.assembly import Gateway

from .following import Following, read_following
from .operation import SubscriptionRequest, read_subscription
from .polling import Execute, Poll


@dataclass(frozen=True)
class ActiveSubscription:
    """A subscription, with what it watches."""

    request: SubscriptionRequest
    change_query: ChangeQuery
    where: Mapping[str, Any]
    companies: tuple[str, ...] | None
    page: int
    caller: Caller = ANONYMOUS
    scope: Hashable = None
    """Equal for callers who see the same, and may share polls and reads."""
    list: str = ""
    """Name of the unified list whose rows are watched; empty: that of the rows themselves."""

    @property
    def name(self) -> str:
        """The name of the list that changes belong to."""
        return self.list or self.change_query.name

    @property
    def key(self) -> tuple[object, ...]:
        """The key that subscriptions share that can share a poll."""
        return (
            self.change_query,
            self.companies,
            self.scope,
            msgspec.json.encode(self.where, order="deterministic"),
        )

    @cached_property
    def reading(self) -> tuple[Hashable, ...]:
        """The key that subscriptions share that have the same results for a change."""
        request = self.request
        variables = msgspec.json.encode(request.variables, order="deterministic")
        selection = (request.key, request.fields, request.query, request.ids, variables)
        return (*selection, self.name, request.empty, self.companies, self.scope)

    def poll(
        self,
        options: SubscriptionOptions,
        ask: Execute,
        now: Callable[[], float],
        observe: Observer,
        changed: Callable[[], None] = lambda: None,
    ) -> Poll:
        """Return the poll for its changes; ``changed`` is called when it has found some."""
        return Poll(
            query=self.change_query,
            where=self.where,
            companies=self.companies,
            caller=self.caller,
            ask=ask,
            page=self.page,
            most=options.max_watched_rows,
            late=options.late,
            now=now,
            observe=observe,
            changed=changed,
        )

    def rows(self, ids: Sequence[str], timeout: float | None = None) -> GraphQLRequest:
        """Return the operation for changed rows; only if ``of.query`` is not empty."""
        return GraphQLRequest(
            query=self.request.query,
            variables={**self.request.variables, self.request.ids: ids},
            companies=self.companies,
            timeout=timeout,
            caller=self.caller,
            lane=Lane.SUBSCRIPTION,
            # A cached answer may be older than the change.
            fresh=True,
            is_charged=False,  # how many rows change is not the subscriber's choice
        )


def start_subscription(
    gateway: Gateway, operation: ValidOperation, options: SubscriptionOptions
) -> ActiveSubscription:
    """Read a valid subscription. Raises GatewayError if its arguments cannot be used."""
    assert operation.document.node is not None
    schema = gateway.schema
    request = read_subscription(
        schema.core,
        operation.document.node,
        operation.operation,
        operation.variables,
        operation.request.variables,
        lambda name: find_unified(schema, name),
    )
    name = request.arguments["set"]
    followed = find_followed(schema, name, options.stamps)
    query = followed.query
    return ActiveSubscription(
        request,
        query,
        followed.where(schema, request.arguments.get("where")),
        feed_companies(query, request.arguments.get("companies")) or operation.request.companies,
        gateway.settings.max_page_size,
        operation.request.caller,
        gateway.engine.scope_of(operation.request.caller),
        "" if followed.unified is None else name,
    )


def start_following(
    gateway: Gateway, operation: ValidOperation
) -> tuple[Following, ChangeQuery, tuple[Hashable, ...]]:
    """Read a subscription to ``changes``: with its list, and the key that those share who follow the same.

    Raises GatewayError if its arguments cannot be used.
    """
    following = read_following(operation, gateway.schema.core)
    arguments = following.arguments
    stamps = gateway.settings.subscriptions.stamps
    followed = find_followed(gateway.schema, arguments["set"], stamps)
    query = followed.query
    where = msgspec.json.encode(arguments.get("where"), order="deterministic")
    companies = arguments.get("companies") or operation.request.companies or ()
    scope = gateway.engine.scope_of(operation.request.caller)
    name = query.name if followed.unified is None else arguments["set"]
    return following, query, ("changes", name, where, tuple(companies), scope)
