// Relay's runtime against a gateway, by the compiled artifacts: prints what pages, rows and a change came to, as JSON.
import {
  Environment,
  type FetchFunction,
  type GraphQLTaggedNode,
  Network,
  RecordSource,
  Store,
  commitMutation,
  createOperationDescriptor,
  fetchQuery,
  getRequest,
  getSingularSelector,
} from "relay-runtime";

import unifiedQuery, { type CustomersUnifiedQuery } from "./__generated__/CustomersUnifiedQuery.graphql";
import nextQuery, { type CustomersNextQuery } from "./__generated__/CustomersNextQuery.graphql";
import query, { type CustomersQuery } from "./__generated__/CustomersQuery.graphql";
import rowQuery, { type CustomersRowQuery } from "./__generated__/CustomersRowQuery.graphql";
import update, { type CustomersUpdateMutation } from "./__generated__/CustomersUpdateMutation.graphql";
import list, { type Customers_list$data } from "./__generated__/Customers_list.graphql";
import row, { type Customers_row$data } from "./__generated__/Customers_row.graphql";

declare const process: { argv: string[] };

const where = { dataAreaId: { eq: "usmf" } };
let requests = 0;
const send: FetchFunction = async ({ id, text }, variables) => {
  requests += 1;
  const response = await fetch(process.argv[2]!, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/graphql-response+json" },
    // With persistConfig, the compiler puts the id of the document in the place of its text.
    body: JSON.stringify(text ? { query: text, variables } : { doc_id: id, variables }),
  });
  return response.json();
};
const environment = new Environment({
  network: Network.create(send),
  store: new Store(new RecordSource()),
  // A unified object has the id of its row.
  getDataID: ({ id }, type) => (id && type.startsWith("Unified") ? `${type}:${id}` : id),
});

const variables: CustomersQuery["variables"] = { first: 35, where };
const root = createOperationDescriptor(getRequest(query), variables);

/** What a component that spreads the fragment is shown. */
function shown<Data>(fragment: GraphQLTaggedNode, reference: unknown): Data {
  const selector = getSingularSelector(fragment as never, reference);
  return environment.lookup(selector!).data as Data;
}

const customers = () => shown<Customers_list$data>(list, environment.lookup(root.fragment).data).customersV3;

async function pages() {
  await fetchQuery<CustomersQuery>(environment, query, variables).toPromise();
  const sizes = [customers().edges.length];
  while (customers().pageInfo.hasNextPage) {
    const next: CustomersNextQuery["variables"] = { ...variables, after: customers().pageInfo.endCursor };
    await fetchQuery<CustomersNextQuery>(environment, nextQuery, next).toPromise();
    sizes.push(customers().edges.length);
  }
  return {
    sizes,
    totalCount: customers().totalCount,
    accounts: customers().edges.map(({ node }) => node.customerAccount),
    requests,
  };
}

async function rows() {
  const edge = customers().edges.find(({ node }) => node.customerAccount === "US-003")!;
  const before = shown<Customers_row$data>(row, edge.node);
  const after = before.salesOrders!.pageInfo.endCursor;
  const next: CustomersRowQuery["variables"] = { id: before.id, first: 2, after };
  await fetchQuery<CustomersRowQuery>(environment, rowQuery, next).toPromise();
  await new Promise<void>((completed, failed) =>
    commitMutation<CustomersUpdateMutation>(environment, {
      mutation: update,
      variables: {
        key: { dataAreaId: "usmf", customerAccount: "US-003" },
        patch: { nameAlias: "By Relay" },
      },
      onCompleted: () => completed(),
      onError: failed,
    }),
  );
  const now = shown<Customers_row$data>(row, edge.node);
  const numbers = ({ salesOrders }: Customers_row$data) => salesOrders?.edges.map(({ node }) => node.salesOrderNumber);
  return { before: numbers(before), now: numbers(now), nameAlias: now.nameAlias };
}

async function unified() {
  const complaints: unknown[] = [];
  console.error = (...words) => complaints.push(words);
  const data = await fetchQuery<CustomersUnifiedQuery>(environment, unifiedQuery, {}).toPromise();
  const object = data!.accounting!.customers.edges[0]!.node;
  const records = environment.getStore().getSource();
  return {
    same: object.id === object.raw.id && object.name === object.raw.organizationName,
    types: [object.id, `UnifiedCustomer:${object.id}`].map((id) => records.get(id)?.__typename),
    complaints,
  };
}

async function main() {
  environment.retain(root);
  console.log(JSON.stringify({ pages: await pages(), rows: await rows(), unified: await unified() }));
}
void main();
