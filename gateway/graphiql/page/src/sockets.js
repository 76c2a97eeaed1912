// Subscriptions of somebody who has signed in: over a WebSocket, which gets each next token by a ping. Where none can be opened
// (a proxy may not pass them on), `otherwise` gives the results.
import { createClient } from "graphql-ws";
import { authorized, subscribe } from "./session.js";

const OPEN = 1;
const OTHER = {}; // in the place of a socket, once there is none

export function socketStream(address, { query, variables, operationName }, headers, otherwise) {
  let socket = null;
  const unsubscribe = subscribe(() => {
    const payload = authorized(headers);
    if (socket?.readyState === OPEN) socket.send(JSON.stringify({ type: "ping", payload }));
  });
  const client = createClient({
    url: address.href.replace(/^http/, "ws"),
    connectionParams: () => authorized(headers),
    retryAttempts: 5,
    shouldRetry: () => socket !== null,
    on: {
      connected: (connected) => {
        socket = connected;
      },
    },
  });
  let results = client.iterate({ query, variables: variables ?? undefined, operationName: operationName ?? undefined });
  const end = async (last) => {
    unsubscribe();
    await client.dispose();
    return last;
  };
  return {
    async next() {
      try {
        const result = await results.next();
        return result.done ? end(result) : result;
      } catch (error) {
        await end();
        // An operation that is refused: as over HTTP, its answer is its errors.
        if (Array.isArray(error)) {
          results = nothing();
          return { done: false, value: { errors: error } };
        }
        if (socket !== null || isRefusal(error)) throw readable(error);
        socket = OTHER;
        results = otherwise();
        return results.next();
      }
    },
    async return() {
      return end(await results.return());
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

// 4400 to 4499 are the codes of the protocol: there was a server that speaks it.
const isRefusal = ({ code }) => code >= 4400 && code < 4500;

async function* nothing() {}

// A socket that was closed is an event.
function readable(error) {
  if (error instanceof Error) return error;
  return new Error(error?.reason || `The connection was closed (${error?.code ?? "no reason"}).`);
}
