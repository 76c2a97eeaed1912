// Apollo Client with its link for automatic persisted queries: prints what it was told and what it sent, as JSON.
import { createHash } from "node:crypto";

import { ApolloClient, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";

const [uri, useGETForHashedQueries] = process.argv.slice(2);
const sent = [];
const spied = async (address, options) => {
  const response = await fetch(address, options);
  const asked = options.body ? JSON.parse(options.body) : Object.fromEntries(new URL(address).searchParams);
  const answer = await response.clone().json();
  sent.push({
    method: options.method ?? "GET",
    hash: JSON.stringify(asked.extensions ?? "").includes("persistedQuery"),
    query: "query" in asked,
    status: response.status,
    codes: (answer.errors ?? []).map((error) => error.extensions.code),
  });
  return response;
};
const sha256 = (text) => createHash("sha256").update(text).digest("hex");
const link = new PersistedQueryLink({ sha256, useGETForHashedQueries: useGETForHashedQueries === "get" });
const client = new ApolloClient({
  link: link.concat(new HttpLink({ uri, fetch: spied })),
  cache: new InMemoryCache(),
});
const query = gql`query Names($first: Int) { customersV3(first: $first) { nodes { customerAccount } } }`;
const sizes = [];
for (const first of [1, 2]) {
  const { data } = await client.query({ query, variables: { first } });
  sizes.push(data.customersV3.nodes.length);
}
console.log(JSON.stringify({ sizes, sent }));
