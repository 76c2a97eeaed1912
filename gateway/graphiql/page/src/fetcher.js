// One POST an operation. An answer that is not JSON (a proxy's error page, say) is shown as what it is.
const ACCEPT = "application/graphql-response+json, application/json;q=0.9";

export function createFetcher(endpoint) {
  return async ({ query, variables, operationName }, { headers } = {}) => {
    const response = await fetch(endpoint, {
      method: "POST",
      headers: { accept: ACCEPT, "content-type": "application/json", ...headers },
      body: JSON.stringify({ query, variables, operationName }),
    });
    const text = await response.text();
    try {
      return JSON.parse(text);
    } catch {
      const message = `HTTP ${response.status}: the answer is not JSON`;
      return { errors: [{ message, extensions: { body: text.slice(0, 1000) } }] };
    }
  };
}
