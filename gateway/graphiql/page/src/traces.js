// What runs asked upstream, and how long that took: each run asks for its trace, the answer on the screen is without it.
import { useSyncExternalStore } from "react";
import { meant } from "./operation.js";

const HEADER = "X-D365-Trace";
const KEPT = 50;
const runs = new Map();
const listeners = new Set();

// What makes two runs comparable: what is sent, and under which headers.
export const keyOf = (params, headers) =>
  JSON.stringify([params.query, params.variables ?? {}, meant(params).name ?? null, headers ?? {}]);

export function traced(fetcher) {
  return async (params, options = {}) => {
    const { headers } = options;
    if (hasName(headers, HEADER)) return fetcher(params, options);
    const started = performance.now();
    const answer = await fetcher(params, { ...options, headers: { ...headers, [HEADER]: "true" } });
    const trace = answer?.extensions?.d365;
    if (!trace?.spent) return answer;
    keep(keyOf(params, headers), { ...trace, roundTrip: performance.now() - started });
    return without(answer);
  };
}

const hasName = (headers, name) => Object.keys(headers ?? {}).some((key) => key.toLowerCase() === name.toLowerCase());

function without({ extensions, ...answer }) {
  const { d365: _, ...others } = extensions;
  return Object.keys(others).length ? { ...answer, extensions: others } : answer;
}

function keep(key, trace) {
  runs.delete(key);
  runs.set(key, trace);
  if (runs.size > KEPT) runs.delete(runs.keys().next().value);
  listeners.forEach((listener) => listener());
}

function subscribe(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

// The last run of just this; undefined where there was none.
export const useRun = (key) => useSyncExternalStore(subscribe, () => runs.get(key));
