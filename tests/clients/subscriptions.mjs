// Subscribes by the reference clients of both transports, changes a row by a mutation, and prints what came.
import { createClient as createSse } from "graphql-sse";
import { createClient as createWs } from "graphql-ws";
import WebSocket from "ws";

const endpoint = process.argv[2];
const params = { "X-D365-Company": "usmf" };
const CHANGES = `subscription Changes($account: JSON) {
  entityChanged(set: "customersV3", where: { customerAccount: $account }) {
    kind set id node { id ... on CustomerV3 { customerAccount nameAlias creditLimit } }
  }
}`;
const RENAME = `mutation ($account: String!, $name: String!) {
  updateCustomerV3(key: { dataAreaId: "usmf", customerAccount: $account }, patch: { nameAlias: $name }) {
    userErrors { message }
  }
}`;
const ACCOUNTS = "{ customersV3(first: 3) { totalCount nodes { id customerAccount } } }";

const first = async (results) => {
  for await (const result of results) return result;
  return null;
};

// The watch begins with a look at all rows; a change before it is none. So the row is changed until somebody notices.
async function changed(client, account, rename) {
  const variables = { account: { eq: account } };
  let seen = null;
  const waiting = first(client.iterate({ query: CHANGES, variables })).then((result) => (seen = result));
  for (let turn = 0; seen === null && turn < 100; turn += 1) {
    await rename(account, `Turn ${turn}`);
    await Promise.race([waiting, new Promise((resolve) => setTimeout(resolve, 300))]);
  }
  return seen;
}

function awaited() {
  let happened;
  return [new Promise((resolve) => (happened = resolve)), happened];
}

async function overWebSocket() {
  const events = [];
  const [ponged, onPong] = awaited();
  const [closed, onClosed] = awaited();
  const client = createWs({
    url: endpoint.replace(/^http/, "ws"),
    webSocketImpl: WebSocket,
    connectionParams: params,
    retryAttempts: 0,
    keepAlive: 50,
    lazyCloseTimeout: 60_000, // one connection for all
    on: {
      connected: () => events.push("connected"),
      pong: () => onPong(events.push("pong")),
      closed: (event) => onClosed(events.push(`closed ${event.code}`)),
    },
  });
  const one = (query, variables) => first(client.iterate({ query, variables }));
  const found = {
    query: await one(ACCOUNTS),
    changed: await changed(client, "US-001", (account, name) => one(RENAME, { account, name })),
    refused: await one("{ nothing }").catch((errors) => errors.map((e) => e.extensions.code)),
    unknown: await one('subscription { entityChanged(set: "nothing") { id } }').catch((errors) =>
      errors.map((e) => e.extensions.code),
    ),
  };
  await ponged;
  await client.dispose();
  await closed;
  return { ...found, events: [...new Set(events)] };
}

async function closed(options) {
  const client = createWs({
    url: endpoint.replace(/^http/, "ws"),
    webSocketImpl: WebSocket,
    retryAttempts: 0,
    ...options,
  });
  return first(client.iterate({ query: ACCOUNTS })).catch((event) => [event.code, event.reason]);
}

async function overEvents() {
  const client = createSse({ url: endpoint, headers: params, retryAttempts: 0 });
  const one = (query, variables) => first(client.iterate({ query, variables }));
  const found = {
    query: await one(ACCOUNTS),
    changed: await changed(client, "US-002", (account, name) => one(RENAME, { account, name })),
    refused: await one("{ nothing }"),
    unknown: await one('subscription { entityChanged(set: "nothing") { id } }'),
  };
  client.dispose();
  return found;
}

async function plain() {
  const response = await fetch(endpoint, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json" },
    body: JSON.stringify({ query: 'subscription { entityChanged(set: "customersV3") { id } }' }),
  });
  return { status: response.status, body: await response.json() };
}

const badTime = { connectionParams: { "X-D365-Timeout": "soon" } };
class Foreign extends WebSocket {
  constructor(url, protocols) {
    super(url, protocols, { origin: "https://elsewhere.example" });
    this.on("unexpected-response", (_, response) => (Foreign.status = response.statusCode));
  }
}
const told = {
  webSocket: await overWebSocket(),
  events: await overEvents(),
  badTime: await closed(badTime),
  plain: await plain(),
};
new Foreign(endpoint.replace(/^http/, "ws"), "graphql-transport-ws").on("error", () => {});
while (Foreign.status === undefined) await new Promise((resolve) => setTimeout(resolve, 20));
console.log(JSON.stringify({ ...told, foreign: Foreign.status }));
process.exit(0);
