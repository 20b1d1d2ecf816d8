// Tables made from the data when they are opened: the numbers behind a chart, and every run.

/** A plain table of text; the first cell of a row is its heading. */
function makeTable({ columns, rows }, name) {
  const table = document.createElement("table");
  table.setAttribute("aria-label", name);
  const head = table.createTHead().insertRow();
  for (const column of columns) head.append(cell("th", column, "col"));
  const body = table.createTBody();
  for (const row of rows) {
    const line = body.insertRow();
    row.forEach((text, at) => line.append(at ? cell("td", text) : cell("th", text, "row")));
  }
  return table;
}

function cell(tag, text, scope) {
  const element = document.createElement(tag);
  element.textContent = text;
  if (scope) element.scope = scope;
  element.className = /^[−+\d.,\s%—]+$/.test(text) ? "n" : "";
  return element;
}

/** The numbers behind each chart, on opening; a chart that was never in view is drawn first. */
function fillNumbers() {
  for (const details of document.querySelectorAll("details.numbers"))
    details.addEventListener("toggle", () => {
      const space = details.querySelector("[data-numbers]");
      if (!details.open || !space || space.firstChild) return;
      const { figure } = details.closest("figure");
      if (!figure.svg) figure.draw();
      space.append(makeTable(figure.numbers, figure.element.dataset.description));
    });
}

/** What is known of each run, as text to show and as a value to sort by. */
function listRuns(section) {
  const last = (values) => values.at(-1);
  return section.seeds.map((seed, place) => {
    const errors = section.validation_errors[place];
    const window = section.minima[place] === null ? [] : errors.slice(-section.window);
    const training = last(section.training_errors[place]);
    return {
      seed,
      outcome: OUTCOMES[section.outcomes[place]].word,
      lowest: section.minima[place],
      window: window.map((wrong) => format.count(section.images - wrong)).join("  "),
      best: section.bests[place],
      best_epoch: section.best_epochs[place],
      first: section.firsts[place],
      training: training === undefined ? null : section.training_images - training,
      seconds: section.seconds[place],
      commit: section.commits[section.commit_of[place]],
      command: section.commands[section.commit_of[place]].replaceAll("{seed}", seed),
    };
  });
}

const shown = (write) => (value, kind) =>
  kind === "display" || kind === "filter" ? (value === null ? ABSENT : write(value)) : (value ?? -1);

/** DataTables takes text for HTML unless it is told otherwise: whatever comes from a ledger is text. */
const asText = DataTable.render.text();

function runColumns(section) {
  const accuracy = shown((correct) => `${format.percent(correct, section.images)} (${format.count(correct)})`);
  return [
    { data: "seed", title: "Seed", className: "n" },
    { data: "outcome", title: "Run", render: asText },
    { data: "lowest", title: `Lowest of last ${section.window}`, className: "n", render: accuracy },
    { data: "window", title: `Last ${section.window}, correct`, className: "n", orderable: false },
    { data: "best", title: "Best epoch", className: "n", render: accuracy },
    { data: "best_epoch", title: "In epoch", className: "n", render: shown(String) },
    { data: "first", title: "First at target", className: "n", render: shown((epoch) => `epoch ${epoch}`) },
    {
      data: "training", title: "Training at last", className: "n",
      render: shown((correct) => format.percent(correct, section.training_images)),
    },
    { data: "seconds", title: "Time", className: "n", render: shown(format.seconds) },
    { data: "commit", title: "Commit", render: asText },
    { data: "command", title: "Reproduce", className: "command", orderable: false, render: asText },
  ];
}

/** Rows of a runs table before its reader pages on. */
const RUNS_A_PAGE = 25;

/** Every run of an iteration: sorted by any column, searched, filtered by outcome. */
function makeRunsTable(space) {
  const section = DATA.sections.find((each) => each.anchor === space.dataset.runs);
  const table = document.createElement("table");
  table.setAttribute("aria-label", `Runs of ${section.name}`);
  space.append(table);
  const made = new DataTable(table, {
    data: listRuns(section),
    columns: runColumns(section),
    columnDefs: [{ targets: "_all", createdCell: (element, value) => { if (element.classList.contains("command")) setCommand(element, value); } }],
    deferRender: true,
    drawCallback: () => highlight.light(section), // rows of a page that was not drawn before
    autoWidth: false,
    pageLength: RUNS_A_PAGE,
    paging: section.seeds.length > RUNS_A_PAGE,
    lengthMenu: [RUNS_A_PAGE, 100, { label: "All", value: -1 }],
    layout: { topStart: () => outcomeFilter(section, () => made), topEnd: "search", bottomStart: "info", bottomEnd: "paging" },
    language: { search: "Search", lengthMenu: "_MENU_ a page", info: "_START_ to _END_ of _TOTAL_ runs", infoFiltered: "(of _MAX_)" },
  });
  const wrap = document.createElement("div");
  wrap.className = "scroll";
  wrap.tabIndex = 0;
  wrap.setAttribute("role", "region");
  wrap.setAttribute("aria-label", `Runs of ${section.name}, scrolls sideways`);
  table.replaceWith(wrap);
  wrap.append(table);
  // DataTables' headings say that they are buttons, and answer to Enter alone
  table.tHead.addEventListener("keydown", (event) => {
    if (event.key !== " " || !event.target.matches(".dt-column-order")) return;
    event.preventDefault();
    event.target.click();
  });
  table.tBodies[0].addEventListener("click", (event) => {
    const row = made.row(event.target.closest("tr")).data();
    if (row && !event.target.closest("button")) highlight.pin(section, row.seed);
  });
}

function setCommand(element, command) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.dataset.copy = command;
  button.title = command;
  button.textContent = "Copy command";
  button.setAttribute("aria-label", `Copy the command: ${command}`);
  element.replaceChildren(button);
}

function outcomeFilter(section, table) {
  const label = document.createElement("label");
  const select = document.createElement("select");
  const words = [...new Set(section.outcomes)].map((outcome) => OUTCOMES[outcome].word);
  for (const word of ["all", ...words]) select.add(new Option(word === "all" ? "all runs" : word, word));
  select.addEventListener("change", () => {
    table().column(1).search((value) => select.value === "all" || value === select.value).draw();
  });
  label.append("Show ", select);
  return label;
}

/** Keep a table's place before it is made: what is below must not move from under a pointer. */
function keepPlace(space) {
  const runs = DATA.sections.find((each) => each.anchor === space.dataset.runs).seeds.length;
  space.style.setProperty("--rows", Math.min(runs, RUNS_A_PAGE));
  space.classList.toggle("paged", runs > RUNS_A_PAGE);
}

/** The runs table of each section, once it comes near. */
function watchRuns() {
  const seen = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        seen.unobserve(target);
        makeRunsTable(target);
      }
    },
    { rootMargin: "200px" },
  );
  for (const space of document.querySelectorAll("[data-runs]")) {
    keepPlace(space);
    seen.observe(space);
  }
}
