// Picks an account with its dimensions: type-ahead over the chart of accounts of one company, and whether the account
// structures of its ledger allow the combination. The result is the text that lines of journals and bills take.
import { createClient } from "d365-graphql-client";
import { useEffect, useState } from "react";
import { createRoot } from "react-dom/client";

import { graphql } from "./gql/index.js";
import type { AccountsQuery, SetupQuery } from "./gql/graphql.js";

const Setup = graphql(`
  query Setup($company: String!) {
    accounting {
      companies(where: { code: { eq: $company } }) { nodes { chartOfAccounts } }
      accountStructures { nodes { segment1 segment2 segment3 rules { values1 values2 values3 } } }
      trackingOptions(first: 500, where: { or: [{ company: { eq: $company } }, { company: { isNull: true } }] }) {
        nodes { categoryName value name }
      }
    }
  }
`);
const Accounts = graphql(`
  query Accounts($chart: String!, $text: String!) {
    accounting {
      accounts(first: 8, where: {
        chartOfAccounts: { eq: $chart }, use: { eq: POSTING }, or: [{ number: { startsWith: $text } }, { name: { contains: $text } }]
      }) { nodes { id number name } }
    }
  }
`);
type Setup = SetupQuery["accounting"];
type Account = AccountsQuery["accounting"]["accounts"]["nodes"][number];
type Structures = Setup["accountStructures"]["nodes"];

const gateway = createClient({ url: "/graphql" });
const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

// A criterion is a list of values and ranges with two dots, "*" for any value, and "" for none.
export function fits(criterion: string, value: string): boolean {
  return criterion.split(",").some((part) => {
    const [from = "", to = from] = part.split("..");
    if (part === '""') return value === "";
    return part === "*" || (from <= value && value <= to);
  });
}

export function isAllowed(structures: Structures, values: readonly string[]): boolean {
  return structures.some(({ rules }) =>
    rules?.some(({ values1, values2, values3 }) =>
      [values1, values2, values3].every((criterion, i) => fits(criterion ?? "*", values[i] ?? "")),
    ),
  );
}

function useAccounts(chart: string | null | undefined, text: string): [readonly Account[], string] {
  const [accounts, setAccounts] = useState<readonly Account[]>([]);
  const [failure, setFailure] = useState("");
  useEffect(() => {
    if (!chart || text.length < 2) return setAccounts([]);
    // Nothing is sent while somebody types, and an answer that is late is dropped.
    const late = new AbortController();
    const pause = setTimeout(() => {
      gateway.query(Accounts, { chart, text }, { signal: late.signal }).then(
        ({ accounting }) => { setFailure(""); setAccounts(accounting.accounts.nodes); },
        (error) => late.signal.aborted || setFailure(messageOf(error)),
      );
    }, 150);
    return () => { clearTimeout(pause); late.abort(); };
  }, [chart, text]);
  return [accounts, failure];
}

function Picker({ company, onPick }: { company: string; onPick: (picked: string) => void }) {
  const [setup, setSetup] = useState<Setup>();
  const [text, setText] = useState("");
  const [account, setAccount] = useState<Account>();
  const [chosen, setChosen] = useState<Record<string, string>>({});
  const [accounts, failure] = useAccounts(setup?.companies.nodes[0]?.chartOfAccounts, account ? "" : text);
  const [problem, setProblem] = useState("Loading …");
  useEffect(() => {
    gateway.query(Setup, { company }).then(
      ({ accounting }) => setSetup(accounting),
      (error) => setProblem(messageOf(error)),
    );
  }, [company]);
  if (!setup) return <p role="status">{problem}</p>;

  const structures = setup.accountStructures.nodes;
  const segments = [structures[0]?.segment2, structures[0]?.segment3].filter((name) => name != null);
  const choose = (each: Account) => { setAccount(each); setText(`${each.number} ${each.name}`); };
  const values = [account?.number ?? "", ...segments.map((name) => chosen[name] ?? "")];
  const allowed = account && isAllowed(structures, values);
  return (
    <form onSubmit={(event) => { event.preventDefault(); onPick(values.join("-")); }}>
      <label>Account <input type="search" role="combobox" aria-expanded={accounts.length > 0} aria-controls="accounts"
        value={text} onChange={(event) => { setAccount(undefined); setText(event.target.value); }} /></label>
      <ul id="accounts" role="listbox">
        {accounts.map((each) => (
          <li key={each.id} role="option" aria-selected="false" tabIndex={0} onClick={() => choose(each)}
            onKeyDown={(event) => event.key === "Enter" && choose(each)}>{each.number} {each.name}</li>
        ))}
      </ul>
      {segments.map((name) => (
        <label key={name}>{name} <select onChange={(event) => setChosen({ ...chosen, [name]: event.target.value })}>
          <option value="">none</option>
          {setup.trackingOptions.nodes.filter((option) => option.categoryName === name).map(({ value, name }) => (
            <option key={value} value={value ?? ""}>{value} {name}</option>
          ))}
        </select></label>
      ))}
      <p role="status">{failure || (account && (allowed ? `${values.join("-")} may be posted` : "not allowed together"))}</p>
      <button disabled={!allowed}>Use it</button>
    </form>
  );
}

createRoot(document.getElementById("picker")!).render(
  <Picker company="usmf" onPick={(picked) => { document.title = picked; }} />,
);
