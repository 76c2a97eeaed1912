// Apollo's gateway over subgraphs.
import { createHash } from "node:crypto";

import { ApolloGateway, IntrospectAndCompose, RemoteGraphQLDataSource } from "@apollo/gateway";
import { parse, validate } from "graphql";

process.env.APOLLO_TELEMETRY_DISABLED = "true";

const log = { debug() {}, info() {}, warn: console.error, error: console.error };

/** A fetch that keeps no connection: composing blocks this process for longer than the other end keeps an idle one. */
const alone = (url, init) => fetch(url, { ...init, headers: { ...init.headers, connection: "close" } });

/**
 * Starts it over subgraphs `{ name: url }`, by a supergraph in SDL; without one it composes what they tell.
 * Gives the schema of its clients, `execute(source, variables)`, whose answers tell what was fetched, and `stop()`.
 */
export async function route(urls, supergraph) {
  const fetches = [];
  class Source extends RemoteGraphQLDataSource {
    willSendRequest({ request }) {
      const { representations } = request.variables ?? {};
      fetches.push({ to: this.name, query: request.query, representations: representations?.length ?? null });
    }
  }
  const subgraphs = Object.entries(urls).map(([name, url]) => ({ name, url }));
  const gateway = new ApolloGateway({
    supergraphSdl: supergraph ?? new IntrospectAndCompose({ subgraphs }),
    buildService: ({ name }) => Object.assign(new Source({ url: urls[name], fetcher: alone }), { name }),
    logger: log,
  });
  const { schema, executor } = await gateway.load();

  async function execute(source, variables = {}) {
    const document = parse(source);
    const [operation] = document.definitions;
    const invalid = validate(schema, document);
    if (invalid.length > 0) return { errors: invalid.map(({ message }) => ({ message })), fetches: [] };
    fetches.length = 0;
    const result = await executor({
      request: { query: source, variables, operationName: operation.name.value },
      operationName: operation.name.value,
      document,
      operation,
      source,
      queryHash: createHash("sha256").update(source).digest("hex"),
      schema,
      context: {},
      metrics: {},
      logger: log,
    });
    return { ...result, fetches: [...fetches] };
  }
  return { schema, execute, stop: () => gateway.stop() };
}
