// What the generated types must be: this file compiles, or the test fails.
import type { ResultOf, VariablesOf } from "@graphql-typed-document-node/core";

import type { customersQuery, customerAgainQuery, updateCustomerMutation } from "./operations";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const holds = <_T extends true>(): void => undefined;

type Edge = ResultOf<typeof customersQuery>["customersV3"]["edges"][number];
type Order = NonNullable<Edge["node"]["salesOrders"]>["edges"][number]["node"];
type Line = NonNullable<Order["salesOrderLines"]>["nodes"][number];
type Change = NonNullable<ResultOf<typeof updateCustomerMutation>["updateCustomerV3"]>;
type Variables = VariablesOf<typeof customersQuery>;

holds<Same<Edge["node"]["creditLimit"], string>>();
holds<Same<Edge["node"]["nameAlias"], string | null>>();
holds<Same<Edge["node"]["creditLimitIsMandatory"], boolean | null>>();
holds<Same<Extract<Order["salesOrderStatus"], "INVOICED" | "DELIVERED">, "INVOICED" | "DELIVERED">>();
holds<Same<Line["requestedShippingDate"], string | null>>();
holds<Same<Variables["first"], number>>();
holds<Same<null extends ResultOf<typeof customerAgainQuery>["node"] ? true : false, true>>();
holds<Same<Change["userErrors"][number]["code"], string>>();

export const filter = { creditLimit: { gte: "1000.00" } } satisfies Variables["where"];
// @ts-expect-error a decimal is exact text, never a number
export const inexact = { creditLimit: { gte: 1000 } } satisfies Variables["where"];
// @ts-expect-error there is no such field
export const unknown = { creditLimitt: { gte: "1000" } } satisfies Variables["where"];
