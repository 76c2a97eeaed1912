// The status line below the response while a subscription runs.
import { DocsLink } from "./docs.jsx";
import { useEffect, useState, useSyncExternalStore } from "react";
import { snapshot, subscribe, untilNext } from "./watching.js";

export function SubscriptionStatus() {
  const state = useSyncExternalStore(subscribe, snapshot);
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (!state) return undefined;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [state?.started]);
  if (!state) return null;
  const names = state.watches.map(({ set, field }) => set ?? field).join(", ");
  return (
    <p className="subscription-status">
      <span role="status">
        Watching <b>{names}</b>
        {state.company ? ` in ${state.company}` : ""}: {state.changes === 1 ? "1 change" : `${state.changes} changes`} so far
      </span>
      <span>
        polls every {state.interval} s, next in about {untilNext(state, now)} s{" "}
        <DocsLink chapter="subscriptions">How changes are found</DocsLink>
      </span>
    </p>
  );
}
