// Subscriptions over server-sent events: one stream for each, as graphql-sse's distinct connections mode has them.
import { createParser } from "eventsource-parser";

import { ConnectionError, GatewayError } from "./errors.js";
import { secondsOf } from "./pauses.js";
import { type Result, parsed } from "./requests.js";
import { Interrupted, type Transport } from "./streams.js";

/** Seconds of silence after which a stream is given up: the gateway sends something every 15 seconds. */
const SILENCE = 45;

/** Returns the transport that needs nothing but `fetch`. */
export function serverSentEvents(options: { readonly silence?: number } = {}): Transport {
  return async function* stream({ url, headers, operation, fetch, signal }) {
    const all = await headers();
    all.set("accept", "text/event-stream");
    all.set("content-type", "application/json");
    const silent = new AbortController();
    const stop = () => silent.abort(signal.reason);
    const patience = (options.silence ?? SILENCE) * 1000;
    let timer = setTimeout(() => silent.abort(), patience);
    signal.addEventListener("abort", stop);
    let retry: number | undefined;
    try {
      const body = JSON.stringify(operation);
      const response = await fetch(url, { method: "POST", headers: all, body, signal: silent.signal });
      if (!response.ok || response.body === null) await refuse(response);
      const events: { event?: string | undefined; data: string }[] = [];
      const parser = createParser({
        onEvent: (event) => events.push(event),
        onRetry: (milliseconds) => (retry = milliseconds / 1000),
      });
      const decoder = new TextDecoder();
      const reader = response.body!.getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) throw new Interrupted("the stream ended before it was complete", retry);
        clearTimeout(timer);
        timer = setTimeout(() => silent.abort(), patience);
        parser.feed(decoder.decode(value, { stream: true }));
        for (const { event, data } of events.splice(0)) {
          if (event === "complete") return;
          if (event === "next") yield JSON.parse(data) as Result;
        }
      }
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof GatewayError || error instanceof ConnectionError || error instanceof Interrupted) throw error;
      throw new Interrupted(silent.signal.aborted ? "the stream was silent" : "no connection", retry, { cause: error });
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
      silent.abort();
    }
  };
}

const LATER = new Set([429, 500, 502, 503, 504]);

async function refuse(response: Response): Promise<never> {
  const { status } = response;
  const result = parsed(await response.text());
  const error = result?.errors?.length
    ? new GatewayError(result.errors, status)
    : new ConnectionError(`status ${status} without GraphQL`, status);
  if (!LATER.has(status)) throw error;
  const seconds = secondsOf(response.headers.get("retry-after"));
  throw new Interrupted(`status ${status}`, seconds, { cause: error });
}
