// Reads the schema of a URL by introspection with graphql-js and prints how it differs from a file of SDL, as JSON.
import { readFileSync } from "node:fs";

import {
  buildClientSchema,
  buildSchema,
  getIntrospectionQuery,
  lexicographicSortSchema,
  printSchema,
  validateSchema,
} from "graphql";

const [url, path] = process.argv.slice(2);
const query = getIntrospectionQuery({
  specifiedByUrl: true,
  directiveIsRepeatable: true,
  inputValueDeprecation: true,
  oneOf: true,
});
const response = await fetch(url, {
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify({ query }),
});
const { data } = await response.json();
// What only routers ask of a subgraph is no part of the SDL that people read.
const routers = data.__schema.types.filter(({ name }) => ["_Any", "_Entity", "_Service"].includes(name));
data.__schema.types = data.__schema.types.filter((type) => !routers.includes(type));
const root = data.__schema.types.find(({ name }) => name === data.__schema.queryType.name);
root.fields = root.fields.filter(({ name }) => !["_entities", "_service"].includes(name));
const read = buildClientSchema(data);
const printed = buildSchema(readFileSync(path, "utf8"));
const [theirs, ours] = [read, printed].map((schema) => printSchema(lexicographicSortSchema(schema)).split("\n"));
console.log(
  JSON.stringify({
    routers: routers.map(({ name }) => name),
    types: Object.keys(printed.getTypeMap()).length,
    errors: [...validateSchema(read), ...validateSchema(printed)].map(({ message }) => message),
    differences: theirs.flatMap((line, at) => (line === ours[at] ? [] : [[line, ours[at] ?? null]])).slice(0, 10),
    lines: [theirs.length, ours.length],
  }),
);
