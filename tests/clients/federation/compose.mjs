// Composes supergraphs with Apollo's composer and The Guild's and prints what each said, as JSON.
// Argument: a file of JSON, { supergraph: { by: [composer], subgraphs: { name: SDL } } }.
import { readFileSync } from "node:fs";

import { composeServices as apollo } from "@apollo/composition";
import { composeServices as guild } from "@theguild/federation-composition";
import { parse } from "graphql";

const composers = { apollo, guild };
const supergraphs = JSON.parse(readFileSync(process.argv[2], "utf8"));

function compose(composer, subgraphs) {
  const services = Object.entries(subgraphs).map(([name, sdl]) => ({
    name,
    url: `http://${name}.test/graphql`,
    typeDefs: parse(sdl),
  }));
  const { errors, hints, supergraphSdl } = composer(services);
  return {
    errors: (errors ?? []).map(({ message }) => message),
    hints: (hints ?? []).map(({ definition }) => definition.code),
    supergraph: supergraphSdl ?? null,
  };
}

const said = Object.entries(supergraphs).map(([name, { by, subgraphs }]) => [
  name,
  Object.fromEntries(by.map((composer) => [composer, compose(composers[composer], subgraphs)])),
]);
console.log(JSON.stringify(Object.fromEntries(said)));
