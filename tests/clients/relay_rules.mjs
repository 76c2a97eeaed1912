// Runs @graphql-eslint's four rules about Relay on a file of SDL and prints what they say, as JSON.
import { readFileSync } from "node:fs";

import graphql from "@graphql-eslint/eslint-plugin";
import { Linter } from "eslint";

const [path] = process.argv.slice(2);
const config = {
  files: ["**/*.graphql"],
  plugins: { "@graphql-eslint": graphql },
  languageOptions: { parser: graphql.parser, parserOptions: { graphQLConfig: { schema: path } } },
  rules: {
    "@graphql-eslint/relay-arguments": "error",
    "@graphql-eslint/relay-connection-types": "error",
    // `nodes`, `userErrors` and the lists of inputs are lists of something else than edges. Relay's specification lets an
    // edge lead to anything; which objects are no nodes, and why, is tested in Python.
    "@graphql-eslint/relay-edge-types": ["error", { listTypeCanWrapOnlyEdgeType: false, shouldImplementNode: false }],
    "@graphql-eslint/relay-page-info": "error",
  },
};
const said = new Linter().verify(readFileSync(path, "utf8"), [config], "schema.graphql");
console.log(JSON.stringify(said.map(({ ruleId, line, message }) => ({ rule: ruleId, line, message }))));
