/* The switch of colours, the menu of narrow windows, and a search that fetches nothing where it cannot. */
"use strict";

(() => {
  const root = document.documentElement;
  const stored = () => { try { return localStorage.getItem("scheme") || ""; } catch { return ""; } };
  const store = (value) => { try { localStorage.setItem("scheme", value); } catch { /* no storage: this page only */ } };
  const paint = (value) => { if (value) root.dataset.scheme = value; else delete root.dataset.scheme; };

  root.classList.add("scripted");
  paint(stored());

  // A page that is opened as a file may not read another: results are then shown by their titles alone.
  if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

  document.addEventListener("DOMContentLoaded", () => {
    const scheme = document.getElementById("scheme");
    scheme.value = stored();
    scheme.closest("[hidden]").hidden = false;
    scheme.addEventListener("change", () => { store(scheme.value); paint(scheme.value); });

    // Contents beside the text stay open; above the text they are one line until somebody asks.
    const here = document.querySelector(".here details");
    if (here && !matchMedia("(min-width: 86rem)").matches) here.open = false;

    // A formula that is wider than the window scrolls: a keyboard must reach it.
    document.querySelectorAll("main .math").forEach((one) => { if (one.scrollWidth > one.clientWidth) one.tabIndex = 0; });

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
