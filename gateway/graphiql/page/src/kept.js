// What the page may leave in the browser's storage. GraphiQL's tabs keep no headers there, its history keeps all of them: a
// token, too, that somebody tried out.
const HISTORY = /(^|\/)graphiql:(queries|favorites)$/;
const OURS = /^x-d365-/i;

// Gives the value as it may be stored under the key: of the headers in the history only the gateway's own. What is not plain
// JSON, such as text with comments, is left out: nobody knows what it holds.
export function storable(key, value) {
  if (!HISTORY.test(key)) return value;
  const history = parsed(value);
  return history ? JSON.stringify(history, (name, held) => (name === "headers" ? ours(held) : held)) : "";
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
