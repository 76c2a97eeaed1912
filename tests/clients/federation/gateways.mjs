// Apollo's gateway over several of ours: prints what it answers and what it fetched, as JSON.
// Argument: a file of JSON, { urls: { name: address }, supergraph: SDL, operations: { name: text } }.
import { readFileSync } from "node:fs";

import { route } from "./router.mjs";

const { urls, supergraph, operations } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const { execute, stop } = await route(urls, supergraph);
const answers = {};
for (const [name, text] of Object.entries(operations)) answers[name] = await execute(text);
console.log(JSON.stringify(answers));
await stop();
