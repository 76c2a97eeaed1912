"""The gateway: a GraphQL operation becomes a plan, the plan OData requests, their rows the answer.

    document ─selection─▶ shape ─bind─▶ plan ─run─▶ rows ─complete─▶ answer
                                          │
                     fetch: dialect.lower ▶ render ▶ Request ▶ client

``assemble`` puts the parts together, ``app`` and ``http`` serve them, ``cli`` starts them.
"""
