"""What is wrong with a request about webhooks."""

from __future__ import annotations

from gateway.errors import GatewayError, RequestError


class UnknownWebhook(RequestError):
    """A webhook that does not exist for its caller, or a dead letter that it does not have."""

    code = "UNKNOWN_WEBHOOK"


class WrongWebhookState(RequestError):
    """A webhook that cannot be paused, or resumed, as it is; or by this caller."""

    code = "WRONG_WEBHOOK_STATE"


class TooManyWebhooks(RequestError):
    """A webhook of a caller who has as many as one may have."""

    code = "TOO_MANY_WEBHOOKS"


class WebhooksUnavailable(GatewayError):
    """A deployment that sends no webhooks: it allows no hosts, or has no store or no key for them."""

    code = "WEBHOOKS_UNAVAILABLE"


class WebhookNotTaken(GatewayError):
    """A dead letter that was sent again, and not taken."""

    code = "WEBHOOK_NOT_TAKEN"
