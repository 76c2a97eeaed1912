// Apollo's gateway over ours and the subgraph of reviews: prints what it answers and what it fetched, as JSON.
// Arguments: the address of our API, and a supergraph in SDL; without one it is composed of what both services tell.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

import { ApolloGateway, IntrospectAndCompose, RemoteGraphQLDataSource } from "@apollo/gateway";
import { parse, print, validate } from "graphql";

import { serve } from "./reviews.mjs";

process.env.APOLLO_TELEMETRY_DISABLED = "true";

const MISSING = { dataAreaId: "usmf", customerAccount: "NOBODY" };
const [endpoint, supergraph] = process.argv.slice(2);
const log = { debug() {}, info() {}, warn: console.error, error: console.error };

async function ask(query) {
  const headers = { "content-type": "application/json" };
  const response = await fetch(endpoint, { method: "POST", headers, body: JSON.stringify({ query }) });
  const { data, errors } = await response.json();
  if (errors) throw new Error(JSON.stringify(errors));
  return data;
}

/** One review for each customer and each order, one of a customer that does not exist, one of no id at all. */
async function written() {
  const { customersV3, salesOrderHeadersV2 } = await ask(`{
    customersV3(first: 300) { nodes { dataAreaId customerAccount organizationName } }
    salesOrderHeadersV2(first: 500) { nodes { id salesOrderNumber } }
  }`);
  const orders = salesOrderHeadersV2.nodes;
  return [
    ...orders.map((order, at) => ({ order, customer: customersV3.nodes[at % customersV3.nodes.length] })),
    { customer: MISSING },
    { order: { id: "nonsense" } },
  ].map((review, at) => ({ id: `r${at}`, body: `Review ${at}`, ...review }));
}

/** A fetch that keeps no connection: composing blocks this process for longer than the other end keeps an idle one. */
const alone = (url, init) => fetch(url, { ...init, headers: { ...init.headers, connection: "close" } });

function start(urls, fetches) {
  class Source extends RemoteGraphQLDataSource {
    willSendRequest({ request }) {
      const { representations } = request.variables ?? {};
      fetches.push({ to: this.name, query: request.query, representations: representations?.length ?? null });
    }
  }
  const subgraphs = Object.entries(urls).map(([name, url]) => ({ name, url }));
  return new ApolloGateway({
    supergraphSdl: supergraph ? readFileSync(supergraph, "utf8") : new IntrospectAndCompose({ subgraphs }),
    buildService: ({ name }) => Object.assign(new Source({ url: urls[name], fetcher: alone }), { name }),
    logger: log,
  });
}

const reviews = await written();
const { server, url } = await serve(reviews);
const fetches = [];
const gateway = start({ d365: endpoint, reviews: url }, fetches);
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

const change = ({ dataAreaId, customerAccount }, nameAlias) => [
  { key: { dataAreaId, customerAccount }, patch: { nameAlias } },
];
const operations = parse(readFileSync(new URL("operations.graphql", import.meta.url), "utf8")).definitions;
const variables = {
  Broken: { ids: reviews.slice(-3).map(({ id }) => id) },
  Change: { one: change(reviews[0].customer, "By a router"), other: change(MISSING, "Never") },
  Atomic: { one: change(reviews[0].customer, "By a router"), other: change(MISSING, "Never") },
};
const answers = {};
for (const operation of operations) {
  const name = operation.name.value;
  answers[name] = await execute(print(operation), variables[name]);
}

const fields = (type) => Object.keys(type?.getFields() ?? {});
console.log(
  JSON.stringify({
    reviews,
    answers,
    api: {
      roots: [...fields(schema.getQueryType()), ...fields(schema.getMutationType())],
      types: Object.keys(schema.getTypeMap()),
    },
  }),
);
await gateway.stop();
server.close();
