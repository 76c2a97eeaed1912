// Apollo's gateway over ours and the subgraph of reviews: prints what it answers and what it fetched, as JSON.
// Arguments: the address of our API, and a supergraph in SDL; without one it is composed of what both services tell.
import { readFileSync } from "node:fs";

import { parse, print } from "graphql";

import { serve } from "./reviews.mjs";
import { route } from "./router.mjs";

const MISSING = { dataAreaId: "usmf", customerAccount: "NOBODY" };
const [endpoint, supergraph] = process.argv.slice(2);

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
    customersV3(first: 250) { nodes { dataAreaId customerAccount organizationName } }
    salesOrderHeadersV2(first: 500) { nodes { id salesOrderNumber } }
  }`);
  const orders = salesOrderHeadersV2.nodes;
  return [
    ...orders.map((order, at) => ({ order, customer: customersV3.nodes[at % customersV3.nodes.length] })),
    { customer: MISSING },
    { order: { id: "nonsense" } },
  ].map((review, at) => ({ id: `r${at}`, body: `Review ${at}`, ...review }));
}

const reviews = await written();
const { server, url } = await serve(reviews);
const { schema, execute, stop } = await route({ d365: endpoint, reviews: url }, supergraph && readFileSync(supergraph, "utf8"));

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
await stop();
server.close();
