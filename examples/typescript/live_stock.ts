// The stock of some items by site and warehouse, as it changes: node live_stock.js D0001 D0003
import { type Client, type Decimal, createClient } from "d365-graphql-client";

import { graphql } from "./gql/index.js";

const Stock = graphql(`
  subscription Stock($items: JSON, $since: String) {
    changes(set: "WarehousesOnHandV2", where: { itemNumber: { in: $items } }, since: $since) {
      upserts {
        id
        node {
          ... on WarehouseOnHandV2 {
            __typename
            itemNumber productColorId productConfigurationId productSizeId productStyleId
            inventorySiteId warehouse { warehouseName } inventoryWarehouseId
            availableOnHandQuantity onOrderQuantity
          }
        }
      }
      deletes { id }
      cursor
      hasMore
      resyncRequired
    }
  }
`);

/** What a shop shows of one warehouse. */
export interface Place {
  readonly item: string;
  readonly variant: string;
  readonly site: string;
  readonly warehouse: string;
  /** In the warehouse and not reserved: what can be promised for today. */
  readonly available: Decimal;
  readonly onOrder: Decimal;
}

/** Yields all places of the items: at once, and whenever one of them has changed. */
export async function* stock(gateway: Client, items: readonly string[], signal?: AbortSignal): AsyncGenerator<Place[]> {
  const places = new Map<string, Place>();
  const options = signal ? { signal } : {};
  let news = true; // the first answer is shown in any case
  for await (const { upserts, deletes, hasMore, resyncRequired } of gateway.follow(Stock, { items }, options)) {
    news ||= resyncRequired || upserts.length + deletes.length > 0;
    if (resyncRequired) places.clear(); // all of them come again
    for (const { id, node } of upserts) {
      if (node?.__typename !== "WarehouseOnHandV2") continue;
      const { productColorId, productConfigurationId, productSizeId, productStyleId } = node;
      places.set(id, {
        item: node.itemNumber,
        variant: [productColorId, productConfigurationId, productSizeId, productStyleId].filter(Boolean).join("/"),
        site: node.inventorySiteId,
        warehouse: node.warehouse?.warehouseName ?? node.inventoryWarehouseId,
        available: node.availableOnHandQuantity,
        onOrder: node.onOrderQuantity,
      });
    }
    for (const { id } of deletes) places.delete(id);
    if (hasMore || !news) continue;
    news = false;
    yield [...places.values()];
  }
}

if (process.argv[1]?.endsWith("live_stock.js")) {
  const gateway = createClient({ url: "http://127.0.0.1:8000/graphql", companies: "usmf" });
  for await (const places of stock(gateway, process.argv.slice(2))) console.table(places);
}
