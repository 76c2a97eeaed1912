// What a running subscription watches, and when the gateway polls next: told at once, since nothing may change for long.
import { Kind, parse, print, valueFromASTUntyped } from "graphql";

const listeners = new Set();
let current = null;

export const subscribe = (listener) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};
export const snapshot = () => current;

function set(state) {
  current = state;
  listeners.forEach((listener) => listener());
}

/** `[{ field, set, where, companies }]` of a subscription's root fields; empty if the text has errors. */
export function watched({ query, variables, operationName }) {
  let document;
  try {
    document = parse(query);
  } catch {
    return [];
  }
  const operations = document.definitions.filter((one) => one.kind === Kind.OPERATION_DEFINITION);
  const operation = operations.find((one) => one.name?.value === operationName) ?? operations.find((one) => one.operation === "subscription");
  if (operation?.operation !== "subscription") return [];
  const fields = operation.selectionSet.selections.filter((one) => one.kind === Kind.FIELD);
  return fields.map(({ name, arguments: passed }) => {
    const values = Object.fromEntries(passed.map((one) => [one.name.value, valueFromASTUntyped(one.value, variables ?? {})]));
    const where = passed.find((one) => one.name.value === "where");
    return { field: name.value, set: values.set, companies: values.companies, where: where && print(where.value) };
  });
}

/**
 * The stream's results, with a first one that says what is awaited; the state for the status line beside it. No generator:
 * that one's `return` would wait for the result that is being awaited, and "stop" would stop nothing until a row changes.
 */
export function withStatus(results, params, headers, interval) {
  const company = Object.entries(headers ?? {}).find(([name]) => name.toLowerCase() === "x-d365-company")?.[1];
  const started = Date.now();
  const first = { watches: watched(params), company, interval, started, changes: 0 };
  const isCurrent = () => current?.started === started;
  const end = (last) => {
    if (isCurrent()) set(null);
    return last;
  };
  let isAnnounced = false;
  set(first);
  return {
    async next() {
      if (!isAnnounced) {
        isAnnounced = true;
        return { done: false, value: waiting(first) };
      }
      try {
        const result = await results.next();
        if (result.done) return end(result);
        if (isCurrent()) set({ ...current, changes: current.changes + 1 });
        return result;
      } catch (error) {
        end();
        throw error;
      }
    },
    async return() {
      return end((await results.return?.()) ?? { done: true, value: undefined });
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

const waiting = ({ watches, company, interval }) => ({
  waiting: {
    for: watches.map(({ field, set, where, companies }) => ({ field, set, where, companies: companies ?? company })),
    pollInterval: `${interval} s`,
    note: "The first poll remembers the rows as they are; each later one brings what has changed since.",
  },
});

/** Seconds until the next poll; polls begin with the subscription and vary by a tenth of the interval. */
export const untilNext = ({ started, interval }, now) => Math.max(1, Math.ceil(interval - (((now - started) / 1000) % interval)));
