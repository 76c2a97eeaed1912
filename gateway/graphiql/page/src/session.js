// Who has signed in: authorization code with PKCE in this window. Tokens are in the memory of this page only; a reload ends
// them. While the browser is at the issuer, its storage holds the state and the verifier of that one attempt.
import {
  allowInsecureRequests,
  authorizationCodeGrantRequest,
  calculatePKCECodeChallenge,
  generateRandomCodeVerifier,
  generateRandomState,
  None,
  processAuthorizationCodeResponse,
  processRefreshTokenResponse,
  refreshTokenGrantRequest,
  validateAuthResponse,
} from "oauth4webapi";

const ATTEMPT = "d365:sign-in";
const LATER = 0.8; // of its life, after which a token is renewed
const LONGEST = 2 ** 31 - 1; // milliseconds of a timer

const listeners = new Set();
let state = { isSignedIn: false, hasEnded: false, trouble: null };
let tokens = null;
let way = null;
let renewing = null;

export const subscribe = (listener) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};
export const snapshot = () => state;

function set(changes) {
  state = { ...state, ...changes };
  listeners.forEach((listener) => listener());
}

const absolute = (address) => new URL(address, location.origin).href;
const serverOf = ({ issuer, authorizationEndpoint, tokenEndpoint }) => ({
  issuer,
  authorization_endpoint: absolute(authorizationEndpoint),
  token_endpoint: absolute(tokenEndpoint),
});
const clientOf = ({ clientId }) => ({ client_id: clientId, token_endpoint_auth_method: "none" });
const optionsOf = ({ tokenEndpoint }) => ({ [allowInsecureRequests]: absolute(tokenEndpoint).startsWith("http:") });

/** Leaves for the issuer, which sends the browser back to the callback, and that to a page (this one by default). */
export async function signIn(chosen, callback, { page = location.pathname, hint } = {}) {
  // Without https (or localhost) a browser has no cryptography.
  if (!globalThis.crypto?.subtle) return set({ trouble: "Signing in needs https." });
  const [verifier, mark] = [generateRandomCodeVerifier(), generateRandomState()];
  const redirect = absolute(callback);
  sessionStorage.setItem(ATTEMPT, JSON.stringify({ way: chosen, verifier, state: mark, redirect, page }));
  const address = new URL(absolute(chosen.authorizationEndpoint));
  const parameters = {
    response_type: "code",
    client_id: chosen.clientId,
    redirect_uri: redirect,
    scope: chosen.scopes.join(" "),
    state: mark,
    code_challenge: await calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    ...(hint ? { login_hint: hint } : {}),
  };
  for (const [name, value] of Object.entries(parameters)) address.searchParams.set(name, value);
  location.assign(address);
}

/** Forgets the tokens, and with them all that the page has read: it is loaded anew. */
export function signOut() {
  tokens = null;
  location.reload();
}

// The callback is this same page: it takes the code, and the address of the page where the attempt began.
async function finish() {
  if (!location.pathname.endsWith("/graphiql/callback")) return;
  const address = new URL(location.href);
  const attempt = JSON.parse(sessionStorage.getItem(ATTEMPT) ?? "null");
  sessionStorage.removeItem(ATTEMPT);
  history.replaceState(null, "", attempt?.page ?? location.pathname.replace(/\/callback$/, ""));
  if (!attempt) return;
  try {
    const [server, client] = [serverOf(attempt.way), clientOf(attempt.way)];
    const answer = validateAuthResponse(server, client, address, attempt.state);
    const options = optionsOf(attempt.way);
    const response = await authorizationCodeGrantRequest(server, client, None(), answer, attempt.redirect, attempt.verifier, options);
    way = attempt.way;
    take(await processAuthorizationCodeResponse(server, client, response));
  } catch (error) {
    set({ trouble: `Signing in failed: ${error.error_description ?? error.message}` });
  }
}

function take({ access_token: access, refresh_token: refresh, expires_in: seconds }) {
  tokens = { access, refresh: refresh ?? tokens?.refresh };
  set({ isSignedIn: true, hasEnded: false, trouble: null });
  if (seconds && tokens.refresh) setTimeout(renew, Math.min(seconds * LATER * 1000, LONGEST));
}

/** Gets the next token, once for all who wait. Gives whether there is one. */
function renew() {
  renewing ??= renewed().finally(() => {
    renewing = null;
  });
  return renewing;
}

async function renewed() {
  if (!tokens?.refresh) return false;
  const [server, client] = [serverOf(way), clientOf(way)];
  try {
    const response = await refreshTokenGrantRequest(server, client, None(), tokens.refresh, optionsOf(way));
    take(await processRefreshTokenResponse(server, client, response));
    return true;
  } catch (error) {
    console.info("The token could not be renewed:", error.error ?? error.name);
    return false;
  }
}

const hasOwn = (headers) => Object.keys(headers ?? {}).some((name) => name.toLowerCase() === "authorization");

/** The headers with the token; one that somebody has written in the editor counts instead. */
export const authorized = (headers) => (tokens && !hasOwn(headers) ? { ...headers, Authorization: `Bearer ${tokens.access}` } : (headers ?? {}));

/** Like `fetch`, with the token. A refused token is renewed once; without a new one, its owner must sign in again. */
export async function request(address, { headers, ...options } = {}) {
  const isOurs = tokens && !hasOwn(headers);
  const response = await fetch(address, { ...options, headers: authorized(headers) });
  if (response.status !== 401 || !isOurs) return response;
  if (await renew()) return fetch(address, { ...options, headers: authorized(headers) });
  set({ isSignedIn: false, hasEnded: true });
  return response;
}

await finish();
