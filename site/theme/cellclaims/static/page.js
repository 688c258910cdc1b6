/* Colour switch, menu of narrow windows, filters of long tables, and search results that open at their place. */
"use strict";

(() => {
  const root = document.documentElement;
  const stored = () => { try { return localStorage.getItem("scheme") || ""; } catch { return ""; } };
  const store = (value) => { try { localStorage.setItem("scheme", value); } catch { /* no storage: this page only */ } };
  const paint = (value) => { if (value) root.dataset.scheme = value; else delete root.dataset.scheme; };

  root.classList.add("scripted");
  paint(stored());

  // A page opened as a file cannot read others, so results are shown by title only.
  if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

  // A field above a table of many rows: only rows that contain all words are shown.
  const ROWS = 12;
  const addFilter = (table) => {
    const rows = [...(table.tBodies[0]?.rows ?? [])];
    if (rows.length < ROWS || table.tBodies.length !== 1) return;
    const field = Object.assign(document.createElement("input"), { type: "search", autocomplete: "off" });
    const label = document.createElement("label");
    const count = document.createElement("output");
    const line = Object.assign(document.createElement("div"), { className: "filter" });
    label.append("Filter rows ", field);
    line.append(label, count);
    (table.closest(".scroll") ?? table).before(line);
    field.addEventListener("input", () => {
      const words = field.value.toLowerCase().split(/\s+/u);
      for (const row of rows) row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
      const shown = rows.filter((row) => !row.hidden).length;
      count.textContent = shown === rows.length ? "" : `${shown} of ${rows.length} rows`;
    });
  };

  document.addEventListener("DOMContentLoaded", () => {
    const scheme = document.getElementById("scheme");
    scheme.value = stored();
    scheme.closest("[hidden]").hidden = false;
    scheme.addEventListener("change", () => { store(scheme.value); paint(scheme.value); });

    // Contents next to the text stay open; above the text they are folded.
    const here = document.querySelector(".here details");
    if (here && !matchMedia("(min-width: 86rem)").matches) here.open = false;

    // A formula wider than the window scrolls and must be focusable.
    document.querySelectorAll("main .math").forEach((one) => { if (one.scrollWidth > one.clientWidth) one.tabIndex = 0; });

    document.querySelectorAll("main table").forEach(addFilter);

    // A page that a search result opens is scrolled to the first word found, also inside a folded part.
    setTimeout(() => {
      const hit = location.hash ? null : document.querySelector("main .highlighted");
      if (!hit) return;
      for (let part = hit.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
      hit.scrollIntoView({ block: "center" });
    }, 100);

    const opener = document.querySelector(".opener");
    const menu = document.getElementById("menu");
    opener.hidden = false;
    const show = (open) => { opener.setAttribute("aria-expanded", String(open)); menu.classList.toggle("open", open); };
    opener.addEventListener("click", () => show(opener.getAttribute("aria-expanded") !== "true"));
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && menu.classList.contains("open")) { show(false); opener.focus(); }
    });
  });
})();
