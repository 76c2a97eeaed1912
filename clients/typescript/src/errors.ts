// What goes wrong with an operation: errors with the codes of the gateway, and connections that break.
import type { GraphQLFormattedError } from "graphql";

import type { ErrorCode } from "./codes.js";

/** An error of an operation. `message` and `hint` are for the person who must act. */
export interface OperationError extends GraphQLFormattedError {
  readonly extensions?: GraphQLFormattedError["extensions"] & {
    readonly code?: string;
    readonly hint?: string;
    readonly errorId?: string;
    /** Seconds after which the operation may be sent again. */
    readonly retryAfter?: number;
  };
}

/** The operation failed, as a whole or, if there is `data`, in part. */
export class GatewayError extends Error {
  override readonly name = "GatewayError";

  constructor(
    readonly errors: readonly OperationError[],
    /** The status of HTTP; undefined over a WebSocket. */
    readonly status?: number,
    /** What could be read: fields with errors are null. */
    readonly data?: unknown,
    /** Send the mutation with the same key again, and nothing is done twice. */
    readonly idempotencyKey?: string,
  ) {
    super(errors.map(({ message }) => message).join("; "));
  }

  /** The code of the first error. */
  get code(): string | undefined {
    return this.errors[0]?.extensions?.code;
  }

  /** Whether one of the errors has one of these codes. */
  has(...codes: readonly ErrorCode[]): boolean {
    return this.errors.some(({ extensions }) => (codes as readonly unknown[]).includes(extensions?.code));
  }

  /** Seconds after which the operation may be sent again, if the gateway says so. */
  get retryAfter(): number | undefined {
    return this.errors.find(({ extensions }) => extensions?.retryAfter !== undefined)?.extensions?.retryAfter;
  }
}

/** There was no answer, or none of the gateway: of a mutation it is not known whether it was done. */
export class ConnectionError extends Error {
  override readonly name = "ConnectionError";

  constructor(
    message: string,
    readonly status?: number,
    readonly idempotencyKey?: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
