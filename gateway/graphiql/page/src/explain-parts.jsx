// What the Explain panel shows.
import { CopyIcon } from "@graphiql/react";
import { memo, useState } from "react";
import { addressOf, bytes, counted, curl, indented, milliseconds, readable } from "./requests.js";

export function Troubles({ errors }) {
  return (
    <ul className="explain-errors" aria-label="Errors">
      {errors.map(({ message, locations, extensions: { code, hint } = {} }, index) => (
        <li key={index}>
          {code && <code>{code}</code>}
          {message}
          {locations?.[0] && ` (line ${locations[0].line})`}
          {hint && <p>{hint}</p>}
        </li>
      ))}
    </ul>
  );
}

export const Plan = memo(function Plan({ steps }) {
  if (!steps.length) return <p className="explain-hint">Answered by the gateway itself: no request goes upstream.</p>;
  return (
    <>
      <h3>Plan</h3>
      <Steps steps={steps} label="Plan" />
    </>
  );
});

function Steps({ steps, label }) {
  return (
    <ol className="explain-steps" aria-label={label}>
      {steps.map((step) => (
        <li key={step.field}>
          <code className="explain-field">{step.field}</code> <How text={step.how} />
          {step.notes.map((note) => (
            <p className="explain-note" key={note}>
              {note}
            </p>
          ))}
          {step.request && (
            <details>
              <summary>
                <Method name="GET" /> {readable(step.request).resource} <small>as for one row</small>
              </summary>
              <Address text={step.request} />
            </details>
          )}
          {step.below.length > 0 && <Steps steps={step.below} />}
        </li>
      ))}
    </ol>
  );
}

function How({ text }) {
  const [, code, said] = /^fails: (\w+): (.*)$/s.exec(text) ?? [];
  if (!code) return <span className="explain-how">{text}</span>;
  return (
    <span className="explain-fails">
      <code>{code}</code> {said}
    </span>
  );
}

export const Requests = memo(function Requests({ found }) {
  const { requests, placeholders, service } = found;
  if (!requests.length) return null;
  return (
    <>
      <h3>
        {counted(requests.length, "request")}
        <small>{which(found)}</small>
      </h3>
      {placeholders.length > 0 && (
        <p className="explain-hint">
          {placeholders.map((name) => (
            <code key={name}>{`{${name}} `}</code>
          ))}
          stands for a value that the service generates for the new row.
        </p>
      )}
      <ol className="explain-requests" aria-label="Requests">
        {requests.map((request, index) => (
          <li key={index}>
            <Request request={request} service={service} />
          </li>
        ))}
      </ol>
    </>
  );
});

function which({ changes, repeats, steps }) {
  if (repeats) return "at each poll";
  if (changes) return "if nothing is refused";
  return hasBelow(steps) ? "of the root fields" : "in total";
}

const hasBelow = (steps) => steps.some((step) => step.request || hasBelow(step.below));

function Request({ request, service }) {
  const { method, text, fields, headers, body, within } = request;
  return (
    <>
      <div className="explain-title">
        <Method name={method} />
        <b>{readable(text).resource}</b>
        <Copy label="URL" text={() => addressOf(request, service)} />
        <Copy label="curl" text={() => curl(request, service)} />
      </div>
      <p className="explain-for">for {fields.join(", ")}</p>
      <Address text={text} />
      {headers["If-Match"] && <Options options={[["If-Match", headers["If-Match"]]]} />}
      {within.length > 0 ? <Within writes={within} /> : body && <Body text={body} />}
    </>
  );
}

const SHOWN = 10;

// The writes of a changeset: the first of them, for there may be hundreds.
function Within({ writes }) {
  const [most, setMost] = useState(SHOWN);
  return (
    <ol className="explain-within" aria-label="Changeset">
      {writes.slice(0, most).map((write, index) => (
        <li key={index}>
          <div className="explain-title">
            <Method name={write.method} />
            <b>{readable(write.text).resource}</b>
          </div>
          {write.headers["If-Match"] && <Options options={[["If-Match", write.headers["If-Match"]]]} />}
          {write.body && <Body text={write.body} />}
        </li>
      ))}
      {writes.length > most && (
        <li>
          <button type="button" className="graphiql-un-styled" onClick={() => setMost(writes.length)}>
            {counted(writes.length - most, "more write")}
          </button>
        </li>
      )}
    </ol>
  );
}

const Body = ({ text }) => <pre className="explain-body">{indented(text)}</pre>;
const Method = ({ name }) => <code className={`explain-method explain-${name.toLowerCase()}`}>{name}</code>;
const Address = ({ text }) => <Options options={readable(text).options} />;

function Options({ options }) {
  return (
    <dl className="explain-options">
      {options.map(([name, value]) => (
        <div key={name} className={value.length > WIDE ? "explain-wide" : undefined}>
          <dt>{name}</dt>
          <dd>{linesOf(value).map(breakable)}</dd>
        </div>
      ))}
    </dl>
  );
}

// A page that did not come over https has no navigator.clipboard.
async function toClipboard(text) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const area = document.body.appendChild(Object.assign(document.createElement("textarea"), { value: text }));
  area.select();
  document.execCommand("copy");
  area.remove();
}

// A long filter has a line for each of its terms.
const linesOf = (value) => (value.length > LONG ? value.split(/ (?=(?:and|or) )/) : [value]);
const breakable = (line, index) => (
  <div key={index}>
    {line.split(/(?<=[,(;=])/).map((part, at) => [at > 0 && <wbr key={at} />, part])}
  </div>
);
const LONG = 80;
const WIDE = 40;

function Copy({ label, text }) {
  const [isDone, setDone] = useState(false);
  const copy = async () => {
    await toClipboard(text());
    setDone(true);
    setTimeout(() => setDone(false), 1500);
  };
  return (
    <button type="button" className="graphiql-un-styled explain-copy" aria-label={`Copy ${label}`} onClick={copy}>
      <CopyIcon aria-hidden="true" />
      {isDone ? "copied" : label}
    </button>
  );
}

// After a run: all of its requests on one scale of time.
export function Run({ run: { spent, requests, roundTrip } }) {
  const gateway = Math.max(0, spent.milliseconds - spent.upstream);
  return (
    <section className="explain-run" aria-label="Last run">
      <h3>
        Last run <small>{milliseconds(roundTrip)} to the browser</small>
      </h3>
      <p className="explain-total">
        <b>{milliseconds(spent.milliseconds)}</b> {counted(spent.requests, "request")} · {counted(spent.rows, "row")}
        {spent.bytes !== null && <> · {bytes(spent.bytes)}</>}
      </p>
      <Shares total={spent.milliseconds} shares={{ upstream: spent.upstream, gateway }} />
      <ol className="explain-timings" aria-label="Timings">
        {requests.map((request, index) => (
          <li key={index}>
            <Timing request={request} total={spent.milliseconds} />
          </li>
        ))}
      </ol>
    </section>
  );
}

const percent = (part, whole) => `${whole > 0 ? Math.min(100, (100 * part) / whole) : 0}%`;

function Shares({ total, shares }) {
  return (
    <div className="explain-shares">
      <div className="explain-bar" aria-hidden="true">
        {Object.entries(shares).map(([name, value]) => (
          <span key={name} className={`explain-${name}`} style={{ width: percent(value, total) }} />
        ))}
      </div>
      {Object.entries(shares).map(([name, value]) => (
        <span key={name} className={`explain-key explain-key-${name}`}>
          {name} {milliseconds(value)}
        </span>
      ))}
    </div>
  );
}

function Timing({ request, total }) {
  const { method, text, fields, started, milliseconds: took, waited, error } = request;
  return (
    <details className={error ? "explain-failed" : undefined}>
      <summary>
        <span className="explain-title">
          <Method name={method} />
          <b>{readable(text).resource}</b>
          <span className="explain-took">{milliseconds(took)}</span>
        </span>
        <span className="explain-track" aria-hidden="true">
          <span style={{ left: percent(started, total), width: percent(took, total) }}>
            {waited >= 1 && <span style={{ width: percent(waited, took) }} />}
          </span>
        </span>
        <span className="explain-facts">{factsOf(request).join(" · ")}</span>
      </summary>
      <p className="explain-for">for {fields.join(", ")}</p>
      <Address text={text} />
    </details>
  );
}

function factsOf({ status, rows, bytes: size, attempts, waited, error }) {
  return [
    error ?? status ?? "no answer",
    ...(rows === null ? [] : [counted(rows, "row")]),
    ...(size === null ? [] : [bytes(size)]),
    ...(attempts > 1 ? [attempts === 2 ? "1 retry" : `${attempts - 1} retries`] : []),
    ...(waited >= 1 ? [`${milliseconds(waited)} waiting`] : []),
  ];
}
