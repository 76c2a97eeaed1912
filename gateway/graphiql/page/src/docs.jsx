// Links to the chapters of the documentation, where the setting docs_url says that it is published.
import { config } from "./api.jsx";

// File and heading of each chapter that the page links to; tests/docs/test_links.py looks them up.
const CHAPTERS = {
  start: "index.html",
  export: "data/export.html",
  explain: "upstream-requests.html#explain",
  search: "graphiql.html#search",
  subscriptions: "subscriptions.html#how-changes-are-found",
};

export function DocsLink({ chapter, children }) {
  if (!config.docs) return null;
  return (
    <a className="docs-link" href={config.docs + CHAPTERS[chapter]} target="_blank" rel="noopener">
      {children}
    </a>
  );
}
