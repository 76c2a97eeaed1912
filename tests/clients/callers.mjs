// Signs in with graphql-ws: renews the token of a connection by a ping, and comes back with another one after its end.
import { createClient } from "graphql-ws";
import WebSocket from "ws";

const [endpoint, ends, short, long] = process.argv.slice(2);
const CUSTOMERS = "{ customersV3(first: 1) { nodes { __typename } } }";
const CHANGES = 'subscription { entityChanged(set: "customersV3") { kind } }';

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const bearer = (token) => ({ Authorization: `Bearer ${token}` });

async function run(tokens, renewal) {
  const events = [];
  const client = createClient({
    url: endpoint.replace(/^http/, "ws"),
    webSocketImpl: WebSocket,
    connectionParams: () => bearer(tokens.shift()),
    retryAttempts: 3,
    lazyCloseTimeout: 60_000,
    on: {
      connected: (socket) => {
        events.push("connected");
        if (renewal) socket.send(JSON.stringify({ type: "ping", payload: bearer(renewal) }));
      },
      closed: (event) => events.push(`closed ${event.code}`),
    },
  });
  // A subscription keeps the connection open.
  let ended = false;
  const end = client.subscribe({ query: CHANGES }, { next() {}, error: () => (ended = true), complete() {} });
  await pause(ends * 1_000 - Date.now() + 500);
  const query = { query: CUSTOMERS };
  const answer = await new Promise((next, error) => client.subscribe(query, { next, error, complete() {} }));
  const goesOn = !ended;
  const seen = [...events];
  end();
  await client.dispose();
  return { answer: answer.data, goesOn, events: seen };
}

const [renewed, returned] = await Promise.all([run([short, long], long), run([short, long])]);
console.log(JSON.stringify({ renewed, returned }));
process.exit(0);
