"""From the settings to what execution needs of them: limits of plans, documents, rows and writes."""

from __future__ import annotations

from gateway.config.profiles import profile_in
from gateway.config.settings import Settings
from gateway.documents.store import DocumentLimits
from gateway.engine.settings import ExecutionSettings
from gateway.planning.limits import PlanLimits
from gateway.writes.operations import WriteLimits


def execution_settings(settings: Settings) -> ExecutionSettings:
    """Return the part of the settings that execution needs."""
    return ExecutionSettings(
        plans=PlanLimits(
            default_page=settings.default_page_size,
            max_page=settings.max_page_size,
            can_expand=settings.expand != "never",
            companies=settings.companies or None,
            company_limit=settings.company_limit,
            company_limit_shared=settings.company_limit_shared,
            long_list_rows=settings.long_list_rows,
            aggregate_rows=settings.aggregates.max_rows,
            aggregate_groups=settings.aggregates.max_groups,
            suggestions=settings.introspection,
        ),
        documents=DocumentLimits(
            tokens=settings.max_query_tokens,
            depth=settings.max_depth,
            root_fields=settings.max_root_fields,
            selections=settings.max_selections,
            aliases=settings.max_aliases,
            directives=settings.max_directives,
            suggestions=settings.introspection,
        ),
        introspection=settings.introspection,
        writes=WriteLimits(
            max_rows=settings.writes.max_rows,
            changeset_size=settings.writes.changeset_size,
            batch_size=settings.writes.batch_size,
            is_independent=settings.writes.lists == "independent",
            natural_keys=settings.writes.natural_keys,
            settle_pause=settings.writes.settle_pause,
        ),
        max_rows=settings.max_rows,
        max_filtered_rows=settings.max_filtered_rows,
        max_url_length=settings.max_url_length,
        timeout=settings.operation_timeout,
        slow=float("inf") if settings.log.slow is None else settings.log.slow,
        profile=profile_in(settings) or None,
    )
