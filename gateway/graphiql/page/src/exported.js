// The export that belongs to an operation: the list that the cursor is in, else the first one, with its filter and fields.
import { getOperationAST, parse, valueFromASTUntyped } from "graphql";
import { meant } from "./operation.js";

/** `{ list, where, fields, companies, left }`; `left` names what an export cannot hold. Null: there is no list. */
export function exported({ query, variables, operationName }, cursor = -1) {
  const { name, kind } = meant({ query, operationName });
  if (kind !== "query") return null;
  const document = parse(query);
  const lists = listsOf(document, getOperationAST(document, name), variables ?? {});
  const list = lists.find(({ node }) => node.loc.start <= cursor && cursor <= node.loc.end) ?? lists[0];
  if (!list) return null;
  const { node, rows, below } = list;
  const left = [];
  const given = Object.fromEntries((node.arguments ?? []).map((one) => [one.name.value, valueFromASTUntyped(one.value, variables)]));
  const fields = rows.flatMap((set) => columns(set, below, left)).join(",");
  return {
    list: node.name.value,
    // An undefined value is a variable without one, which is no argument.
    ...(given.where ? { where: JSON.stringify(given.where) } : {}),
    ...(fields ? { fields } : {}),
    ...(given.companies?.length ? { companies: [given.companies].flat().join(",") } : {}),
    left,
  };
}

// Root fields with rows, wherever in fragments they stand.
function listsOf(document, operation, variables) {
  const fragments = new Map(document.definitions.filter((one) => one.kind === "FragmentDefinition").map((one) => [one.name.value, one]));
  const shown = (node) => isIncluded(node, variables);
  const below = (set) => flat(set, fragments, shown);
  return below(operation.selectionSet).flatMap((node) => {
    const inner = node.selectionSet ? below(node.selectionSet) : [];
    const rows = inner.flatMap((one) => {
      if (one.name.value === "nodes" && one.selectionSet) return [one.selectionSet];
      if (one.name.value !== "edges" || !one.selectionSet) return [];
      return below(one.selectionSet).flatMap((edge) => (edge.name.value === "node" && edge.selectionSet ? [edge.selectionSet] : []));
    });
    const isList = rows.length || inner.some((one) => ["nodes", "edges", "totalCount", "pageInfo"].includes(one.name.value));
    return isList ? [{ node, rows, below }] : [];
  });
}

function flat(set, fragments, shown, seen = new Set()) {
  return set.selections.filter(shown).flatMap((node) => {
    if (node.kind === "Field") return [node];
    if (node.kind === "InlineFragment") return flat(node.selectionSet, fragments, shown, seen);
    const fragment = fragments.get(node.name.value);
    if (!fragment || seen.has(node.name.value)) return [];
    return flat(fragment.selectionSet, fragments, shown, new Set([...seen, node.name.value]));
  });
}

function isIncluded(node, variables) {
  return (node.directives ?? []).every(({ name, arguments: given }) => {
    const condition = given?.[0] && valueFromASTUntyped(given[0].value, variables);
    return name.value === "skip" ? condition !== true : name.value !== "include" || condition !== false;
  });
}

// What has arguments, or rows below it, is a list of its own; and relations go one level deep.
function columns(set, below, left, isNested = false) {
  const found = new Map();
  for (const node of below(set)) {
    const name = node.name.value;
    const key = node.alias?.value ?? name;
    if (name.startsWith("__") || found.has(key)) continue;
    const label = key === name ? name : `${key}:${name}`;
    if (!node.selectionSet) {
      found.set(key, label);
      continue;
    }
    const inner = node.arguments?.length || isNested || holdsRows(node, below) ? [] : columns(node.selectionSet, below, left, true);
    if (inner.length) found.set(key, `${label}{${inner.join(" ")}}`);
    else left.push(name);
  }
  return [...found.values()];
}

function holdsRows(node, below) {
  return below(node.selectionSet).some((one) => ["nodes", "edges", "pageInfo", "totalCount"].includes(one.name.value));
}
