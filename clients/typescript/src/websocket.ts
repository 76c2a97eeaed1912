// Subscriptions over a WebSocket, by graphql-ws: one connection for each, closed when it is silent.
import { createClient } from "graphql-ws";

import { GatewayError, type OperationError } from "./errors.js";
import type { Result } from "./requests.js";
import { Interrupted, type Transport } from "./streams.js";

export interface WebSocketOptions {
  /** The implementation, for Node before version 22: `ws`. */
  readonly webSocketImpl?: unknown;
  /** Seconds between pings. If one is not answered within as many, the connection is closed; default 15. */
  readonly keepAlive?: number;
}

/** Close codes after which the same would happen again. */
const FATAL = new Set([4400, 4401, 4406, 4409, 4429]);

/** Returns a transport over WebSockets. Headers are sent as `connectionParams`, as web pages cannot set them. */
export function webSocket({ webSocketImpl, keepAlive = 15 }: WebSocketOptions = {}): Transport {
  return async function* stream({ url, headers, operation, signal }) {
    let silence: ReturnType<typeof setTimeout> | undefined;
    const client = createClient({
      url: url.replace(/^http/, "ws"),
      webSocketImpl,
      connectionParams: async () => Object.fromEntries(await headers()),
      retryAttempts: 0,
      keepAlive: keepAlive * 1000,
      on: {
        ping: (received) => {
          if (!received) silence = setTimeout(() => client.terminate(), keepAlive * 1000);
        },
        pong: (received) => {
          if (received) clearTimeout(silence);
        },
      },
    });
    const stop = () => void client.dispose();
    signal.addEventListener("abort", stop);
    try {
      for await (const result of client.iterate(operation)) yield result as Result;
      signal.throwIfAborted();
    } catch (error) {
      signal.throwIfAborted();
      if (Array.isArray(error)) throw new GatewayError(error as OperationError[]);
      const { code, reason } = error as { code?: number; reason?: string };
      if (code === 4403) throw new GatewayError([{ message: reason ?? "", extensions: { code: "UNAUTHENTICATED" } }]);
      if (code !== undefined && FATAL.has(code)) throw new Error(`closed: ${code} ${reason}`, { cause: error });
      throw new Interrupted(code === undefined ? "no connection" : `closed: ${code} ${reason}`, undefined, { cause: error });
    } finally {
      clearTimeout(silence);
      signal.removeEventListener("abort", stop);
      await client.dispose();
    }
  };
}
