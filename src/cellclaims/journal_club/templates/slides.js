"use strict";
(() => {
  const slides = [...document.querySelectorAll(".slide")];
  const place = document.getElementById("place");
  const back = document.getElementById("back");
  const next = document.getElementById("next");
  const smallest = 0.6;
  let current = 0;

  // letters get smaller until the slide and both bars fit the window; on a telephone the slide scrolls
  const fit = () => {
    const slide = slides[current];
    slide.style.fontSize = "";
    if (window.innerWidth <= 768) return;
    for (let size = 1; size >= smallest; size -= 0.025) {
      slide.style.fontSize = `${size}em`;
      if (document.documentElement.scrollHeight <= window.innerHeight) break;
    }
  };

  const show = (wanted, turned) => {
    current = Math.min(Math.max(wanted, 0), slides.length - 1);
    slides.forEach((slide, i) => { slide.hidden = i !== current; });
    place.textContent = `${current + 1} of ${slides.length}`;
    back.disabled = current === 0;
    next.disabled = current === slides.length - 1;
    fit();
    if (!turned) return;
    history.replaceState(null, "", `#${slides[current].id}`);
    window.scrollTo(0, 0);
    slides[current].focus({ preventScroll: true });
  };

  const asked = () => Math.max(slides.findIndex((slide) => `#${slide.id}` === location.hash), 0);
  const turns = { ArrowRight: 1, ArrowLeft: -1, PageDown: 1, PageUp: -1, " ": 1 };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === " " && event.target.closest("summary, button, a")) return;
    const box = event.target.closest(".scroll");
    if (event.key.startsWith("Arrow") && box && box.scrollWidth > box.clientWidth) return; // a wide table scrolls
    if (event.key in turns) show(current + (event.shiftKey && event.key === " " ? -1 : turns[event.key]), true);
    else if (event.key === "Home") show(0, true);
    else if (event.key === "End") show(slides.length - 1, true);
    else return;
    event.preventDefault();
  });
  back.addEventListener("click", () => show(current - 1, true));
  next.addEventListener("click", () => show(current + 1, true));
  window.addEventListener("hashchange", () => show(asked(), true));
  window.addEventListener("resize", fit);
  window.addEventListener("beforeprint", () => slides.forEach((slide) => { slide.style.fontSize = ""; }));
  window.addEventListener("afterprint", fit);
  document.body.classList.add("led");
  show(asked(), false);
})();
