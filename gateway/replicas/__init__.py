"""What the replicas of a deployment share, by a Redis or Valkey: learned limits, budgets, cached answers, notices.

    SharedState ──▶ commands, each bounded in time     lost: SharedStateAway, and everybody goes on alone, with less
         └────────▶ notices of the others              back: shares are agreed anew, cached answers are dropped

Nothing waits for it on the way of a request but the look at its cached answers. Losing it makes a deployment slower,
never open or wrong.
"""
