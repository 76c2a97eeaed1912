// One POST an operation; a subscription's answer is a stream of events. An answer that is not JSON (a proxy's error page,
// say) is shown as what it is.
import { createClient } from "graphql-sse";
import { meant } from "./operation.js";
import { authorized, request, snapshot } from "./session.js";
import { socketStream } from "./sockets.js";
import { withStatus } from "./watching.js";

const ACCEPT = "application/graphql-response+json, application/json;q=0.9";

export function createFetcher(endpoint, pollInterval) {
  return async (params, { headers } = {}) => {
    const { kind, name } = meant(params);
    const asked = { ...params, operationName: name };
    if (kind !== "subscription") return post(endpoint, asked, headers);
    const address = new URL(endpoint, location.href);
    const events = () => stream(address, asked, headers);
    // A token ends, and over a WebSocket the next one follows without a break.
    const results = snapshot().isSignedIn ? socketStream(address, asked, headers, events) : events();
    return withStatus(results, asked, headers, pollInterval);
  };
}

async function post(endpoint, { query, variables, operationName }, headers) {
  const response = await request(endpoint, {
    method: "POST",
    headers: { accept: ACCEPT, "content-type": "application/json", ...headers },
    body: JSON.stringify({ query, variables, operationName }),
  });
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    const message = `HTTP ${response.status}: the answer is not JSON`;
    return { errors: [{ message, extensions: { body: text.slice(0, 1000) } }] };
  }
}

// GraphiQL shows each result as it comes, and ends the stream by its stop button.
const stream = (address, { query, variables, operationName }, headers) =>
  createClient({ url: address.href, headers: () => authorized(headers), retryAttempts: 5 }).iterate({
    query,
    variables: variables ?? undefined,
    operationName: operationName ?? undefined,
  });
