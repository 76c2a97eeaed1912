// The page without a build: a text area, Run, the answer. Nothing but what a browser has.
const MOST = 1_000_000; // characters of an answer that are shown: introspection of a whole catalogue has a hundred times as many
const $ = (id) => document.getElementById(id);
const text = (value) => (value ? JSON.stringify(value, null, 2) : "");
const parsed = (id) => ($(id).value.trim() ? JSON.parse($(id).value) : {});
const page = location.pathname.replace(/\/$/, "");
const config = await (await fetch(`${page}/config.json`)).json();

function show({ query, variables }) {
  $("query").value = query;
  $("variables").value = text(variables);
}

async function run() {
  $("result").textContent = "…";
  try {
    const response = await fetch(config.endpoint, {
      method: "POST",
      headers: { accept: "application/json", "content-type": "application/json", ...parsed("headers") },
      body: JSON.stringify({ query: $("query").value, variables: parsed("variables") }),
    });
    const answer = await response.text();
    const more = answer.length - MOST;
    if (more > 0) $("result").textContent = `${answer.slice(0, MOST)}\n… ${more.toLocaleString("en")} more characters`;
    else {
      $("result").textContent = response.headers.get("content-type")?.includes("json")
        ? text(JSON.parse(answer))
        : `HTTP ${response.status}\n${answer}`;
    }
  } catch (error) {
    $("result").textContent = String(error);
  }
}

for (const [index, { title }] of config.examples.entries()) $("example").append(new Option(title, index));
$("example").addEventListener("change", () => show(config.examples[$("example").value]));
$("headers").value = text(config.headers);
if (config.examples.length) show(config.examples[0]);
if (config.apis.length > 1) {
  for (const { title, page } of config.apis) $("api").append(new Option(title, page));
  $("api").value = page;
  $("api").addEventListener("change", () => location.assign($("api").value));
  $("apis").hidden = false;
}

$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  run();
});
$("form").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) run();
});
