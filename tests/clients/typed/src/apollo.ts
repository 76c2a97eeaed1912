// Apollo Client against a gateway: prints what its pages, its cache and its errors came to, as JSON.
import {
  ApolloClient,
  CombinedGraphQLErrors,
  HttpLink,
  InMemoryCache,
  type NormalizedCacheObject,
  gql,
} from "@apollo/client";
import { relayStylePagination } from "@apollo/client/utilities";
import type { ResultOf } from "@graphql-typed-document-node/core";

import { customerAgainQuery, customersQuery, ordersQuery, updateCustomerMutation } from "./operations";
import { type Exchange, endpoint, spied } from "./wire";

type CustomerList = ResultOf<typeof customersQuery>["customersV3"];

const variables = { first: 35, where: { dataAreaId: { eq: "usmf" } } };

function connect() {
  const exchanges: Exchange[] = [];
  const client = new ApolloClient({
    link: new HttpLink({ uri: endpoint, fetch: spied(exchanges) }),
    cache: new InMemoryCache({
      typePolicies: {
        Query: { fields: { customersV3: relayStylePagination(["where", "orderBy", "companies"]) } },
        CustomerV3: { fields: { salesOrders: relayStylePagination(["where", "orderBy"]) } },
      },
    }),
  });
  const cached = () => client.readQuery({ query: customersQuery, variables })?.customersV3;
  return { client, exchanges, cached };
}

async function pages() {
  const { client, exchanges, cached } = connect();
  const list = client.watchQuery({ query: customersQuery, variables });
  const watching = list.subscribe(() => undefined);
  await client.query({ query: customersQuery, variables });
  const sizes = [cached()!.edges.length];
  while (cached()!.pageInfo.hasNextPage) {
    await list.fetchMore({ variables: { after: cached()!.pageInfo.endCursor } });
    sizes.push(cached()!.edges.length);
  }
  watching.unsubscribe();
  const whole = await client.query({
    query: customersQuery,
    variables: { ...variables, first: 1000 },
    fetchPolicy: "no-cache",
  });
  const accounts = (list: CustomerList | undefined) => list?.edges.map(({ node }) => node.customerAccount);
  return {
    sizes,
    totalCount: cached()!.totalCount,
    accounts: accounts(cached()),
    whole: accounts(whole.data?.customersV3),
    exchanges,
  };
}

async function pagesOfRow() {
  const { client, exchanges } = connect();
  const found = await client.query({
    query: customersQuery,
    variables: { first: 1, where: { customerAccount: { eq: "US-003" } } },
  });
  const variables = { id: found.data!.customersV3.edges[0]!.node.id };
  const orders = () => {
    const row = client.readQuery({ query: ordersQuery, variables })?.node;
    return row?.__typename === "CustomerV3" ? row.salesOrders : null;
  };
  const list = client.watchQuery({ query: ordersQuery, variables });
  const watching = list.subscribe(() => undefined);
  await client.query({ query: ordersQuery, variables });
  const sizes = [orders()!.edges.length];
  while (orders()!.pageInfo.hasNextPage) {
    await list.fetchMore({ variables: { ...variables, after: orders()!.pageInfo.endCursor } });
    sizes.push(orders()!.edges.length);
  }
  watching.unsubscribe();
  const numbers = orders()!.edges.map(({ node }) => node.salesOrderNumber);
  return { sizes, numbers, requests: exchanges.length };
}

async function cache() {
  const { client, exchanges, cached } = connect();
  await client.query({ query: customersQuery, variables });
  const before = client.readQuery({ query: customersQuery, variables })!;
  const row = cached()!.edges[0]!.node;
  const key = { dataAreaId: "usmf", customerAccount: row.customerAccount };

  const seen: (string | null | undefined)[] = [];
  const watching = client
    .watchQuery({ query: customersQuery, variables })
    .subscribe(({ data }) => seen.push((data as typeof before).customersV3?.edges?.[0]?.node?.nameAlias));
  await client.mutate({ mutation: updateCustomerMutation, variables: { key, patch: { nameAlias: "Renamed" } } });
  await new Promise((later) => setTimeout(later));
  watching.unsubscribe();
  const again = await client.query({
    query: customerAgainQuery,
    variables: { id: row.id },
    fetchPolicy: "network-only",
  });
  const refused = await client.mutate({
    mutation: updateCustomerMutation,
    variables: { key, patch: { customerGroupId: "NOGROUP" } },
  });
  const kept = client.cache.extract() as NormalizedCacheObject;
  return {
    entities: Object.values(kept).filter((entity) => entity?.["id"] === row.id).length,
    identity: client.cache.identify({ __typename: "CustomerV3", id: row.id }) === `CustomerV3:${row.id}`,
    seen,
    cached: cached()!.edges[0]!.node.nameAlias,
    again: again.data?.node,
    requests: exchanges.length,
    refused: refused.data?.updateCustomerV3?.userErrors,
  };
}

async function errors() {
  const { client, exchanges } = connect();
  const codes = async (query: string) => {
    try {
      await client.query({ query: gql(query) });
    } catch (error) {
      if (CombinedGraphQLErrors.is(error)) return error.errors.map(({ extensions }) => extensions?.["code"]);
      throw error;
    }
    return [];
  };
  return {
    validation: await codes("{ customersV3 { nodes { nothing } } }"),
    pageLimit: await codes("{ customersV3(first: 100000) { nodes { id } } }"),
    id: await codes('{ node(id: "nothing") { id } }'),
    exchanges,
  };
}

async function main() {
  const seen = {
    pages: await pages(),
    pagesOfRow: await pagesOfRow(),
    cache: await cache(),
    errors: await errors(),
  };
  console.log(JSON.stringify(seen));
}
void main();
