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
const read = buildClientSchema(data);
const printed = buildSchema(readFileSync(path, "utf8"));
const [theirs, ours] = [read, printed].map((schema) => printSchema(lexicographicSortSchema(schema)).split("\n"));
console.log(
  JSON.stringify({
    types: Object.keys(printed.getTypeMap()).length,
    errors: [...validateSchema(read), ...validateSchema(printed)].map(({ message }) => message),
    differences: theirs.flatMap((line, at) => (line === ours[at] ? [] : [[line, ours[at] ?? null]])).slice(0, 10),
    lines: [theirs.length, ours.length],
  }),
);
