// Clients of JavaScript that ask for compressed answers: prints what each was sent and could read, as JSON.
import zlib from "node:zlib";

import { fetch as whatwgFetch } from "@whatwg-node/fetch";

const [url] = process.argv.slice(2);
const query = "{ customersV3(first: 100) { nodes { customerAccount organizationName } } }";
const body = JSON.stringify({ query });

async function read(call, offered) {
  const headers = { "content-type": "application/json", accept: "application/json" };
  if (offered) headers["accept-encoding"] = offered;
  const response = await call(url, { method: "POST", body, headers });
  const coding = response.headers.get("content-encoding");
  const answer = await response.json();
  return { coding, rows: answer.data.customersV3.nodes.length };
}

const list = "gzip, deflate, br, zstd";
const results = {
  canZstd: zlib.createZstdDecompress !== undefined,
  node: await read(fetch),
  "node, naming zstd": await read(fetch, list),
  whatwg: await read(whatwgFetch),
  "whatwg, naming zstd": await read(whatwgFetch, list),
};
console.log(JSON.stringify(results));
