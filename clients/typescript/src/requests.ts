// One operation over HTTP, sent again if it was not run, or if it does no harm twice.
import type { Operation } from "./documents.js";
import { ConnectionError, GatewayError, type OperationError } from "./errors.js";
import { growing, pause, secondsOf } from "./pauses.js";

/** Headers, made anew for each attempt, so that a token can be renewed. */
export type MakeHeaders = () => Promise<Headers>;

export interface Retries {
  /** How often an operation is sent at most; default 5. */
  readonly attempts: number;
  /** The longest pause in seconds. If the gateway asks for a longer one, that is the error; default 60. */
  readonly longestPause: number;
}

export interface Attempt {
  readonly url: string;
  readonly headers: MakeHeaders;
  readonly operation: Operation;
  readonly fetch: typeof fetch;
  readonly retries: Retries;
  /** Whether it does no harm twice. */
  readonly repeatable: boolean;
  readonly idempotencyKey?: string;
  readonly signal?: AbortSignal;
}

const ACCEPT = "application/graphql-response+json, application/json;q=0.9";
/** Busy, out of points, or the same idempotency key still runs: the operation was not run. */
const NOT_RUN = new Set([409, 429, 503]);
/** Of proxies that lost the gateway: it may have been run. */
const LOST = new Set([502, 504]);

/** Returns the data of an operation. Throws GatewayError if it has errors, ConnectionError if there is no answer. */
export async function send(attempt: Attempt): Promise<unknown> {
  const { retries, repeatable, signal } = attempt;
  for (let n = 1; ; n += 1) {
    const last = n >= retries.attempts;
    let response: Response;
    try {
      response = await post(attempt);
      if (!NOT_RUN.has(response.status) && !LOST.has(response.status)) return await read(response, attempt);
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof GatewayError || error instanceof ConnectionError) throw error;
      if (last || !repeatable) {
        throw new ConnectionError(`no answer from ${attempt.url}`, undefined, attempt.idempotencyKey, { cause: error });
      }
      await pause(growing(n, retries.longestPause), signal);
      continue;
    }
    const seconds = secondsOf(response.headers.get("retry-after")) ?? growing(n, retries.longestPause);
    const sendAgain = NOT_RUN.has(response.status) || repeatable;
    if (last || !sendAgain || seconds > retries.longestPause) return await read(response, attempt);
    await response.body?.cancel();
    await pause(seconds, signal);
  }
}

async function post({ url, headers, operation, fetch, idempotencyKey, signal }: Attempt): Promise<Response> {
  const all = await headers();
  all.set("accept", ACCEPT);
  all.set("content-type", "application/json");
  if (idempotencyKey !== undefined) all.set("idempotency-key", idempotencyKey);
  return await fetch(url, { method: "POST", headers: all, body: JSON.stringify(operation), signal: signal ?? null });
}

async function read(response: Response, { idempotencyKey }: Attempt): Promise<unknown> {
  const { status } = response;
  const text = await response.text();
  const result = parsed(text);
  if (result === undefined) throw new ConnectionError(`status ${status} without GraphQL`, status, idempotencyKey);
  if (result.errors?.length) throw new GatewayError(result.errors, status, result.data, idempotencyKey);
  return result.data;
}

/** A result of GraphQL. */
export interface Result {
  readonly data?: unknown;
  readonly errors?: readonly OperationError[];
}

/** Returns the result in a body, or undefined if that is none, as of proxies. */
export function parsed(text: string): Result | undefined {
  try {
    const result: unknown = JSON.parse(text);
    const isResult = typeof result === "object" && result !== null && ("data" in result || "errors" in result);
    return isResult ? (result as Result) : undefined;
  } catch {
    return undefined;
  }
}
