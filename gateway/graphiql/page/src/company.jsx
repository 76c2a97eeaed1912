// The company scope: the header X-D365-Company of the tab, chosen from the legal entities. The last choice is kept for the next visit.
import { ToolbarButton, ToolbarMenu, tryParseJSONC, useGraphiQL, useHeadersEditorState } from "@graphiql/react";
import { useEffect, useState } from "react";

const HEADER = "X-D365-Company";
const COMPANIES = "{ legalEntities(first: 500) { nodes { legalEntityId name } } }";
const place = (endpoint) => `d365:company:${endpoint}`;
const isCompany = (name) => name.toLowerCase() === HEADER.toLowerCase();

// What the header editor starts with: the gateway's preset, in the company that was chosen last.
export function presetHeaders(endpoint, headers) {
  const chosen = localStorage.getItem(place(endpoint));
  return chosen === null ? headers : withCompany(headers, chosen);
}

function withCompany(headers, company) {
  const others = Object.entries(headers).filter(([name]) => !isCompany(name));
  return Object.fromEntries([...(company ? [[HEADER, company]] : []), ...others]);
}

const companyOf = (headers) => Object.entries(headers).find(([name]) => isCompany(name))?.[1] ?? "";

// The headers in the editor; null while they are no JSON.
function read(text) {
  try {
    return tryParseJSONC(text) ?? {};
  } catch {
    return null;
  }
}

export function CompanyMenu({ endpoint, fetcher }) {
  const [text, write] = useHeadersEditorState();
  const [companies, setCompanies] = useState(null);
  useKept(endpoint);
  const headers = read(text);
  const chosen = headers && String(companyOf(headers));
  const open = async (isOpen) => {
    if (isOpen && !companies?.length) setCompanies(await companiesBy(fetcher));
  };
  const choose = (company) => headers && write(JSON.stringify(withCompany(headers, company), null, 2));
  return (
    <ToolbarMenu
      onOpenChange={open}
      button={
        <ToolbarButton label={`Company scope: ${chosen || "the default"}`} className="company">
          <CompanyIcon />
          <span>{shortly(chosen)}</span>
        </ToolbarButton>
      }
    >
      <ToolbarMenu.Item onSelect={() => choose("")}>
        {mark(chosen === "")} Default <small>no header</small>
      </ToolbarMenu.Item>
      {companies?.map(({ legalEntityId: id, name }) => (
        <ToolbarMenu.Item key={id} onSelect={() => choose(id)}>
          {mark(chosen === id)} {id} <small>{name}</small>
        </ToolbarMenu.Item>
      ))}
      {companies?.length === 0 && (
        <ToolbarMenu.Item disabled>{`Legal entities cannot be read here: set ${HEADER} under Headers.`}</ToolbarMenu.Item>
      )}
    </ToolbarMenu>
  );
}

const mark = (isChosen) => <span className="company-mark">{isChosen ? "✓" : ""}</span>;

function shortly(chosen) {
  if (!chosen) return "default";
  const names = chosen.split(",");
  return names.length > 1 ? `${names.length} of` : chosen;
}

// Empty where they cannot be read: the API may be a slice without them.
async function companiesBy(fetcher) {
  try {
    const { data } = await fetcher({ query: COMPANIES });
    return data?.legalEntities?.nodes ?? [];
  } catch {
    return [];
  }
}

function useKept(endpoint) {
  const editor = useGraphiQL((state) => state.headerEditor);
  useEffect(() => {
    const listening = editor?.onDidChangeModelContent(() => {
      const headers = read(editor.getValue());
      if (headers) localStorage.setItem(place(endpoint), String(companyOf(headers)));
    });
    return () => listening?.dispose();
  }, [editor, endpoint]);
}

function CompanyIcon() {
  return (
    <svg className="graphiql-toolbar-icon" viewBox="0 0 14 14" fill="none" stroke="currentColor" aria-hidden="true">
      <path d="M2 13V2.5L8 1v12M8 5l4 1.5V13M.8 13h12.4M4 4.5h2M4 7h2M4 9.5h2M10 8.5v.01M10 10.5v.01" strokeLinecap="round" />
    </svg>
  );
}
