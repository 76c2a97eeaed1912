// Which environment this page asks, beside its name: nobody should take production for a sandbox.
import { config } from "./api.jsx";

const KINDS = { sandbox: "Sandbox", test: "Test", development: "Development", production: "Production" };

export function EnvironmentBadge() {
  const { name, kind, readOnly, version } = config.environment;
  if (!name) return null;
  const title = [name, KINDS[kind] ?? "kind unknown", readOnly ? "read-only" : "reads and writes", `d365-graphql-gateway ${version}`].join(" · ");
  return (
    <span className={`environment environment-${kind ?? "unknown"}`} title={title} aria-label={`Environment: ${title}`} role="note">
      <b>{KINDS[kind] ?? name}</b>
      {KINDS[kind] && kind !== "sandbox" && <span className="environment-name">{name}</span>}
      {readOnly && <span>read-only</span>}
      <small>{version}</small>
    </span>
  );
}
