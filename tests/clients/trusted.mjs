// Apollo Client with ids of a manifest in the place of documents: prints what it sent and what came back, as JSON.
// The first argument is the address; the second says what to do: "manifest" prints the manifest of its operations.
import { createHash } from "node:crypto";

import { ApolloClient, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { print } from "graphql";

const [uri, task] = process.argv.slice(2);
const known = gql`query Names($first: Int) { customersV3(first: $first) { nodes { customerAccount __typename } __typename } }`;
const unknown = gql`query Others { vendorsV2(first: 1) { nodes { vendorAccountNumber __typename } __typename } }`;
const sha256 = (text) => createHash("sha256").update(text).digest("hex");
const hash = (document) => sha256(print(document));

if (task === "manifest") {
  const operations = [{ id: hash(known), name: "Names", type: "query", body: print(known) }];
  console.log(JSON.stringify({ format: "apollo-persisted-query-manifest", version: 1, operations }));
} else {
  const sent = [];
  const spied = async (address, options) => {
    const response = await fetch(address, options);
    const asked = options.body ? JSON.parse(options.body) : Object.fromEntries(new URL(address).searchParams);
    const answer = await response.clone().json();
    sent.push({
      method: (options.method ?? "GET").toUpperCase(),
      query: "query" in asked,
      codes: (answer.errors ?? []).map((error) => error.extensions.code),
      cache: response.headers.get("cache-control"),
    });
    return response;
  };
  const link = new PersistedQueryLink({
    generateHash: (document) => Promise.resolve(hash(document)),
    useGETForHashedQueries: task === "get",
  });
  const client = new ApolloClient({ link: link.concat(new HttpLink({ uri, fetch: spied })), cache: new InMemoryCache() });
  const sizes = [];
  for (const first of [1, 2]) {
    const { data } = await client.query({ query: known, variables: { first } });
    sizes.push(data.customersV3.nodes.length);
  }
  const other = await client.query({ query: unknown, fetchPolicy: "no-cache", errorPolicy: "all" }).catch((error) => ({ error }));
  console.log(JSON.stringify({ sizes, sent, refused: other.error !== undefined }));
}
