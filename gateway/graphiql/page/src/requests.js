// OData requests for people: an address by its options, a body by lines, a command for a shell.

// "Set?$filter=A eq 'x&y'&$top=2" → { resource: "Set", options: [["$filter", "A eq 'x&y'"], ["$top", "2"]] }
export function readable(text) {
  const [resource, query] = cut(text, text.indexOf("?"));
  return { resource, options: query ? optionsOf(query).map((option) => cut(option, option.indexOf("="))) : [] };
}

function cut(text, at) {
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

// The text is decoded: an "&" between quotes belongs to a value. A quote in a value is doubled, which changes nothing here.
function optionsOf(query) {
  const found = [""];
  let quoted = false;
  for (const char of query) {
    if (char === "'") quoted = !quoted;
    if (char === "&" && !quoted) found.push("");
    else found[found.length - 1] += char;
  }
  return found;
}

// Indents JSON and leaves its values as they are spelled: 1250.00 stays 1250.00. What is no JSON stays as it is.
export function indented(body) {
  try {
    JSON.parse(body);
  } catch {
    return body;
  }
  let depth = 0;
  const line = () => `\n${"  ".repeat(depth)}`;
  return body.replace(/"(?:[^"\\]|\\.)*"|\s+|[{}[\],:]/g, (token, at) => {
    if (token.trim() === "") return "";
    if (token === ",") return `,${line()}`;
    if (token === ":") return ": ";
    if (token === "{" || token === "[") {
      if ("}]".includes(body.slice(at + 1).trimStart()[0])) return token;
      depth += 1;
      return token + line();
    }
    if (token === "}" || token === "]") {
      if ("{[".includes(body.slice(0, at).trimEnd().at(-1))) return token;
      depth -= 1;
      return line() + token;
    }
    return token;
  });
}

// The address in full. Without a service of its own (the embedded sandbox) it is relative to the service root.
export function addressOf({ path }, service) {
  return service === null ? path : `${baseOf(path, service)}${path.startsWith("/") ? "" : "/"}${path}`;
}

// Custom services stand beside the service root.
const baseOf = (path, service) => (path.startsWith("/") ? service.replace(/\/data$/, "") : service);
const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

export function curl(request, service) {
  const { method, path, headers, body } = request;
  const rest = `${path.startsWith("/") ? "" : "/"}${path}`;
  const parts = [
    method === "GET" ? "curl" : `curl -X ${method}`,
    `-H "Authorization: Bearer $TOKEN"`,
    ...Object.entries(headers).map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`),
    ...(body === null ? [] : [`--data-binary ${quoted(body)}`]),
    service === null ? `"$D365_URL"${quoted(rest)}` : quoted(baseOf(path, service) + rest),
  ];
  return parts.join(" \\\n  ");
}

export const milliseconds = (value) => `${value < 10 ? value.toFixed(1) : Math.round(value).toLocaleString("en")} ms`;

export function bytes(value) {
  if (value < 1000) return `${value} B`;
  return value < 1e6 ? `${(value / 1000).toFixed(1)} kB` : `${(value / 1e6).toFixed(1)} MB`;
}

export const counted = (number, thing) => `${number.toLocaleString("en")} ${thing}${number === 1 ? "" : "s"}`;
