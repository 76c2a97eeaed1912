"""The environments of a deployment: which there are, and those that are open.

    registry ──find(name)──▶ Environment ──first request──▶ OpenEnvironment ──no request for some minutes──▶ closed

Each has a client, generations, profiles, role views, subscriptions and a reloader of its own, and shares nothing with
others but the process. The environment of the settings themselves is made of the same parts.
"""
