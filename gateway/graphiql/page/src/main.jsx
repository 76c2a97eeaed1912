// The GraphiQL page. What it opens with (endpoint, example tabs, preset headers) comes from the gateway: config.json.
import "./workers.js";
import "graphiql/style.css";
import "./page.css";
import { GraphiQL, HISTORY_PLUGIN } from "graphiql";
import { createRoot } from "react-dom/client";
import { ApiPicker, config, storage } from "./api.jsx";
import { CallerBadge, Gate, isClosed } from "./caller.jsx";
import { CompanyMenu, presetHeaders } from "./company.jsx";
import { DocsLink } from "./docs.jsx";
import { EnvironmentBadge } from "./environment.jsx";
import { explainPlugin } from "./explain.jsx";
import { ExportMenu, ExportStatus } from "./export.jsx";
import { GrowingGraphiQL } from "./explore.jsx";
import { createFetcher } from "./fetcher.js";
import { namesIn, Slices } from "./schema.js";
import { searchPlugin } from "./search.jsx";
import { SubscriptionStatus } from "./status.jsx";
import { traced } from "./traces.js";

const json = (value) => (value ? JSON.stringify(value, null, 2) : "");

function page({ endpoint, exports, examples, headers, explain, pollInterval }) {
  const tabs = examples.map(({ query, variables }) => ({ query, variables: json(variables) }));
  // GraphiQL keeps the tabs a person leaves. It fills the editors of a first visit with the first tab's query, not its variables.
  const firstVisit = storage.getItem("graphiql:tabState") === null;

  const fetcher = createFetcher(endpoint, pollInterval);
  const slices = new Slices(endpoint);
  const plugins = [searchPlugin(endpoint, slices), HISTORY_PLUGIN, ...(explain ? [explainPlugin(endpoint)] : [])];

  // While the editor is still being made, the schema of what it will show is on its way.
  slices.want(namesIn(storage.getItem("graphiql:query") ?? tabs[0]?.query ?? ""));

  return (
    <GrowingGraphiQL
      endpoint={endpoint}
      slices={slices}
      fetcher={explain ? traced(fetcher) : fetcher}
      plugins={plugins}
      storage={storage}
      defaultTabs={tabs}
      initialVariables={firstVisit ? tabs[0]?.variables : undefined}
      defaultHeaders={json(presetHeaders(endpoint, headers))}
      defaultEditorToolsVisibility="variables"
      maxHistoryLength={50}
      shouldPersistHeaders={false}
      showPersistHeadersSettings={false}
    >
      <GraphiQL.Logo>
        <b>D365 GraphQL</b>
        <ApiPicker />
        <EnvironmentBadge />
        <CallerBadge />
        <DocsLink chapter="start">Documentation</DocsLink>
      </GraphiQL.Logo>
      <GraphiQL.Toolbar>
        {({ prettify, merge, copy }) => (
          <>
            {prettify}
            {merge}
            {copy}
            <ExportMenu address={exports} />
            <CompanyMenu endpoint={endpoint} fetcher={fetcher} />
          </>
        )}
      </GraphiQL.Toolbar>
      <GraphiQL.Footer>
        <SubscriptionStatus />
        <ExportStatus />
      </GraphiQL.Footer>
    </GrowingGraphiQL>
  );
}

createRoot(document.getElementById("graphiql")).render(isClosed ? <Gate /> : page(config));
