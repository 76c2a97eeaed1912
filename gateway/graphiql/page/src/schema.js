// The schema that the page works with. Of a large catalogue only what somebody looks at is loaded, slice by slice; where all
// of it is little, GraphiQL asks for everything itself.
import { buildClientSchema, getNamedType } from "graphql";
import { CharacterStream, getTypeInfo, onlineParser } from "graphql-language-service";
import { request } from "./session.js";

const ROOTS = ["query", "mutation", "subscription"];
const MOST_NAMES = 30; // of one slice
const ROOT_OF = {
  Query: "query",
  ShortQuery: "query",
  Mutation: "mutation",
  Subscription: "subscription",
};

/** `schema`: null while nothing is loaded, undefined where GraphiQL is to ask for everything. */
export class Slices {
  #endpoint;
  #listeners = new Set();
  #asked = new Set();
  #known = new Set();
  #types = new Map();
  #base = null;
  #hasBegun = false;
  #turn = Promise.resolve();
  partial = new Set();
  schema = null;
  sets = 0;

  constructor(endpoint) {
    this.#endpoint = endpoint;
  }

  subscribe = (listener) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  snapshot = () => this.schema;

  /** Names that completion or search gave are root fields for sure, also while the cursor is still behind them. */
  know(root, names) {
    for (const name of names) this.#known.add(`${root}.${name}`);
  }

  knows = (root, name) => this.#known.has(`${root}.${name}`);

  /** Whether a root field is loaded. */
  holds(root, name) {
    const type = this.schema?.getRootType(root);
    return name in (type?.getFields() ?? {});
  }

  /** Load names of root fields and types, where they are not there yet. */
  want(names) {
    const wanted = [];
    for (const root of ROOTS) for (const name of names[root] ?? []) wanted.push([root, name]);
    for (const name of names.type ?? []) wanted.push(["type", name]);
    const missing = wanted.filter(([kind, name]) => !this.#asked.has(`${kind}.${name}`));
    if (this.schema === undefined || (!missing.length && this.#hasBegun)) return this.#turn;
    this.#hasBegun = true;
    for (const [kind, name] of missing) this.#asked.add(`${kind}.${name}`);
    const load = async () => {
      for (let at = 0; at < Math.max(missing.length, 1); at += MOST_NAMES) await this.#load(missing.slice(at, at + MOST_NAMES));
    };
    this.#turn = this.#turn.then(load).catch((error) => console.error("The schema could not be read:", error));
    return this.#turn;
  }

  async #load(missing) {
    if (this.schema === undefined) return;
    const asked = new URLSearchParams();
    for (const kind of [...ROOTS, "type"]) {
      const names = missing.filter(([of]) => of === kind).map(([, name]) => name);
      if (names.length) asked.set(kind, names.join(","));
    }
    let answer;
    try {
      const response = await request(`${this.#endpoint}/slice?${asked}`);
      // Without introspection there is no schema here; a server without slices tells everything at once.
      if (response.status === 403) return;
      answer = response.ok ? await response.json() : { whole: true };
    } catch (error) {
      console.info("The schema could not be loaded:", error);
      for (const [kind, name] of missing) this.#asked.delete(`${kind}.${name}`);
      return;
    }
    // The first search makes the index: it is there when somebody searches.
    if (this.schema === null) request(`${this.#endpoint}/search?limit=1`).catch(() => {});
    if (answer.whole) this.schema = undefined;
    else this.#merge(answer);
    for (const listener of this.#listeners) listener();
  }

  #merge({ __schema: slice, partial, sets }) {
    const cut = new Set(partial);
    const roots = new Set(ROOTS.map((root) => slice[`${root}Type`]?.name));
    for (const type of slice.types) {
      const known = this.#types.get(type.name);
      if (roots.has(type.name) && known) this.#types.set(type.name, united(known, type));
      else if (!known || !cut.has(type.name)) this.#types.set(type.name, type);
    }
    for (const type of slice.types) {
      if (!cut.has(type.name)) this.partial.delete(type.name);
      else if (this.#types.get(type.name) === type) this.partial.add(type.name);
    }
    this.#base ??= slice;
    this.sets = sets;
    const types = [...this.#types.values()].map((type) => (roots.has(type.name) ? this.#withNote(type) : type));
    this.schema = buildClientSchema({ __schema: { ...this.#base, types } }, { assumeValid: true });
  }

  #withNote(type) {
    const note = `Loaded so far: ${type.fields.length} fields of ${this.sets.toLocaleString("en")} entity sets, those that you have opened. Use the search to find others.`;
    return { ...type, description: [type.description, note].filter(Boolean).join("\n\n") };
  }
}

function united(known, type) {
  const fields = new Map([...known.fields, ...type.fields].map((field) => [field.name, field]));
  return { ...known, fields: [...fields.values()] };
}

/** The root type in whose selection a place of a document is: "query", "mutation", "subscription" or null. */
export function rootAt(state) {
  let sets = 0;
  for (let at = state; at; at = at.prevState) {
    if (at.kind === "Arguments" || at.kind === "Directive" || at.kind === "VariableDefinitions") return null;
    if (at.kind === "SelectionSet") sets += 1;
    const isQuery = at.kind === "FragmentDefinition" && at.type === "Query";
    const root = ROOT_OF[at.kind] ?? (isQuery ? "query" : null);
    if (root) return sets === 1 ? root : null;
  }
  return null;
}

// Every token of a text with the state of its parser, which goes on after what it does not understand.
function walk(text, visit) {
  const parser = onlineParser();
  let state = parser.startState();
  text.split("\n").forEach((content, line) => {
    const stream = new CharacterStream(content);
    while (!stream.eol()) visit(stream, state, parser.token(stream, state), line);
    if (!state.kind) state = parser.startState();
  });
}

/** The root fields and types that a text uses, as far as it can be read; `schema` tells the types of nested fields. */
export function namesIn(text, { schema, partial = new Set(), typing = null, known = () => true } = {}) {
  const found = { query: new Set(), mutation: new Set(), subscription: new Set(), type: new Set() };
  const note = (type) => {
    const name = type && getNamedType(type)?.name;
    if (name && partial.has(name)) found.type.add(name);
  };
  walk(text, (stream, state, style, line) => {
    const isNamed = state.kind === "NamedType" && state.name;
    if (isNamed && schema && (partial.has(state.name) || !schema.getType(state.name))) found.type.add(state.name);
    const isField = (state.kind === "Field" || state.kind === "AliasedField") && state.name;
    if (isField) {
      const root = rootAt(state);
      const isTyped = typing && typing.line === line && stream.getCurrentPosition() === typing.character;
      if (root && (!isTyped || known(root, state.name))) found[root].add(state.name);
    }
    if (schema && partial.size && (isField || style === "attribute" || style === "punctuation")) {
      const { type, parentType, inputType } = getTypeInfo(schema, state);
      [type, parentType, inputType].forEach(note);
    }
  });
  return found;
}
