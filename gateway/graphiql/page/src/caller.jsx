// Who works with this page: the badge of whoever has signed in, and the way to do so.
import { useSyncExternalStore } from "react";
import { config } from "./api.jsx";
import { signIn, signOut, snapshot, subscribe } from "./session.js";
import "./caller.css";

const useSession = () => useSyncExternalStore(subscribe, snapshot);
const timeOf = (seconds) => new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

export function CallerBadge() {
  const { isSignedIn, hasEnded } = useSession();
  const { caller, signIn: offered } = config;
  if (hasEnded) return <Ways text="Sign in again" />;
  if (!caller) return offered.ways.length ? <Ways text="Sign in" /> : null;
  const roles = caller.roles.length ? caller.roles.join(", ") : "no roles";
  const until = caller.expiresAt && !isSignedIn ? [`until ${timeOf(caller.expiresAt)}`] : [];
  const title = [caller.name, roles, ...until].join(" · ");
  return (
    <span className="caller" role="group" aria-label={`Signed in: ${title}`} title={title}>
      <b>{caller.name}</b>
      <small>{roles}</small>
      {isSignedIn && (
        <button type="button" onClick={signOut}>
          Sign out
        </button>
      )}
    </span>
  );
}

function Ways({ text }) {
  const { trouble } = useSession();
  const { callback, ways } = config.signIn;
  return (
    <>
      {ways.map((way) => (
        <button key={way.issuer} type="button" className="sign-in" onClick={() => signIn(way, callback)}>
          {ways.length > 1 ? `${text}: ${way.title}` : text}
        </button>
      ))}
      {trouble && <span role="alert">{trouble}</span>}
    </>
  );
}

// In the place of GraphiQL, which has nothing to show to somebody whom the API refuses.
export function Gate() {
  const { isSignedIn } = useSession();
  const { refusal, signIn: offered } = config;
  return (
    <main className="gate">
      <h1>D365 GraphQL</h1>
      <p>{isSignedIn || !offered.ways.length ? refusal.message : "Sign in to use this API."}</p>
      {isSignedIn ? (
        <button type="button" className="sign-in" onClick={signOut}>
          Sign out
        </button>
      ) : (
        <Ways text="Sign in" />
      )}
    </main>
  );
}

/** Whether there is nothing but the gate: the API refuses, and signing in, or out, is what helps. */
export const isClosed = Boolean(config.refusal) && (snapshot().isSignedIn || config.signIn.ways.length > 0 || !config.endpoint);
