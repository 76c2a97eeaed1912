// The API that this page is of. Each has a page (/graphiql, /graphiql/ap …), and its config.json lies below that.
import { storable } from "./kept.js";
import { request, signIn, snapshot } from "./session.js";

const page = location.pathname.replace(/\/$/, "");

export const config = await read();

// What is not JSON is an API that does not exist, at least for this caller.
async function read() {
  const response = await request(`${page}/config.json`);
  if (response.headers.get("content-type")?.includes("json")) return response.json();
  const refusal = { code: String(response.status), message: "There is no such page." };
  return { refusal, examples: [], apis: [], environment: {}, signIn: { ways: [] } };
}

// All pages share the browser's storage: what a person leaves on a profile's page stays there. The theme is for all.
const keyOf = (key) => (config.profile && key !== "graphiql:theme" ? `${config.profile}/${key}` : key);
export const storage = {
  getItem: (key) => localStorage.getItem(keyOf(key)),
  setItem: (key, value) => localStorage.setItem(keyOf(key), storable(key, value)),
  removeItem: (key) => localStorage.removeItem(keyOf(key)),
  clear: () => Object.keys(localStorage).filter((key) => key.startsWith(keyOf("graphiql:"))).forEach((key) => localStorage.removeItem(key)),
  get length() {
    return Object.keys(localStorage).filter((key) => key.startsWith(keyOf("graphiql:"))).length;
  },
};

// What an earlier version of the page has left.
for (const key of Object.keys(localStorage)) {
  const [before, now] = [localStorage.getItem(key), storable(key, localStorage.getItem(key))];
  if (now !== before) localStorage.setItem(key, now);
}

export function ApiPicker() {
  const { apis } = config;
  if (apis.length < 2) return null;
  return (
    <select aria-label="API" value={page} onChange={(event) => goTo(event.target.value)}>
      {apis.map(({ title, page }) => (
        <option key={page} value={page}>
          {title}
        </option>
      ))}
    </select>
  );
}

// The token ends with this page, so whoever has signed in does so again on the way, mostly without noticing.
function goTo(target) {
  const { callback, ways } = config.signIn;
  if (!snapshot().isSignedIn || ways.length !== 1) return location.assign(target);
  return signIn(ways[0], callback, { page: target, hint: config.caller?.hint });
}
