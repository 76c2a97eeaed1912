// Subscriptions that go on after their connection broke, and `changes` that go on from their cursor.
import type { Operation } from "./documents.js";
import { GatewayError } from "./errors.js";
import { growing, pause } from "./pauses.js";
import type { MakeHeaders, Result } from "./requests.js";

/** One connection of a subscription. It throws Interrupted if it can be made again. */
export type Transport = (connection: Connection) => AsyncGenerator<Result, void, undefined>;

export interface Connection {
  readonly url: string;
  readonly headers: MakeHeaders;
  readonly operation: Operation;
  readonly fetch: typeof fetch;
  readonly signal: AbortSignal;
}

/** A connection that broke, or could not be made for now. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";

  constructor(
    message: string,
    /** Seconds after which the other side wants to be called again. */
    readonly seconds?: number,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

export interface Reconnects {
  /** How often in a row a connection may fail before that is the error; default: for ever. */
  readonly attempts?: number;
  /** The longest pause in seconds that this client chooses; default 30. */
  readonly longestPause?: number;
  /** Called before each pause, for logs. */
  readonly onRetry?: (reason: Error, seconds: number) => void;
}

/** Codes of subscriptions that ended for now; `UNAUTHENTICATED` once, with new headers. */
const FOR_NOW = [
  "UPSTREAM_UNAVAILABLE", "UPSTREAM_TIMEOUT", "UPSTREAM_THROTTLED", "DEADLINE_EXCEEDED", "SUBSCRIBER_TOO_SLOW",
  "OVERLOADED", "RATE_LIMITED", "STARTING", "STOPPING", "ENVIRONMENT_UNAVAILABLE", "ISSUER_UNAVAILABLE", "STORE_UNAVAILABLE",
] as const;

/**
 * Yields the data of a subscription. If a connection breaks it is made again, by `connect`, which may begin elsewhere.
 *
 * Throws GatewayError if the gateway refuses the subscription, and what broke the connection if that fails too often.
 */
export async function* resumed(
  connect: (signal: AbortSignal) => AsyncGenerator<Result, void, undefined>,
  { attempts = Infinity, longestPause = 30, onRetry }: Reconnects,
  signal: AbortSignal,
): AsyncGenerator<unknown, void, undefined> {
  let failures = 0;
  let signedIn = true;
  for (;;) {
    let reason: Error;
    try {
      for await (const { data, errors } of connect(signal)) {
        if (errors?.length) throw new GatewayError(errors, undefined, data);
        failures = 0;
        signedIn = true;
        yield data;
      }
      return;
    } catch (error) {
      signal.throwIfAborted();
      const renewed = signedIn && error instanceof GatewayError && error.has("UNAUTHENTICATED");
      const goesOn = error instanceof Interrupted || renewed || (error instanceof GatewayError && error.has(...FOR_NOW));
      if (!goesOn) throw error;
      if (renewed) signedIn = false;
      reason = error;
    }
    failures += 1;
    if (failures >= attempts) throw reason;
    const asked = reason instanceof Interrupted ? reason.seconds : (reason as GatewayError).retryAfter;
    const seconds = asked ?? growing(failures, longestPause);
    onRetry?.(reason, seconds);
    await pause(seconds, signal);
  }
}
