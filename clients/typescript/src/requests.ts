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

/** What is sent. */
export interface Sent {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: BodyInit;
}

export interface Attempt {
  readonly url: string;
  readonly headers: MakeHeaders;
  readonly sent: Sent;
  readonly fetch: typeof fetch;
  readonly retries: Retries;
  /** Whether it does no harm twice. */
  readonly repeatable: boolean;
  readonly idempotencyKey?: string;
  readonly signal?: AbortSignal;
}

/** Whether a response asks for the same again: it was not run, or the gateway was lost and it does no harm twice. */
export type Again = (response: Response, repeatable: boolean) => boolean;

const ACCEPT = "application/graphql-response+json, application/json;q=0.9";
/** Busy, out of points, or the same idempotency key still runs: the operation was not run. */
const NOT_RUN = new Set([409, 429, 503]);
/** Of proxies that lost the gateway: it may have been run. */
const LOST = new Set([502, 504]);
const ofOperations: Again = ({ status }, repeatable) => NOT_RUN.has(status) || (repeatable && LOST.has(status));

/** Returns what is sent of an operation. */
export function sentOf(operation: Operation): Sent {
  return { method: "POST", headers: { accept: ACCEPT, "content-type": "application/json" }, body: JSON.stringify(operation) };
}

/** Returns the data of an operation. Throws GatewayError if it has errors, ConnectionError if there is no answer. */
export function send(attempt: Attempt): Promise<unknown> {
  return answered(attempt, ofOperations, async (response) => (await resultOf(response, attempt)).data);
}

/** Returns what is read of the last response to a request. Throws what `read` throws, and ConnectionError if there is none. */
export async function answered<T>(attempt: Attempt, again: Again, read: (response: Response) => Promise<T>): Promise<T> {
  const { retries, repeatable, signal, sent } = attempt;
  // A stream does not come twice.
  const attempts = sent.body instanceof ReadableStream ? 1 : retries.attempts;
  for (let n = 1; ; n += 1) {
    const last = n >= attempts;
    let response: Response;
    try {
      response = await fetched(attempt);
      if (!again(response, repeatable)) return await read(response);
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
    if (last || seconds > retries.longestPause) return await read(response);
    await response.body?.cancel();
    await pause(seconds, signal);
  }
}

async function fetched({ url, headers, sent, fetch, idempotencyKey, signal }: Attempt): Promise<Response> {
  const all = await headers();
  for (const [name, value] of Object.entries(sent.headers)) all.set(name, value);
  if (idempotencyKey !== undefined) all.set("idempotency-key", idempotencyKey);
  const { method, body = null } = sent;
  // A stream is sent while it is made, of which no type knows yet.
  const streaming = body instanceof ReadableStream ? { duplex: "half" } : {};
  return await fetch(url, { method, headers: all, body, signal: signal ?? null, ...streaming });
}

/** Returns a result without errors. Throws GatewayError, or ConnectionError for a body that is none of the gateway. */
export async function resultOf(response: Response, { idempotencyKey }: Pick<Attempt, "idempotencyKey">): Promise<Result> {
  const { status } = response;
  const result = parsed(await response.text());
  if (result === undefined) throw new ConnectionError(`status ${status} without GraphQL`, status, idempotencyKey);
  if (result.errors?.length) throw new GatewayError(result.errors, status, result.data, idempotencyKey);
  return result;
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
