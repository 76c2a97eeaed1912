// The GraphiQL page. What it opens with (endpoint, example tabs, preset headers) comes from the gateway: config.json.
import "./workers.js";
import "graphiql/style.css";
import "./page.css";
import { GraphiQL } from "graphiql";
import { createRoot } from "react-dom/client";
import { ApiPicker, config, storage } from "./api.jsx";
import { createFetcher } from "./fetcher.js";

const { endpoint, examples, headers } = config;

const json = (value) => (value ? JSON.stringify(value, null, 2) : "");
const tabs = examples.map(({ query, variables }) => ({ query, variables: json(variables) }));
// GraphiQL keeps the tabs a person leaves. It fills the editors of a first visit with the first tab's query, not its variables.
const firstVisit = storage.getItem("graphiql:tabState") === null;

createRoot(document.getElementById("graphiql")).render(
  <GraphiQL
    fetcher={createFetcher(endpoint)}
    storage={storage}
    defaultTabs={tabs}
    initialVariables={firstVisit ? tabs[0]?.variables : undefined}
    defaultHeaders={json(headers)}
    defaultEditorToolsVisibility="variables"
    maxHistoryLength={50}
  >
    <GraphiQL.Logo>
      <b>D365 GraphQL</b>
      <ApiPicker />
    </GraphiQL.Logo>
  </GraphiQL>,
);
