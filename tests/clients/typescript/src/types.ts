// What the types of the client must be: this file compiles, or the test fails.
import { type Decimal, type Long, type Outcome, type UserError, createClient, decimal, outcome } from "d365-graphql-client";

import { graphql } from "./gql/index.js";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const holds = <_T extends true>(): void => undefined;

const client = createClient({ url: "http://127.0.0.1/graphql" });
const Groups = graphql(`
  query Groups {
    customerGroups(first: 2) {
      nodes { customerGroupId description }
    }
  }
`);
const Credit = graphql(`
  query Credit($account: String!) {
    customerV3(customerAccount: $account) { creditLimit creditLimitIsMandatory salesOrders { nodes { salesOrderStatus } } }
  }
`);

export async function queries() {
  const { customerGroups } = await client.query(Groups);
  holds<Same<(typeof customerGroups.nodes)[number]["description"], string | null>>();
  const { customerV3 } = await client.query(Credit, { account: "US-001" });
  holds<Same<NonNullable<typeof customerV3>["creditLimit"], Decimal>>();
  // @ts-expect-error the account is missing
  await client.query(Credit);
  // @ts-expect-error there is no such variable
  await client.query(Credit, { account: "US-001", name: "" });
  // @ts-expect-error without $after there are no pages
  client.nodes(Groups, {}, (data) => data.customerGroups);
}

export async function files(scan: Blob) {
  const { body, etag } = await client.download("id/field");
  holds<Same<typeof body, ReadableStream<Uint8Array<ArrayBuffer>>>>();
  await client.upload("id/field", body, etag === undefined ? {} : { ifMatch: etag });
  const { created } = await client.upload({ list: "accounting.attachments", field: "content" }, scan);
  holds<Same<typeof created, boolean | undefined>>();
  // @ts-expect-error text has an encoding, bytes have none
  await client.upload("id/field", "text");
}

export const exact: Decimal = "1250.00";
export const wide: Long = "9007199254740993";
export const made: Decimal = decimal("1.50");
// @ts-expect-error a number has lost its digits
export const inexact: Decimal = 1250;
// @ts-expect-error not a number at all
export const words: Decimal = "many";

type Selected = { code: string; message: string; conflicts: { field: string }[] };
interface Payload {
  row: { name: string } | null;
  created: boolean | null;
  userErrors: Selected[];
}

export function narrowed(payload: Payload): string {
  const result: Outcome<Payload, "row"> = outcome(payload, "row");
  if (result.done) {
    holds<Same<typeof result.row, { name: string }>>();
    return result.row.name;
  }
  const [reason] = result.userErrors;
  if (reason.code === "CONFLICT") {
    holds<Same<typeof reason.conflicts, { field: string }[]>>();
    return reason.conflicts[0]?.field ?? "";
  }
  // @ts-expect-error only a conflict has conflicts
  reason.conflicts;
  if (reason.code === "OTHER") return reason.otherCode;
  holds<Same<Extract<UserError<Selected>["code"], "CONFLICT" | "NOT_SENT">, "CONFLICT" | "NOT_SENT">>();
  // @ts-expect-error no code is spelled like this
  return reason.code === "NO_SUCH_CODE" ? "" : reason.message;
}
