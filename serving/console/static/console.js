// Shortcuts, photos on request, a confirmation before forms that ask for one. Every page works without it.
"use strict";
(() => {
  const typing = (node) => node instanceof HTMLElement && (node.isContentEditable || node.matches("textarea, select, input:not([type=checkbox], [type=radio])"));
  const press = (key) => {
    const found = document.querySelector(`[data-key="${key}"]`);
    if (!found) return false;
    if (found.disabled) return true;
    found.focus();
    found.click();
    return true;
  };
  const rows = () => [...document.querySelectorAll("[data-row]")];
  const step = (by) => {
    const all = rows();
    if (!all.length) return;
    const at = all.findIndex((row) => row.contains(document.activeElement));
    const next = all[Math.min(Math.max(at + by, 0), all.length - 1)];
    (next.querySelector("a") || next).focus();
  };
  let went = -Infinity;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || document.querySelector("dialog[open]")) return;
    const key = event.key;
    if (event.timeStamp - went < 1500) {
      went = -Infinity;
      const there = { o: "/console", q: "/console/queue" }[key];
      if (there) { event.preventDefault(); location.assign(there); return; }
    }
    if (key === "g") { went = event.timeStamp; return; }
    if (key === "?") { document.getElementById("keys").showModal(); event.preventDefault(); return; }
    if (key === "j" || key === "k") { step(key === "j" ? 1 : -1); event.preventDefault(); return; }
    if (/^[a-z]$/.test(key) && press(key)) event.preventDefault();
  });
  document.addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest("[data-unblur]") : null;
    if (!button) return;
    const shown = document.querySelectorAll(".photo").length && !document.querySelector(".photo.clear");
    document.querySelectorAll(".photo").forEach((photo) => photo.classList.toggle("clear", Boolean(shown)));
    button.setAttribute("aria-pressed", String(Boolean(shown)));
  });
  document.addEventListener("change", (event) => {
    const field = event.target;
    if (!(field instanceof HTMLElement)) return;
    if (field.matches("[data-submit]")) field.closest("form").requestSubmit();
    if (field.matches("[data-all]")) {
      field.closest("form").querySelectorAll('input[type="checkbox"][name="pick"]').forEach((box) => { box.checked = field.checked; });
    }
  });
  document.addEventListener("submit", (event) => {
    const form = event.target;
    const asked = event.submitter && event.submitter.dataset.confirm || form.dataset.confirm;
    if (asked && !window.confirm(asked)) { event.preventDefault(); return; }
    // A second click must not send the form twice.
    setTimeout(() => form.querySelectorAll("button").forEach((button) => { button.disabled = true; }), 0);
    form.classList.add("sending");
  });
  window.addEventListener("pageshow", () => document.querySelectorAll("form.sending button").forEach((button) => { button.disabled = false; }));
})();
