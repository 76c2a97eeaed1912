// What a small frontend asks: a list with lists below it, one row again by its id, a change.
import { graphql } from "./gql";

export const customerFields = graphql(`
  fragment CustomerFields on CustomerV3 {
    id
    customerAccount
    nameAlias
    creditLimit
    creditLimitIsMandatory
  }
`);

export const customersQuery = graphql(`
  query Customers($first: Int!, $after: String, $where: CustomerV3Where) {
    customersV3(first: $first, after: $after, where: $where, orderBy: [{ customerAccount: ASC }]) {
      totalCount
      pageInfo {
        hasNextPage
        hasPreviousPage
        startCursor
        endCursor
      }
      edges {
        cursor
        node {
          ...CustomerFields
          salesOrders(first: 2) {
            edges {
              cursor
              node {
                id
                salesOrderNumber
                salesOrderStatus
                salesOrderLines(first: 3) {
                  nodes {
                    id
                    itemNumber
                    lineAmount
                    requestedShippingDate
                  }
                }
              }
            }
          }
        }
      }
    }
  }
`);

export const customerAgainQuery = graphql(`
  query CustomerAgain($id: ID!) {
    node(id: $id) {
      __typename
      ...CustomerFields
    }
  }
`);

export const ordersQuery = graphql(`
  query Orders($id: ID!, $after: String) {
    node(id: $id) {
      __typename
      ... on CustomerV3 {
        id
        salesOrders(first: 2, after: $after) {
          pageInfo {
            hasNextPage
            endCursor
          }
          edges {
            cursor
            node {
              id
              salesOrderNumber
            }
          }
        }
      }
    }
  }
`);

export const updateCustomerMutation = graphql(`
  mutation UpdateCustomer($key: CustomerV3Key!, $patch: CustomerV3Patch!) {
    updateCustomerV3(key: $key, patch: $patch) {
      customerV3 {
        ...CustomerFields
      }
      userErrors {
        code
        field
        message
      }
    }
  }
`);
