// The link page: shows the step that the session is at, and requests the next one. What comes from the gateway is only
// ever put into the page as text.
const base = location.pathname.replace(/\/+$/, "");
const $ = (id) => document.getElementById(id);
const SECTIONS = ["address", "sign-in", "check", "done"];
const SECTION_OF = {
  new: "address",
  addressed: "sign-in",
  signing_in: "sign-in",
  proved: "check",
  checked: "check",
  linked: "done",
};
const MARKS = { ok: ["✓", "passed"], warning: ["!", "warning"], problem: ["✗", "problem"] };
const NAMES = {
  environment: "Environment",
  "sign-in": "Token",
  service: "Access",
  user: "User",
  roles: "Roles",
  companies: "Companies",
  rights: "Rights",
  $metadata: "Metadata",
  time: "Time",
};
const OFFLINE = { message: "The gateway cannot be reached.", hint: "Try again." };

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

/** Sends a request; returns the response, or throws the problem that the gateway reports. */
async function send(step, body) {
  const options = body === undefined ? {} : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let response;
  try {
    response = await fetch(`${base}/${step}`, { cache: "no-store", ...options });
  } catch {
    throw OFFLINE;
  }
  if (response.ok) return response;
  const answer = await response.json().catch(() => null);
  throw answer?.error ?? OFFLINE;
}

/** Shows a problem; without one, none. */
function report(problem) {
  $("problem").replaceChildren();
  for (const field of document.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
  if (!problem) return;
  $("problem").append(element("p", "", problem.message));
  if (problem.hint) $("problem").append(element("p", "hint", problem.hint));
  if (problem.code === "LINK_TENANT") $("more").open = true;
  const field = problem.field && document.querySelector(`input[name="${CSS.escape(problem.field)}"]`);
  if (!field) return;
  field.setAttribute("aria-invalid", "true");
  field.closest("details")?.setAttribute("open", "");
  field.focus();
}

let shown = null;

/** Shows the step that a session is at; the heading gets the focus if that is another one than before. */
function show(state, section = SECTION_OF[state.phase]) {
  if (state.title) $("title").textContent = `Link the environment “${state.title}”`;
  for (const name of SECTIONS) $(name).hidden = name !== section;
  for (const item of $("progress").children) {
    const at = SECTIONS.indexOf(item.dataset.step) - SECTIONS.indexOf(section);
    item.className = at < 0 || section === "done" ? "past" : "";
    if (at === 0) item.setAttribute("aria-current", "step");
    else item.removeAttribute("aria-current");
  }
  for (const host of document.querySelectorAll(".host")) host.textContent = state.host ?? "";
  $("own").hidden = state.application !== "own";
  $("callback").textContent = state.callback;
  $("client").textContent = state.client ?? "";
  $("register").hidden = !state.client;
  if (state.url && !$("url").value) $("url").value = state.url;
  if (state.clientId && !$("client_id").value) $("client_id").value = state.clientId;
  $("who").textContent = state.signedIn ? `${state.signedIn} administers it.` : "";
  showSteps(state.steps ?? []);
  showVerdict(state);
  showEnd(state);
  report(state.problem);
  if (shown && shown !== section) $(`${section}-title`).focus();
  shown = section;
}

function showSteps(steps) {
  $("steps").replaceChildren(...steps.map(stepItem));
}

function stepItem(step) {
  const [mark, meaning] = MARKS[step.status] ?? MARKS.problem;
  const item = element("li", step.status === "problem" ? "problem-step" : step.status);
  const sign = element("span", "mark", mark);
  sign.setAttribute("role", "img");
  sign.setAttribute("aria-label", meaning);
  const body = element("div");
  body.append(element("b", "", NAMES[step.name] ?? step.name), element("p", "text", step.text));
  if (step.hint) body.append(element("p", "hint", step.hint));
  item.append(sign, body);
  return item;
}

function showVerdict(state) {
  const isChecked = state.phase === "checked";
  $("finish").hidden = !isChecked;
  $("again").hidden = false;
  const failed = !isChecked && (state.steps ?? []).length > 0;
  $("verdict").textContent = isChecked ? "Everything works." : failed ? "Not everything works yet. Mend what is marked, and check again." : "";
}

function showEnd(state) {
  if (state.phase !== "linked") return;
  $("environment").textContent = `Its name at the gateway is ${state.environment}.`;
  $("return").hidden = !state.return;
  $("after").hidden = Boolean(state.return);
  if (state.return) $("return").href = state.return;
}

/** Runs a step with its button disabled, so that it is not requested twice. */
async function busy(button, step) {
  if (button.disabled) return;
  button.disabled = true;
  button.classList.add("waiting");
  try {
    await step();
  } catch (problem) {
    report(problem.message ? problem : OFFLINE);
  } finally {
    button.disabled = false;
    button.classList.remove("waiting");
  }
}

async function check() {
  report(null);
  showSteps([]);
  $("verdict").textContent = "Checking…";
  $("finish").hidden = true;
  $("steps").setAttribute("aria-busy", "true");
  try {
    const response = await send("check", {});
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) take(JSON.parse(line));
    }
  } catch (problem) {
    $("verdict").textContent = "";
    throw problem;
  } finally {
    $("steps").setAttribute("aria-busy", "false");
  }
}

function take(line) {
  if (line.error) {
    $("verdict").textContent = "";
    report(line.error);
  } else if (line.step) $("steps").append(stepItem(line.step));
  else show(line.state);
}

$("address-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.currentTarget;
  busy(form.querySelector("button"), async () => {
    report(null);
    const state = await (await send("address", Object.fromEntries(new FormData(form)))).json();
    $("client_secret").value = "";
    show(state);
  });
});
$("begin").addEventListener("click", (event) =>
  busy(event.currentTarget, async () => {
    const { location: address } = await (await send("sign-in", {})).json();
    location.assign(address);
  }),
);
$("again").addEventListener("click", (event) => busy(event.currentTarget, check));
$("finish").addEventListener("click", (event) =>
  busy(event.currentTarget, async () => {
    const state = await (await send("finish", {})).json();
    show(state);
    if (state.return) location.assign(state.return);
  }),
);
for (const button of document.querySelectorAll(".other-address")) {
  button.addEventListener("click", async () => {
    try {
      show(await (await send("state")).json(), "address");
      report(null);
    } catch (problem) {
      report(problem);
    }
  });
}

try {
  const state = await (await send("state")).json();
  show(state);
  if (state.phase === "proved" && !state.steps.length) await busy($("again"), check);
} catch (problem) {
  report(problem.message ? problem : OFFLINE);
}
