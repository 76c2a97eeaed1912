// Calls a gateway through a proxy with faults, as the page of the client shows it, and prints what came of it.
import { createClient, decimal, day, long, outcome, serverSentEvents } from "d365-graphql-client";
import { webSocket } from "d365-graphql-client/websocket";
import { WebSocket } from "ws";

import { proxy } from "./proxy.mjs";

const gateway = await proxy(process.argv[2]);
process.env.GATEWAY_URL = gateway.url;
const { creditOf } = await import("./dist/customers.js");
const { setCredit } = await import("./dist/credit.js");
const { names } = await import("./dist/changes.js");
const { attach, filesOf } = await import("./dist/attachments.js");
const { live } = await import("./dist/live.js");
const { erp } = await import("./dist/erp.js");
const { graphql } = await import("./dist/gql/index.js");

const { url, faults, seen } = gateway;
const quick = { attempts: 3, longestPause: 0.4 };
const client = createClient({ url, companies: "usmf", retries: quick });
const GROUPS = "query Groups($after: String) { customerGroups(first: 2, after: $after) { pageInfo { hasNextPage endCursor } nodes { customerGroupId } } }";
const JOURNAL = `mutation Journal($name: String) {
  createLedgerJournalHeader(input: { journalName: "GenJrn", description: $name }) {
    ledgerJournalHeader { journalBatchNumber } userErrors { code message }
  }
}`;
const WRITTEN = "query Written($name: String) { ledgerJournalHeaders(where: { description: { eq: $name } }) { totalCount } }";
const RENAME = `mutation Rename($account: String!, $name: String!) {
  updateCustomerV3(key: { customerAccount: $account }, patch: { nameAlias: $name }) { userErrors { message } }
}`;

/** The requests since the last call. */
const sent = () => seen.splice(0);
const failure = (promise) =>
  promise.then(
    () => null,
    (error) => ({
      name: error.name, code: error.code, status: error.status, retryAfter: error.retryAfter, key: error.idempotencyKey,
      has: error.has?.("RATE_LIMITED", "IDEMPOTENCY_MISMATCH") ?? null, attempts: sent().length,
    }),
  );
const busy = (status, seconds, body) => ({ status, headers: { ...(seconds !== undefined && { "retry-after": seconds }) }, body });
const rename = async (account, name) => {
  const { updateCustomerV3 } = await client.mutate(RENAME, { account, name });
  if (!outcome(updateCustomerV3).done) throw new Error(JSON.stringify(updateCustomerV3));
};

async function pages() {
  const limits = await creditOf("10");
  const requests = sent().length;
  for await (const { nodes } of client.pages(GROUPS, {}, (data) => data.customerGroups)) if (nodes.length) break;
  const cursors = [];
  for await (const { pageInfo } of client.pages(GROUPS, {}, (data) => data.customerGroups)) cursors.push(pageInfo.endCursor);
  const asked = sent().map(({ body }) => body.variables.after);
  return { limits: [...limits], requests, asked, cursors };
}

async function retries() {
  let tokens = 0;
  const renewing = createClient({ url, retries: quick, headers: () => ({ "x-attempt": `${(tokens += 1)}` }) });
  faults.push(busy(429, "0.05"), busy(503, new Date(Date.now() - 1000).toUTCString()));
  await renewing.query(GROUPS);
  const again = sent().length;
  faults.push("lose", busy(502));
  await client.query(GROUPS);
  const lost = sent().length;
  const patient = JSON.stringify({ errors: [{ message: "later", extensions: { code: "RATE_LIMITED", retryAfter: 30 } }] });
  faults.push(busy(429, "30", patient));
  const tooLong = await failure(client.query(GROUPS));
  faults.push(busy(503, "0"), busy(503, "0"), busy(503, "0", "<html>"));
  const proxied = await failure(client.query(GROUPS));
  const stopped = new AbortController();
  faults.push(busy(503, "0.4"));
  setTimeout(() => stopped.abort(), 50);
  const began = Date.now();
  const aborted = await failure(client.query(GROUPS, {}, { signal: stopped.signal }));
  return { again, tokens, lost, tooLong, proxied, aborted: [aborted.name, Date.now() - began < 350] };
}

async function mutations() {
  const count = async (name) => (await client.query(WRITTEN, { name })).ledgerJournalHeaders.totalCount;
  sent();
  faults.push("lose", busy(409, "0.05"));
  const first = await client.mutate(JOURNAL, { name: "Once" });
  const once = sent();
  const second = await client.mutate(JOURNAL, { name: "Own" }, { idempotencyKey: "own-1" });
  const replay = await client.mutate(JOURNAL, { name: "Own" }, { idempotencyKey: "own-1" });
  sent();
  const mismatch = await failure(client.mutate(JOURNAL, { name: "Other" }, { idempotencyKey: "own-1" }));
  faults.push("lose");
  const without = await failure(createClient({ url, companies: "usmf", idempotencyKeys: false }).mutate(JOURNAL, { name: "Lost" }));
  faults.push("lose", "lose", "lose");
  const given = await failure(client.mutate(JOURNAL, { name: "Later" }));
  await client.mutate(JOURNAL, { name: "Later" }, { idempotencyKey: given.key });
  return {
    done: outcome(first.createLedgerJournalHeader, "ledgerJournalHeader").done,
    keys: once.map(({ key }) => key), replayed: once.map(({ replayed }) => replayed ?? null),
    same: second.createLedgerJournalHeader.ledgerJournalHeader.journalBatchNumber === replay.createLedgerJournalHeader.ledgerJournalHeader.journalBatchNumber,
    written: [await count("Once"), await count("Own"), await count("Later")], mismatch, without, given,
  };
}

async function outcomes() {
  const stale = 'W/"JzAsMDsn"';
  const other = outcome({ row: null, userErrors: [{ code: "NEWER_THAN_US", message: "?" }] });
  const caught = (call) => { try { return call(); } catch (error) { return error.name; } };
  return {
    done: await setCredit("US-001", decimal("1500.50"), "limit-1"),
    conflict: await setCredit("US-001", decimal("2.00"), "limit-2", stale),
    missing: await setCredit("NOBODY", decimal("2.00"), "limit-3"),
    other: other.userErrors[0],
    deleted: caught(() => outcome({ row: null, userErrors: [] }, "row")),
    scalars: [long(2n ** 63n - 1n), day(new Date(0)), ...[[decimal, 1], [decimal, "1e3"], [long, 2n ** 63n], [day, "2026-13-01"]].map(([make, value]) => caught(() => make(value)))],
  };
}

async function files() {
  const BILL = "query Bill { accounting { attachments(first: 1) { nodes { billReference downloadPath } } } }";
  const [{ billReference, downloadPath }] = (await client.query(BILL)).accounting.attachments.nodes;
  const all = async ({ body }) => new Uint8Array(await new Response(body).arrayBuffer());
  const same = (one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)) === 0;
  const here = [];
  for await (const file of filesOf(billReference)) here.push({ name: file.name, type: file.type, begin: Buffer.from(await all(file)).toString().slice(0, 5) });
  const { etag } = await client.download(downloadPath).then(async (file) => (await file.body.cancel(), file));
  const data = globalThis.crypto.getRandomValues(new Uint8Array(50_000));
  const stream = (bytes) => new Blob([bytes]).stream();
  const put = await client.upload(downloadPath, stream(data), { ifMatch: etag });
  const written = same(data, await all(await client.download(downloadPath)));
  sent();
  const stale = await failure(client.upload(downloadPath, data, { ifMatch: etag }));
  sent();
  faults.push(busy(503, "0"), "lose");
  const again = await client.upload(downloadPath, new Blob([data]));
  const keys = sent().map(({ key }) => key);
  faults.push(busy(503, "0", JSON.stringify({ errors: [{ message: "busy", extensions: { code: "OVERLOADED" } }] })));
  const once = await failure(client.upload(downloadPath, stream(data)));
  const taken = await failure(client.upload({ list: "accounting.attachments", field: "content", values: { billReference, name: "x" } }, data));
  sent();
  faults.push(busy(502), "break");
  const broken = await failure(client.download(downloadPath).then(all));
  const missing = await failure(client.download(downloadPath.replace(/.*\//, "x/")));
  const leaves = new AbortController();
  const left = await client.download(downloadPath, { signal: leaves.signal }).then((file) => (leaves.abort(), failure(all(file))));
  sent();
  const refused = await failure(attach("NOBODY", "scan.pdf", new Blob(["%PDF"])));
  const { nodes: [, without] } = (await client.query("{ vendorInvoiceHeaders(first: 2) { nodes { headerReference } } }")).vendorInvoiceHeaders;
  faults.push("lose");
  const path = await attach(without.headerReference, "scan 'März'.pdf", new Blob(["%PDF"]));
  const { name, type } = await client.download(path).then(async (file) => (await file.body.cancel(), file));
  return {
    here, put: put.downloadPath === downloadPath && put.created === undefined, written, stale, again: again.id === put.id, keys, once, taken, broken,
    missing, left: left.name, refused, created: { name, type },
    addresses: await Promise.all(["http://graphql/graphql", "https://erp.example/e/acme/graphql/ap"].map(async (url) => {
      let asked;
      await createClient({ url, fetch: async (address) => ((asked = address), new Response("[]", { status: 404 })) }).download("ID/field").catch(() => null);
      return asked;
    })),
    outside: await failure(client.download("../graphql")),
  };
}

/** Follows the names of customers over connections that break, and says what was asked and what came. */
async function followed(own, account, cut) {
  const asked = [];
  const came = [];
  let began;
  const changes = own((operation) => asked.push(operation));
  const reading = (async () => {
    for await (const { names, cursor } of changes) {
      began ??= cursor;
      came.push(...names);
      if (came.includes(`${account} two`)) return;
    }
  })();
  const until = async (condition) => { while (!condition()) await new Promise((resolve) => setTimeout(resolve, 20)); };
  await until(() => began !== undefined);
  await rename(account, `${account} one`);
  await until(() => came.includes(`${account} one`));
  await cut();
  await rename(account, `${account} two`);
  await reading;
  return { came, began: began !== undefined };
}

async function streams() {
  sent();
  const overEvents = await followed(() => names("now"), "US-002", () => seen.find(({ body }) => body.query.includes("Changes")).cut());
  const since = sent().filter(({ body }) => body.query.includes("Changes")).map(({ body }) => body.variables.since);
  const CHANGES = `subscription Changes($since: String) { changes(set: "CustomersV3", companies: ["usmf"], since: $since) {
    upserts { node { ... on CustomerV3 { nameAlias } } } cursor } }`;
  const overSocket = await followed(
    async function* () {
      for await (const { upserts, cursor } of live.follow(CHANGES, { since: "now" })) yield { names: upserts.map(({ node }) => node.nameAlias), cursor };
    },
    "US-003", () => gateway.cutSockets(),
  );
  const reasons = [];
  const onRetry = (reason, seconds) => reasons.push([reason.message, seconds]);
  const some = createClient({ url, companies: "usmf", reconnects: { attempts: 4, longestPause: 0.01, onRetry }, transport: serverSentEvents({ silence: 0.2 }) });
  const one = async (text, options) => { for await (const data of some.subscribe(text, {}, options)) return data; };
  const ENTITY = 'subscription { entityChanged(set: "customersV3") { id } }';
  const next = (result) => `event: next\ndata: ${JSON.stringify(result)}\n\n`;
  const error = (code) => next({ errors: [{ message: code, extensions: { code } }] });
  faults.push({ stream: "retry: 20\n\n" }, busy(503, "0.03"), { stream: ":\n\n", open: true }, { stream: `${next({ data: 1 })}event: complete\ndata:\n\n` });
  const recovered = await one(ENTITY);
  const happened = reasons.splice(0);
  faults.push({ stream: error("UNAUTHENTICATED") }, { stream: error("UPSTREAM_TIMEOUT") }, { stream: error("UNAUTHENTICATED") });
  const refused = await failure(one(ENTITY));
  const given = reasons.splice(0).map(([reason]) => reason);
  faults.push(...Array.from({ length: 4 }, () => ({ stream: "" })));
  const exhausted = await failure(one(ENTITY));
  reasons.splice(0);
  sent();
  const invalid = await failure(one('subscription { entityChanged(set: "nothing") { id } }'));
  const socket = createClient({ url, transport: webSocket({ webSocketImpl: WebSocket }) });
  const overSocketInvalid = await failure(socket.subscribe("subscription { nothing }", {}).next());
  const soon = AbortSignal.timeout(100);
  const aborted = await failure(one(ENTITY, { signal: soon }));
  const socketAborted = await failure(socket.subscribe(ENTITY, {}, { signal: AbortSignal.timeout(100) }).next());
  return {
    overEvents, overSocket, since, recovered, reasons: happened, given, refused: refused.code, exhausted: exhausted.attempts,
    invalid: invalid.code, overSocketInvalid: overSocketInvalid.code, aborted: [aborted.name, socketAborted.name],
  };
}

const results = { pages: await pages(), retries: await retries(), mutations: await mutations(), outcomes: await outcomes(), files: await files(), streams: await streams() };
console.log(JSON.stringify(results));
gateway.close();
process.exit(0);
