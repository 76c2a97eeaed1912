// A ready operation for a root field: what it needs as variables, and a selection that shows what a row is.
import { getNamedType, isCompositeType, isEnumType, isInputObjectType, isLeafType, isListType, isNonNullType, isRequiredArgument } from "graphql";

const AGGREGATE = "Aggregate";
const MORE_FIELDS = 4;
// What a person would like to see of a row, if it has that: what it is called before all else.
const TELLING = /(name|description|status|date|amount|quantity|currencyCode)$/i;
const VERSION = /V\d+$/;
const OWN = new Set(["id", "etag"]);
const ERRORS = ["code", "message", "field", "path"];

/** `{ query, variables }`; variables as JSON, empty where there are none. */
export function skeleton(root, field, keys = []) {
  if (getNamedType(field.type).name === AGGREGATE) return aggregate(root, field);
  const isList = field.args.some((arg) => arg.name === "first");
  const isKeyed = root === "query" && !isList;
  const given = field.args.filter((arg) => isKeyed || isNonNullType(arg.type));
  const declared = given.map((arg) => `$${arg.name}: ${arg.type}`);
  const passed = given.map((arg) => `${arg.name}: $${arg.name}`);
  if (isList) passed.unshift("first: 10");
  const name = field.name[0].toUpperCase() + field.name.slice(1);
  const head = `${root} ${name}${declared.length ? `(${declared.join(", ")})` : ""}`;
  const body = selection(getNamedType(field.type), keys);
  const call = `${field.name}${passed.length ? `(${passed.join(", ")})` : ""}${body ? ` ${body}` : ""}`;
  const values = Object.fromEntries(given.filter((arg) => isNonNullType(arg.type)).map((arg) => [arg.name, example(arg.type)]));
  return {
    query: indented(`${head} {\n${call}\n}`),
    variables: Object.keys(values).length ? JSON.stringify(values, null, 2) : "",
  };
}

// Its fields are named by texts, of which only a person knows which are of interest.
function aggregate(root, field) {
  const name = field.name[0].toUpperCase() + field.name.slice(1);
  const query = `${root} ${name}($groupBy: [String!]) {\n${field.name}(groupBy: $groupBy) {\ncount\ngroups {\nkeys\ncount\n}\n}\n}`;
  return { query: indented(query), variables: JSON.stringify({ groupBy: [] }, null, 2) };
}

function selection(type, keys) {
  if (!isCompositeType(type) || !type.getFields) return "";
  const fields = type.getFields();
  if (fields.nodes) return `{\nnodes ${rows(getNamedType(fields.nodes.type), keys)}\npageInfo {\nhasNextPage\nendCursor\n}\n}`;
  return fields.userErrors ? payload(fields, keys) : rows(type, keys);
}

function payload(fields, keys) {
  const parts = Object.values(fields).map((field) => {
    const type = getNamedType(field.type);
    if (field.name === "userErrors") return `userErrors {\n${ERRORS.filter((name) => type.getFields()[name]).join("\n")}\n}`;
    if (isLeafType(type)) return field.name === "etag" ? "" : field.name;
    return `${field.name} ${selection(type, keys)}`;
  });
  return `{\n${parts.filter(Boolean).join("\n")}\n}`;
}

function rows(type, keys) {
  if (!type.getFields) return "{\n__typename\n}";
  const isShown = (field) => isLeafType(getNamedType(field.type)) && !OWN.has(field.name) && !field.args.some(isRequiredArgument);
  const leaves = Object.values(type.getFields()).filter(isShown);
  const isKey = (field) => keys.includes(field.name) || / Key\./.test(field.description ?? "");
  const rank = ranking(type.name.replace(VERSION, ""));
  const others = leaves.filter((field) => !isKey(field)).sort((a, b) => rank(a.name) - rank(b.name) || a.name.length - b.name.length);
  const shown = [...leaves.filter(isKey), ...others.slice(0, MORE_FIELDS)];
  return `{\n${shown.map((field) => field.name).join("\n") || "__typename"}\n}`;
}

/** Smaller is shown earlier: `organizationName` or `customerName` of a `Customer`, then other telling fields. */
function ranking(owner) {
  const words = owner.match(/[A-Z][a-z]+|[A-Z]+(?![a-z])|\d+/g) ?? [owner];
  const own = new RegExp(`^(${words.map((_, at) => words.slice(at).join("")).concat(words[0]).join("|")})?(organization|product|item|party)?(name|description|title)$`, "i");
  const order = [/name$/i, /title$/i, /description$/i];
  return (name) => (own.test(name) ? order.findIndex((end) => end.test(name)) : TELLING.test(name) ? order.length : order.length + 1);
}

export const ranksOf = (owner, names) => names.map(ranking(owner));

function example(type, depth = 0) {
  if (isNonNullType(type)) return example(type.ofType, depth);
  if (isListType(type)) return [example(type.ofType, depth)];
  if (isEnumType(type)) return type.getValues()[0]?.name ?? null;
  if (isInputObjectType(type) && depth < 3) {
    const needed = Object.values(type.getFields()).filter((field) => isNonNullType(field.type));
    return Object.fromEntries(needed.map((field) => [field.name, example(field.type, depth + 1)]));
  }
  if (type.name === "Boolean") return false;
  return type.name === "Int" ? 0 : "";
}

function indented(text) {
  let depth = 0;
  return text
    .split("\n")
    .map((line) => {
      if (line === "}") depth -= 1;
      const shown = "  ".repeat(depth) + line;
      if (line.endsWith("{")) depth += 1;
      return shown;
    })
    .join("\n");
}
