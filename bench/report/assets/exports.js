// Raw data out of the page: JSON, CSV, the badge, and text to copy.

/** One row a seed and epoch: what each epoch scored, as counts. */
function listEpochs() {
  return DATA.sections.flatMap((section) =>
    section.seeds.flatMap((seed, place) =>
      section.validation_errors[place].map((errors, at) => ({
        iteration: section.iteration,
        conditions: section.conditions,
        fingerprint: section.fingerprint,
        seed,
        outcome: section.outcomes[place],
        epoch: at + 1,
        validation_correct: section.images - errors,
        validation_total: section.images,
        validation_loss: section.validation_loss[place][at],
        training_correct: section.training_images - section.training_errors[place][at],
        training_total: section.training_images,
        training_loss: section.training_loss[place][at],
      })),
    ),
  );
}

/** Comma-separated values as RFC 4180 has them; no cell begins as a spreadsheet's formula would. */
function writeCsv(rows) {
  const quote = (value) => {
    const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const columns = Object.keys(rows[0] ?? {});
  return [columns, ...rows.map((row) => Object.values(row))].map((row) => `${row.map(quote).join(",")}\r\n`).join("");
}

const downloads = {
  json: () => ["drilldown.json", "application/json", JSON.stringify(DATA)],
  csv: () => ["drilldown.csv", "text/csv", writeCsv(listEpochs())],
  badge: (button) => ["drilldown.svg", "image/svg+xml", button.dataset.content],
};

function download(button) {
  const [name, type, content] = downloads[button.dataset.download](button);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Copy a text; where the browser has no clipboard for a file, by a selection. */
async function copy(button) {
  const text = button.dataset.copy ?? document.getElementById(button.dataset.copyFrom).textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    button.focus();
  }
  const before = button.textContent;
  button.textContent = "Copied";
  document.getElementById("said").textContent = "Copied to the clipboard";
  setTimeout(() => {
    button.textContent = before;
  }, 1500);
}

function listenForExports() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button?.dataset.download) download(button);
    else if (button?.dataset.copy || button?.dataset.copyFrom) copy(button);
  });
}
