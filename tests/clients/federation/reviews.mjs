// A subgraph of reviews: it knows customers by their natural key, and sales orders by the id that the gateway gives them.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { text } from "node:stream/consumers";

import { buildSubgraphSchema } from "@apollo/subgraph";
import { graphql, parse } from "graphql";

const typeDefs = parse(readFileSync(new URL("reviews.graphql", import.meta.url), "utf8"));

/** Serves reviews `{ id, body, customer, order }`; gives the server and its address. */
export async function serve(reviews) {
  const of = (field, same) => (row) => reviews.filter((review) => review[field] && same(review[field], row));
  const schema = buildSubgraphSchema({
    typeDefs,
    resolvers: {
      Query: {
        reviews: (_, { ids }) => reviews.filter(({ id }) => ids?.includes(id) ?? true),
        pageOfReviews: (_, { first }) => ({
          nodes: reviews.slice(0, first),
          pageInfo: { hasNextPage: first < reviews.length, hasPreviousPage: false },
        }),
      },
      Review: { __resolveReference: ({ id }) => reviews.find((review) => review.id === id) },
      CustomerV3: {
        __resolveReference: (reference) => reference,
        reviews: of("customer", (one, other) =>
          ["dataAreaId", "customerAccount"].every((name) => one[name] === other[name]),
        ),
      },
      SalesOrderHeaderV2: {
        __resolveReference: (reference) => reference,
        reviews: of("order", (one, other) => one.id === other.id),
      },
    },
  });
  const server = createServer(async (request, response) => {
    const { query, variables, operationName } = JSON.parse(await text(request));
    const result = await graphql({ schema, source: query, variableValues: variables, operationName });
    response.setHeader("content-type", "application/json").end(JSON.stringify(result));
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  return { server, url: `http://127.0.0.1:${server.address().port}/` };
}
