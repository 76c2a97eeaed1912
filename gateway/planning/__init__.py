"""Prepared operation and variables → plan: everything that will be asked of the upstream, before the first request.

Pure: nothing here awaits or sends. The same plan is run (``execution``), explained (``explain``) and tested.

    planner          root fields, and the rows of one level
    relations        what hangs below the rows; load_strategy decides: $expand, key batch or path
    calls            function calls;  entity_lookups: node, nodes, _entities
    filters          ``where`` → expression;  company_limit: the predicates that bound every plan
    page_arguments   ``first``, ``after`` … → page_window, and the queries that bring just that page
    uniting          root lists that are read together
    plan             the records of a plan
"""
