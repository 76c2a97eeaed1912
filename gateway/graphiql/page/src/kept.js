// What the page may leave in the browser's storage. GraphiQL's history keeps all headers, its tabs do where "Persist headers"
// was switched on in an earlier version of this page: a token, too, that somebody tried out.
const HISTORY = /(^|\/)graphiql:(queries|favorites|tabState)$/;
const HEADERS = /(^|\/)graphiql:(headers|shouldPersistHeaders)$/;
const OURS = /^x-d365-/i;

// Gives the value as it may be stored under the key: of the headers in the history only the gateway's own. What is not plain
// JSON, such as text with comments, is left out: nobody knows what it holds.
export function storable(key, value) {
  if (HEADERS.test(key)) return key.endsWith("headers") ? "" : "false";
  if (!HISTORY.test(key)) return value;
  const history = parsed(value);
  // A tab without the field is none to GraphiQL; an entry of the history has it only if there are headers.
  const none = key.endsWith("tabState") ? null : undefined;
  return history ? JSON.stringify(history, (name, held) => (name === "headers" ? (ours(held) ?? none) : held)) : "";
}

function ours(headers) {
  const kept = Object.entries(parsed(headers) ?? {}).filter(([name]) => OURS.test(name));
  return kept.length ? JSON.stringify(Object.fromEntries(kept), null, 2) : undefined;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
