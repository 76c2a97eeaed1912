// "Export" in the toolbar: the whole list that the cursor is in as a file, read with the rights, and the headers, of the page.
import { ToolbarButton, ToolbarMenu, tryParseJSONC, useGraphiQL, useHeadersEditorState, useOperationsEditorState, useVariablesEditorState, pick } from "@graphiql/react";
import { useSyncExternalStore } from "react";
import { DocsLink } from "./docs.jsx";
import { exported } from "./exported.js";
import { bytes } from "./requests.js";
import { request } from "./session.js";

const FORMATS = { csv: "CSV", ndjson: "NDJSON", parquet: "Parquet", arrow: "Arrow" };
const ENDINGS = { csv: "csv", ndjson: "ndjson", parquet: "parquet", arrow: "arrows" };

// What the last export has come to: { text, isError, isRunning }.
let state = null;
const listeners = new Set();
const subscribe = (listener) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};
function show(next) {
  state = next;
  listeners.forEach((listener) => listener());
}

export function ExportMenu({ address }) {
  const [query] = useOperationsEditorState();
  const [variables] = useVariablesEditorState();
  const [headers] = useHeadersEditorState();
  const { operationName, overrideOperationName, queryEditor } = useGraphiQL(pick("operationName", "overrideOperationName", "queryEditor"));
  const choose = (format) => {
    try {
      const place = queryEditor?.getModel()?.getOffsetAt(queryEditor.getPosition()) ?? -1;
      const params = { query: queryEditor?.getValue() ?? query, variables: tryParseJSONC(variables), operationName: overrideOperationName ?? operationName };
      const wanted = exported(params, place);
      if (!wanted) throw new Error("Put the cursor into a query with a list, such as customersV3 { nodes { … } }.");
      run(address, wanted, format, tryParseJSONC(headers));
    } catch (error) {
      show({ text: `Nothing is exported: ${error.message}`, isError: true });
    }
  };
  return (
    <ToolbarMenu
      button={
        <ToolbarButton label="Export the list at the cursor: all of its rows">
          <ExportIcon />
        </ToolbarButton>
      }
    >
      {Object.entries(FORMATS).map(([format, title]) => (
        <ToolbarMenu.Item key={format} onSelect={() => choose(format)}>
          {title}
        </ToolbarMenu.Item>
      ))}
    </ToolbarMenu>
  );
}

async function run(address, { list, left, ...parameters }, format, headers) {
  const file = `${list}.${ENDINGS[format]}`;
  const say = (text, more) => show({ text: `${text}${left.length ? ` (without ${left.join(", ")})` : ""}`, ...more });
  say(`Exporting ${list} …`, { isRunning: true });
  try {
    const response = await request(`${address}/${list}?${new URLSearchParams({ ...parameters, format })}`, { headers });
    if (!response.ok) throw new Error(await trouble(response));
    const pieces = [];
    let size = 0;
    for await (const piece of chunks(response.body)) {
      pieces.push(piece);
      size += piece.length;
      say(`Exporting ${list} … ${bytes(size)}`, { isRunning: true });
    }
    save(file, new Blob(pieces, { type: response.headers.get("content-type") }));
    say(`Exported ${file}, ${bytes(size)}`);
  } catch (error) {
    show({ text: `${list} is not exported: ${error.message}`, isError: true });
  }
}

// Not all browsers iterate over a stream.
async function* chunks(body) {
  const reader = body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

async function trouble(response) {
  try {
    const [{ message, extensions }] = (await response.json()).errors;
    return [message, extensions?.hint].filter(Boolean).join(" ");
  } catch {
    return `HTTP ${response.status}`;
  }
}

function save(name, blob) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

export function ExportStatus() {
  const now = useSyncExternalStore(subscribe, () => state);
  if (!now) return null;
  return (
    <p className={`export-status${now.isError ? " export-error" : ""}`}>
      <span role="status" aria-busy={Boolean(now.isRunning)}>
        {now.text}
      </span>
      <DocsLink chapter="export">Exports</DocsLink>
    </p>
  );
}

function ExportIcon() {
  return (
    <svg className="graphiql-toolbar-icon" viewBox="0 0 14 14" fill="none" stroke="currentColor" strokeLinecap="round" aria-hidden="true">
      <path d="M7 1v8M4 6.2 7 9.2l3-3M1.5 10v2.5h11V10" />
    </svg>
  );
}
