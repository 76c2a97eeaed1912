// What a small frontend asks: a list that pages, a row with a list of its own that pages, a change.
import { graphql } from "relay-runtime";

export const query = graphql`
  query CustomersQuery($first: Int!, $where: CustomerV3Where) {
    ...Customers_list @arguments(first: $first, where: $where)
  }
`;

export const list = graphql`
  fragment Customers_list on Query
  @refetchable(queryName: "CustomersNextQuery")
  @argumentDefinitions(
    first: { type: "Int!" }
    after: { type: "String" }
    where: { type: "CustomerV3Where" }
  ) {
    customersV3(first: $first, after: $after, where: $where, orderBy: [{ customerAccount: ASC }])
      @connection(key: "Customers_customersV3") {
      totalCount
      pageInfo {
        hasNextPage
        endCursor
      }
      edges {
        node {
          customerAccount
          ...Customers_row
        }
      }
    }
  }
`;

export const row = graphql`
  fragment Customers_row on CustomerV3
  @refetchable(queryName: "CustomersRowQuery")
  @argumentDefinitions(first: { type: "Int", defaultValue: 1 }, after: { type: "String" }) {
    id
    nameAlias
    creditLimit
    salesOrders(first: $first, after: $after) @connection(key: "Customers_salesOrders") {
      pageInfo {
        endCursor
      }
      edges {
        node {
          salesOrderNumber
          salesOrderStatus
          salesOrderLines(first: 3) {
            nodes {
              itemNumber
              lineAmount
            }
          }
        }
      }
    }
  }
`;

export const update = graphql`
  mutation CustomersUpdateMutation($key: CustomerV3Key!, $patch: CustomerV3Patch!) {
    updateCustomerV3(key: $key, patch: $patch) {
      customerV3 {
        nameAlias
      }
      userErrors {
        code
        field
        message
      }
    }
  }
`;

export const unified = graphql`
  query CustomersUnifiedQuery {
    accounting {
      customers(first: 1) {
        edges {
          node {
            id
            name
            raw {
              id
              organizationName
            }
          }
        }
      }
    }
  }
`;
