// Runs the example of live stock: prints what it shows first, and what it shows after something was sold.
import { createClient, outcome } from "d365-graphql-client";

import { stock } from "./dist/live_stock.js";

const [url, item] = process.argv.slice(2);
const SELL = `mutation Sell($item: String!) {
  createSalesOrderHeaderV2(input: {
    orderingCustomerAccountNumber: "US-002" invoiceCustomerAccountNumber: "US-002" currencyCode: "USD" customersOrderReference: "LIVE-1"
    salesOrderLines: { create: [{ itemNumber: $item, orderedSalesQuantity: "3", shippingSiteId: "1", shippingWarehouseId: "11" }] }
  }) { created userErrors { message } }
}`;
const client = createClient({ url, companies: "usmf" });
const shown = [];
for await (const places of stock(client, [item], AbortSignal.timeout(100_000))) {
  shown.push(places);
  if (shown.length === 2) break;
  const { createSalesOrderHeaderV2 } = await client.mutate(SELL, { item });
  if (!outcome(createSalesOrderHeaderV2).done) throw new Error(JSON.stringify(createSalesOrderHeaderV2));
}
console.log(JSON.stringify(shown));
process.exit(0);
