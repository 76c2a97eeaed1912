// GraphiQL over a schema that grows: what a person looks at is loaded, be it the document in the editor or a page of the
// documentation, and the root fields that are not loaded are completed.
import { useDocExplorer } from "@graphiql/plugin-doc-explorer";
import { pick, useGraphiQL, useMonaco } from "@graphiql/react";
import { getNamedType, isNamedType } from "graphql";
import { getTokenAtPosition } from "graphql-language-service";
import { GraphiQL } from "graphiql";
import { useEffect, useSyncExternalStore } from "react";
import { Following } from "./following.jsx";
import { namesIn, rootAt } from "./schema.js";
import { SearchShortcut } from "./search.jsx";
import { request } from "./session.js";
import { useReadableThemes } from "./themes.js";

const PAUSE = 150;

export function GrowingGraphiQL({ endpoint, slices, children, ...props }) {
  const schema = useSyncExternalStore(slices.subscribe, slices.snapshot);
  // GraphiQL's button that asks for the whole schema anew has nothing to do where slices are.
  useEffect(() => void document.body.classList.toggle("sliced", schema !== undefined), [schema]);
  return (
    <GraphiQL schema={schema} {...props}>
      {children}
      <Watch endpoint={endpoint} slices={slices} />
      <SearchShortcut />
      <Following />
    </GraphiQL>
  );
}

function Watch({ endpoint, slices }) {
  useReadableThemes();
  useEditorsNames(slices);
  useDocumentedTypes(slices);
  useCompletion(endpoint, slices);
  return null;
}

function useEditorsNames(slices) {
  const { queryEditor, schema } = useGraphiQL(pick("queryEditor", "schema"));
  useEffect(() => {
    if (!queryEditor) return undefined;
    let timer;
    const look = () => {
      const { lineNumber, column } = queryEditor.getPosition() ?? {};
      const typing = queryEditor.hasTextFocus() ? { line: lineNumber - 1, character: column - 1 } : null;
      slices.want(namesIn(queryEditor.getValue(), { schema, partial: slices.partial, typing, known: slices.knows }));
    };
    const soon = () => {
      clearTimeout(timer);
      timer = setTimeout(look, PAUSE);
    };
    look();
    const watched = [queryEditor.onDidChangeModelContent(soon), queryEditor.onDidChangeCursorPosition(soon)];
    return () => {
      clearTimeout(timer);
      watched.forEach((one) => one.dispose());
    };
  }, [queryEditor, schema, slices]);
}

function useDocumentedTypes(slices) {
  const last = useDocExplorer().at(-1);
  const schema = useGraphiQL((state) => state.schema);
  useEffect(() => {
    const def = last?.def;
    const name = def && (isNamedType(def) ? def : def.type && getNamedType(def.type))?.name;
    if (name && slices.partial.has(name)) slices.want({ type: [name] });
  }, [last, schema, slices]);
}

function useCompletion(endpoint, slices) {
  const { monaco } = useMonaco();
  useEffect(() => {
    if (!monaco) return undefined;
    const provider = monaco.languages.registerCompletionItemProvider("graphql", {
      provideCompletionItems: (model, position) => completed(endpoint, slices, monaco, model, position),
    });
    return () => provider.dispose();
  }, [monaco, endpoint, slices]);
}

async function completed(endpoint, slices, monaco, model, { lineNumber, column }) {
  const cursor = { line: lineNumber - 1, character: column - 1 };
  const root = slices.schema && rootAt(getTokenAtPosition(model.getValue(), cursor, 1).state);
  if (root !== "query" && root !== "mutation") return { suggestions: [] };
  const word = model.getWordUntilPosition({ lineNumber, column });
  const response = await request(`${endpoint}/search?${new URLSearchParams({ in: root, q: word.word })}`);
  const { names } = response.ok ? await response.json() : { names: [] };
  slices.know(root, names);
  const range = new monaco.Range(lineNumber, word.startColumn, lineNumber, word.endColumn);
  const kind = monaco.languages.CompletionItemKind.Field;
  // The schema's own completion has those that are loaded.
  const others = names.filter((name) => !slices.holds(root, name));
  const suggestions = others.map((name, at) => ({ label: name, insertText: name, kind, range, sortText: String(at).padStart(3, "0") }));
  return { suggestions, incomplete: true };
}
