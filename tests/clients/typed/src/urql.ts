// urql against a gateway: prints what it read, as JSON.
import { Client, cacheExchange, fetchExchange, gql } from "@urql/core";

import { customersQuery, updateCustomerMutation } from "./operations";
import { type Exchange, endpoint, spied } from "./wire";

const where = { dataAreaId: { eq: "usmf" } };

async function main() {
  const exchanges: Exchange[] = [];
  const client = new Client({
    url: endpoint,
    exchanges: [cacheExchange, fetchExchange],
    fetch: spied(exchanges),
    preferGetMethod: false,
  });
  const ask = async (after: string | null = null) => {
    const { data, error } = await client.query(customersQuery, { first: 5, after, where });
    if (data === undefined) throw error;
    return data.customersV3;
  };
  const first = await ask();
  const second = await ask(first.pageInfo.endCursor);
  const kept = await ask();
  const read = exchanges.length;
  const accounts = [first, second].map(({ edges }) => edges.map(({ node }) => node.customerAccount));
  const key = { dataAreaId: "usmf", customerAccount: accounts[0]![1]! };
  await client.mutation(updateCustomerMutation, { key, patch: { nameAlias: "By urql" } });
  const changed = await ask();
  const { error } = await client.query(gql("{ customersV3(first: 100000) { nodes { id } } }"), {});
  console.log(
    JSON.stringify({
      accounts,
      kept: kept.edges.length,
      read,
      changed: changed.edges[1]!.node.nameAlias,
      codes: error?.graphQLErrors.map(({ extensions }) => extensions["code"]),
      exchanges,
    }),
  );
}
void main();
