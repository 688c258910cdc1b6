/* The one script of pages and indexes: tables that sort, and an index that says how many of its reports it shows.
   It asks the network for nothing, and only moves, counts and hides what is there: it makes no HTML of text. */
"use strict";

/* As the reports print it: a true minus sign, spaces between thousands; "a17", "12-month" and 2026-11-20 are words. */
const NUMBER = /(?<![\d.\p{L}])-?(?:∞|\d{1,3}(?: \d{3})+(?!\d)|\d+)(?:\.\d+)?(?:e[-+]\d+)?/gu;
const ABOVE = /^(?:over|more than|at least|[>≥])/iu;
const BELOW = /^(?:under|less than|at most|[<≤])/iu;
const BESIDE = /^(?:p (?=[=<>]))?(?:over|more than|at least|under|less than|at most|up to|about|[=<>≤≥~±])?\s*/iu;
const collator = new Intl.Collator(document.documentElement.lang, { numeric: true, sensitivity: "base" });

/* What a cell is compared by: its numbers in the order in which they are printed, else its words, else nothing. */
function valueOf(cell) {
  const words = cell.textContent.trim();
  const text = words.replaceAll("−", "-").replace(/\s/gu, " ");
  const said = text.replace(BESIDE, "");
  const found = [...said.matchAll(NUMBER)];
  const starts = found.length > 0 && found[0].index === 0 && !/^(?:\p{L}|-[\p{L}\d])/u.test(said.slice(found[0][0].length));
  if (!starts) return { words: /^[-–—]?$/u.test(text) ? "" : words };
  const [first, ...others] = found.map(([digits]) => Number(digits.replaceAll(" ", "").replace("∞", "Infinity")));
  const beside = Number(ABOVE.test(text.replace(/^p /u, ""))) - Number(BELOW.test(text.replace(/^p /u, "")));
  return { words, numbers: [first, beside, ...others] };
}

/* Below zero if `one` comes first; numbers before words in a column of numbers, cells without either always last. */
function compare(one, other, ofNumbers, sign) {
  const rank = (value) => (value.words === "" ? 2 : ofNumbers && !value.numbers ? 1 : 0);
  const apart = rank(one) - rank(other);
  if (apart !== 0 || rank(one) === 2) return apart;
  if (!ofNumbers || rank(one) === 1) return sign * collator.compare(one.words, other.words);
  const differs = one.numbers.findIndex((number, place) => number !== other.numbers[place]);
  if (differs < 0) return sign * (one.numbers.length - other.numbers.length);
  return sign * (one.numbers[differs] > (other.numbers[differs] ?? -Infinity) ? 1 : -1);
}

/* The rows by a column; the sort is stable, so that equal rows stay as they are printed. */
function sorted(rows, column, sign) {
  const values = new Map(rows.map((row) => [row, valueOf(row.cells[column])]));
  const filled = [...values.values()].filter((value) => value.words !== "");
  const ofNumbers = 2 * filled.filter((value) => value.numbers).length > filled.length;
  return rows.toSorted((one, other) => compare(values.get(one), values.get(other), ofNumbers, sign));
}

/* Put a button into each heading: up, down, and at the third press as printed. */
function makeSortable(table) {
  const body = table.tBodies[0];
  const printed = [...body.rows];
  const headings = [...table.tHead.rows[0].cells];
  const next = { none: "ascending", ascending: "descending", descending: "none" };
  headings.forEach((heading, column) => {
    if (heading.textContent.trim() === "") return;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const order = next[heading.ariaSort ?? "none"];
      for (const one of headings) one.removeAttribute("aria-sort");
      if (order !== "none") heading.setAttribute("aria-sort", order);
      body.append(...(order === "none" ? printed : sorted(printed, column, order === "ascending" ? 1 : -1)));
    });
  });
}

/* One line of headings over rows that have a cell for each. */
function canSort(table) {
  if (table.tHead?.rows.length !== 1 || table.tBodies.length !== 1 || table.tBodies[0].rows.length < 2) return false;
  const cells = [...table.rows].map((row) => [...row.cells]);
  return cells.every((row) => row.length === cells[0].length && row.every((cell) => cell.colSpan * cell.rowSpan === 1));
}

/* An index: reports by words, beside the filters that its style sheet makes; and how many are shown. */
function keepCount(index) {
  const [find, all, said] = ["input", "button", "output"].map((name) => index.querySelector(name));
  const cards = [...document.querySelectorAll(".card")];
  const lines = new Map([...document.querySelectorAll(".line")].map((line) => [line.dataset.report, line]));
  const update = () => {
    const sought = find.value.toLowerCase().split(/\s+/u);
    for (const card of cards) {
      const line = lines.get(card.id);
      const text = `${card.id} ${card.textContent} ${line?.textContent ?? ""}`.toLowerCase();
      card.hidden = !sought.every((word) => text.includes(word));
      if (line) line.hidden = card.hidden;
    }
    const shown = cards.filter((card) => card.getClientRects().length > 0).length;
    said.textContent = shown === cards.length ? `all ${shown} reports shown` : `${shown} of ${cards.length} reports shown`;
  };
  document.addEventListener("input", update);
  all.addEventListener("click", () => {
    find.value = "";
    for (const radio of document.querySelectorAll(".facets [id$='-all']")) radio.checked = true;
    update();
  });
  index.hidden = false;
  update();
}

for (const table of document.querySelectorAll("table")) if (canSort(table)) makeSortable(table);
for (const index of document.querySelectorAll(".finder")) keepCount(index);
