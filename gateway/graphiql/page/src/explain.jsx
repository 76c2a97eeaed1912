// The Explain panel: what the operation in the editor would ask upstream, told anew as it changes; after a run, how long that took.
import { pick, tryParseJSONC, useGraphiQL, useHeadersEditorState, useOperationsEditorState, useVariablesEditorState } from "@graphiql/react";
import { useEffect, useMemo, useState } from "react";
import "./explain.css";
import { DocsLink } from "./docs.jsx";
import { Plan, Requests, Run, Troubles } from "./explain-parts.jsx";
import { meant } from "./operation.js";
import { request } from "./session.js";
import { keyOf, useRun } from "./traces.js";

const PAUSE = 300;

export function explainPlugin(endpoint) {
  return { title: "Explain", icon: ExplainIcon, content: () => <Explain endpoint={endpoint} /> };
}

// A path that forks: the plan of one request that becomes two.
function ExplainIcon() {
  return (
    <svg height="1em" viewBox="0 0 14 14" fill="none" stroke="currentColor" strokeWidth="1.2" aria-hidden="true">
      <circle cx="2.4" cy="7" r="1.6" />
      <circle cx="11.4" cy="2.8" r="1.6" />
      <circle cx="11.4" cy="11.2" r="1.6" />
      <path d="M4 7h1.4c2.4 0 1.6-4.2 4.2-4.2M5.4 7c2.4 0 1.6 4.2 4.2 4.2" />
    </svg>
  );
}

function Explain({ endpoint }) {
  const asked = useAsked();
  const { found, errors, isLate } = useExplanation(`${endpoint}/explain`, asked);
  const run = useRun(asked.key);
  return (
    <section className="explain" aria-label="Explain" aria-busy={isLate}>
      <header className="explain-header">
        Explain
        <span className="explain-state" role="status">
          {isLate ? "…" : stateOf(found, errors)}
        </span>
      </header>
      <p className="explain-hint">
        The requests that this operation would send upstream. Nothing is sent. <DocsLink chapter="explain">How requests are planned</DocsLink>
      </p>
      {errors && <Troubles errors={errors} />}
      {run && <Run run={run} />}
      {found && (
        <div className={errors || isLate ? "explain-old" : undefined}>
          <Plan steps={found.steps} />
          <Requests found={found} />
          {!run && !errors && <p className="explain-hint">Run it to see how long each request takes.</p>}
        </div>
      )}
    </section>
  );
}

function stateOf(found, errors) {
  if (errors) return "cannot run";
  if (!found) return "";
  if (found.repeats) return "subscription";
  return found.changes ? "mutation" : "query";
}

// What would be sent if one ran it now; `trouble` where the editors hold no JSON.
function useAsked() {
  const [query] = useOperationsEditorState();
  const [variables] = useVariablesEditorState();
  const [headers] = useHeadersEditorState();
  const { operationName, overrideOperationName } = useGraphiQL(pick("operationName", "overrideOperationName"));
  const chosen = overrideOperationName ?? operationName;
  return useMemo(() => {
    const params = { query, operationName: meant({ query, operationName: chosen }).name };
    try {
      params.variables = parsed("Variables", variables);
      const given = parsed("Request headers", headers);
      return { params, headers: given, key: keyOf(params, given) };
    } catch (error) {
      return { params, trouble: error.message, key: "" };
    }
  }, [query, variables, headers, chosen]);
}

function parsed(what, text) {
  try {
    return tryParseJSONC(text);
  } catch (error) {
    throw new Error(`${what} ${error.message}`);
  }
}

// The last explanation that there was, and what prevents a newer one. An answer that comes too late is given up.
function useExplanation(address, asked) {
  const [state, setState] = useState({ found: null, errors: null, isLate: true });
  useEffect(() => {
    const { params, headers, trouble } = asked;
    if (trouble) {
      setState((old) => ({ ...old, errors: [{ message: trouble }], isLate: false }));
      return undefined;
    }
    if (!params.query.trim()) {
      setState({ found: null, errors: null, isLate: false });
      return undefined;
    }
    setState((old) => ({ ...old, isLate: true }));
    const aborter = new AbortController();
    const timer = setTimeout(async () => {
      const { data, errors } = await explained(address, params, headers, aborter.signal);
      if (aborter.signal.aborted) return;
      setState((old) => ({ found: data ?? old.found, errors: errors ?? null, isLate: false }));
    }, PAUSE);
    return () => {
      clearTimeout(timer);
      aborter.abort();
    };
  }, [address, asked]);
  return state;
}

async function explained(address, params, headers, signal) {
  try {
    const response = await request(address, {
      method: "POST",
      headers: { accept: "application/json", "content-type": "application/json", ...headers },
      body: JSON.stringify(params),
      signal,
    });
    return await response.json();
  } catch (error) {
    return { errors: [{ message: `There is no explanation: ${error.message}` }] };
  }
}
