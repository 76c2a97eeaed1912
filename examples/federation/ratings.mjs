// The subgraph of a provider of ratings. It knows vendors by the number that they have in Finance & Operations.
import { createServer } from "node:http";

import { buildSubgraphSchema } from "@apollo/subgraph";
import { parse } from "graphql";
import { createHandler } from "graphql-http/lib/use/http";

const RATINGS = [
  { vendor: "US-001", score: 91, reason: "pays within terms" },
  { vendor: "US-002", score: 34, reason: "insolvency of its parent company" },
  { vendor: "US-003", score: 48, reason: "late accounts" },
  { vendor: "GONE-1", score: 12, reason: "struck off" },
];

const typeDefs = parse(`
  extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key"])

  type Query {
    ratings(below: Int!): [Rating!]!
  }
  type Rating {
    score: Int!
    reason: String!
    vendor: VendorV2
  }
  type VendorV2 @key(fields: "dataAreaId vendorAccountNumber") {
    dataAreaId: String!
    vendorAccountNumber: String!
    rating: Rating
  }
`);

const key = ({ vendor }) => ({ dataAreaId: "usmf", vendorAccountNumber: vendor });
const schema = buildSubgraphSchema({
  typeDefs,
  resolvers: {
    Query: { ratings: (_, { below }) => RATINGS.filter(({ score }) => score < below) },
    Rating: { vendor: key },
    VendorV2: {
      __resolveReference: (reference) => reference,
      rating: ({ vendorAccountNumber }) => RATINGS.find(({ vendor }) => vendor === vendorAccountNumber),
    },
  },
});
const server = createServer(createHandler({ schema }));
await new Promise((listening) => server.listen(process.env.RATINGS_PORT ?? 4001, "127.0.0.1", listening));
export const url = `http://127.0.0.1:${server.address().port}/`;
console.log(`Ratings: ${url}`);
