// The Search panel: a type-ahead over all entity sets, root fields, types and fields, and what a found set offers.
import { DOC_EXPLORER_PLUGIN, useDocExplorerActions } from "@graphiql/plugin-doc-explorer";
import { isMacOs, MagnifyingGlassIcon, pick, PlusIcon, Spinner, useGraphiQL, useGraphiQLActions } from "@graphiql/react";
import { getNamedType, isObjectType } from "graphql";
import { useEffect, useRef, useState } from "react";
import { DocsLink } from "./docs.jsx";
import "./search.css";
import { request } from "./session.js";
import { skeleton } from "./skeleton.js";

const PAUSE = 60;
const LIMIT = 60;
const TITLE = "Search";
const KINDS = { set: "set", query: "query", mutation: "mutation", type: "type", field: "field" };
const SHORTCUT = isMacOs ? "⌘ ⌥ K" : "Ctrl Alt K";

export function searchPlugin(endpoint, slices) {
  return { title: TITLE, icon: MagnifyingGlassIcon, content: () => <Search endpoint={endpoint} slices={slices} /> };
}

/** The shortcut that GraphiQL has for a search in its documentation, which knows only what is loaded. */
export function SearchShortcut() {
  useEffect(() => {
    const onKey = (event) => {
      if (event.code !== "KeyK" || !event.altKey || !event[isMacOs ? "metaKey" : "ctrlKey"]) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      // Only the button opens the side that holds the panels, too.
      document.querySelector(`.graphiql-sidebar button[aria-label="Show ${TITLE}"]`)?.click();
      requestAnimationFrame(() => document.querySelector(".search-back")?.click() ?? document.querySelector(".search-input")?.select());
    };
    window.addEventListener("keydown", onKey, { capture: true });
    return () => window.removeEventListener("keydown", onKey, { capture: true });
  }, []);
  return null;
}

// What is kept while another panel is open.
const kept = { query: "", at: 0, opened: null };

function Search({ endpoint, slices }) {
  const [query, setQuery] = useState(kept.query);
  const [at, setAt] = useState(kept.at);
  const [opened, setOpened] = useState(kept.opened);
  const { hits, error, isLate } = useHits(endpoint, query);
  const [entered, setEntered] = useState(false);
  const input = useRef(null);
  Object.assign(kept, { query, at, opened });
  useEffect(() => input.current?.focus(), [opened]);

  const type = (text) => {
    setQuery(text);
    setAt(0);
    setEntered(false);
  };
  const open = (hit) => {
    // A field of many types opens the search for it in each of them; of one, that type.
    if (hit.kind === "field" && hit.sets.length > 1) return setOpened({ ...hit, isMany: true });
    return setOpened(hit);
  };
  // What stands there until the answer comes was found for less text: Enter is for the text as it was typed.
  useEffect(() => {
    if (!entered || isLate) return;
    setEntered(false);
    if (hits[at]) open(hits[at]);
  }, [entered, isLate, hits, at]);
  const onKey = (event) => {
    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 };
    if (event.key in moves) setAt(Math.max(0, Math.min(hits.length - 1, at + moves[event.key])));
    else if (event.key === "Enter") setEntered(true);
    else if (event.key === "Escape" && query) type("");
    else return;
    event.preventDefault();
  };
  if (opened) {
    const find = (set) => setOpened({ kind: "set", name: set, type: "", queries: [set], mutations: [], label: "", csdl: "" });
    return <Opened hit={opened} slices={slices} endpoint={endpoint} onBack={() => setOpened(null)} onSet={find} />;
  }
  return (
    <section className="search" aria-label={TITLE}>
      <header className="search-title">
        {TITLE}
        <kbd>{SHORTCUT}</kbd>
      </header>
      <input
        ref={input}
        className="search-input"
        type="search"
        role="combobox"
        aria-expanded="true"
        aria-controls="search-hits"
        aria-activedescendant={hits[at] ? `search-hit-${at}` : undefined}
        aria-label="Search sets, fields, types"
        placeholder="sales order · soh · create vendor · customers.credit"
        spellCheck={false}
        autoComplete="off"
        value={query}
        onChange={(event) => type(event.target.value)}
        onKeyDown={onKey}
      />
      <p className="search-state" role="status">
        {error ?? (isLate && !hits.length ? "…" : summary(query, hits, slices.sets))}
      </p>
      <ul id="search-hits" className="search-hits" role="listbox" aria-label="Found">
        {hits.map((hit, place) => (
          <Row key={`${hit.kind} ${hit.name} ${hit.sets[0] ?? ""}`} hit={hit} id={`search-hit-${place}`} isAt={place === at} query={query} onOpen={() => open(hit)} />
        ))}
      </ul>
      <DocsLink chapter="search">How the search works</DocsLink>
    </section>
  );
}

function summary(query, hits, sets) {
  if (!query) return sets ? `${sets.toLocaleString("en")} entity sets` : "";
  if (!hits.length) return "No name matches.";
  return hits.length < LIMIT ? `${hits.length} found` : `The ${LIMIT} best matches`;
}

function Row({ hit, id, isAt, query, onOpen }) {
  const row = useRef(null);
  const about = aboutHit(hit);
  useEffect(() => {
    if (isAt) row.current.scrollIntoView({ block: "nearest" });
  }, [isAt]);
  return (
    <li ref={row} id={id} className="search-hit" role="option" aria-selected={isAt} onClick={onOpen}>
      <span className={`search-kind search-kind-${hit.kind}`}>{KINDS[hit.kind]}</span>
      <span className="search-name">
        <Marked text={hit.name} query={query.split(".").at(-1)} />
      </span>
      {about && <span className="search-about">{about}</span>}
    </li>
  );
}

function aboutHit(hit) {
  if (hit.kind === "field") return hit.count > 1 ? `in ${hit.count} sets: ${hit.sets.slice(0, 3).join(", ")}${hit.count > 3 ? ", …" : ""}` : `in ${hit.sets[0]}`;
  const isAnother = hit.csdl.toLowerCase() !== hit.name.toLowerCase();
  return [hit.label, isAnother && hit.csdl].filter(Boolean).join(" · ");
}

// The words of the query within a name.
function Marked({ text, query }) {
  const words = query.match(/[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^\x00-\x7f]+/g) ?? [];
  if (!words.length) return text;
  const escaped = words.map((word) => word.replace(/[^\w]/g, "\\$&")).sort((a, b) => b.length - a.length);
  const parts = text.split(new RegExp(`(${escaped.join("|")})`, "gi"));
  return parts.map((part, place) => (place % 2 ? <mark key={place}>{part}</mark> : part));
}

const answers = new Map();

function useHits(endpoint, query) {
  const [found, setFound] = useState({ query: null, hits: answers.get(query) ?? [], error: null });
  useEffect(() => {
    if (answers.has(query)) {
      setFound({ query, hits: answers.get(query), error: null });
      return undefined;
    }
    const stop = new AbortController();
    const timer = setTimeout(async () => {
      try {
        const asked = new URLSearchParams({ q: query, limit: LIMIT });
        const response = await request(`${endpoint}/search?${asked}`, { signal: stop.signal });
        const { hits, errors } = await response.json();
        if (hits) answers.set(query, hits);
        setFound({ query, hits: hits ?? [], error: errors?.[0].message ?? null });
      } catch (error) {
        if (error.name !== "AbortError") setFound({ query, hits: [], error: `The search did not answer: ${error.message}` });
      }
    }, PAUSE);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [endpoint, query]);
  return { ...found, isLate: found.query !== query };
}

// What was found

function Opened({ hit, endpoint, slices, onBack, onSet }) {
  const panel = useRef(null);
  // Enter opened this: the next Enter inserts the operation, or opens the first set. Escape leads back.
  useEffect(() => (panel.current.querySelector(".search-insert, .search-list .search-link") ?? panel.current.querySelector(".search-opened")).focus(), [hit]);
  return (
    <section ref={panel} className="search" aria-label={TITLE} onKeyDown={(event) => event.key === "Escape" && onBack()}>
      <button type="button" className="search-back" onClick={onBack}>
        ‹ {TITLE}
      </button>
      <h2 className="search-opened" tabIndex={-1}>
        {hit.name}
      </h2>
      {hit.isMany ? <SetsOf hit={hit} onSet={onSet} /> : <Offers hit={hit} slices={slices} endpoint={endpoint} />}
    </section>
  );
}

function SetsOf({ hit, onSet }) {
  return (
    <>
      <p className="search-state">
        {hit.count > hit.sets.length ? `Rows of ${hit.count} sets have it; the first ${hit.sets.length}:` : `Rows of ${hit.count} sets have it:`}
      </p>
      <ul className="search-list">
        {hit.sets.map((set) => (
          <li key={set}>
            <button type="button" className="search-link" onClick={() => onSet(set)}>
              {set}
            </button>
          </li>
        ))}
      </ul>
    </>
  );
}

function Offers({ hit: given, slices, endpoint }) {
  const hit = useWhole(endpoint, given);
  const schema = useGraphiQL((state) => state.schema);
  const insert = useInsert(hit);
  const show = useDocumentation();
  useEffect(() => {
    slices.know("query", hit.queries);
    slices.know("mutation", hit.mutations);
    slices.want({ query: hit.queries, type: hit.type ? [hit.type] : [] });
  }, [hit, slices]);
  const type = hit.type && schema?.getType(hit.type);
  const isThere = type && !slices.partial.has(hit.type);
  return (
    <>
      {aboutHit({ ...hit, kind: "set" }) && <p className="search-state">{aboutHit({ ...hit, kind: "set" })}</p>}
      <Inserts title="Query" root="query" names={hit.queries} insert={insert} slices={slices} />
      <Inserts title="Mutation" root="mutation" names={hit.mutations} insert={insert} slices={slices} />
      {hit.type && (
        <h3 className="search-heading">
          <button type="button" className="search-link" disabled={!isThere} onClick={() => show([type])}>
            {hit.type}
          </button>
        </h3>
      )}
      {hit.type && !isThere && <Spinner />}
      {isThere && <Fields type={type} picked={given.kind === "field" ? given.name : null} show={show} />}
    </>
  );
}

function Inserts({ title, root, names, insert, slices }) {
  if (!names.length) return null;
  const insertNamed = async (name) => {
    await slices.want({ [root]: [name] });
    insert(root, name);
  };
  return (
    <>
      <h3 className="search-heading">{title}</h3>
      <ul className="search-inserts">
        {names.map((name) => (
          <li key={name}>
            <button type="button" className="search-insert" title={`Put ${name} into the editor`} onClick={() => insertNamed(name)}>
              <PlusIcon aria-hidden="true" /> {name}
            </button>
          </li>
        ))}
      </ul>
    </>
  );
}

function Fields({ type, picked, show }) {
  const [filter, setFilter] = useState(picked ?? "");
  const members = type.getFields ? Object.values(type.getFields()) : (type.getValues?.() ?? []);
  const shown = members.filter((member) => `${member.name} ${member.description ?? ""}`.toLowerCase().includes(filter.toLowerCase()));
  return (
    <>
      {members.length > 10 && (
        <input className="search-input search-filter" type="search" placeholder={`Filter ${members.length} fields`} aria-label="Filter fields" value={filter} onChange={(event) => setFilter(event.target.value)} />
      )}
      <ul className="search-fields">
        {shown.map((member) => (
          <li key={member.name} title={member.description ?? undefined}>
            {member.type ? (
              <button type="button" className="search-link" onClick={() => show([type, member])}>
                {member.name}
              </button>
            ) : (
              member.name
            )}
            {member.type && <span className="search-type">{String(member.type)}</span>}
            {/ Key\./.test(member.description ?? "") && <span className="search-key">key</span>}
          </li>
        ))}
      </ul>
    </>
  );
}

// A hit that a field led to knows only the list's name: the search for it tells the rest.
function useWhole(endpoint, given) {
  const name = given.kind === "field" ? given.sets[0] : given.type || given.kind !== "set" ? null : given.name;
  const { hits } = useHits(endpoint, name ?? "");
  return (name && hits.find((hit) => hit.kind === "set" && hit.queries.includes(name))) || { ...given, queries: given.queries ?? [], mutations: given.mutations ?? [] };
}

function useDocumentation() {
  const { push, reset } = useDocExplorerActions();
  const { setVisiblePlugin } = useGraphiQLActions();
  return (defs) => {
    reset();
    defs.forEach((def) => push({ name: def.name, def }));
    setVisiblePlugin(DOC_EXPLORER_PLUGIN);
  };
}

function useInsert(hit) {
  const { queryEditor, variableEditor } = useGraphiQL(pick("queryEditor", "variableEditor"));
  const { addTab } = useGraphiQLActions();
  const current = useRef(null);
  current.current = useGraphiQL((state) => state.schema);
  return async (root, name) => {
    // The schema that holds the field comes with the next rendering.
    for (let tries = 0; tries < 400 && !fieldOf(current.current, root, name); tries += 1) await new Promise((done) => setTimeout(done, 25));
    const field = fieldOf(current.current, root, name);
    if (!field) return;
    const byKey = hit.queries.map((query) => fieldOf(current.current, "query", query)).find((found) => found && !found.args.some((arg) => arg.name === "first"));
    const { query, variables } = skeleton(root, field, byKey?.args.map((arg) => arg.name));
    if (queryEditor.getValue().trim()) addTab();
    queryEditor.setValue(`${query}\n`);
    variableEditor?.setValue(variables);
    queryEditor.focus();
  };
}

function fieldOf(schema, root, name) {
  const type = schema?.getRootType(root);
  return isObjectType(type) ? type.getFields()[name] : undefined;
}
