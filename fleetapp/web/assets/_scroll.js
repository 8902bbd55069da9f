// What scrolls, a wide table or a long text, can be reached and scrolled with the keyboard: where nothing within takes the focus,
// the box itself does, named after data-scroll or its caption. What fits takes no stop of the Tab key.
const BOXES = ".table-responsive, pre, .overflow-auto, .card-body-scrollable, [data-scroll]";
const FOCUSABLE =
  "a[href], button:not([disabled]), input:not([type=hidden]), select, textarea, summary, [tabindex='0']";

function mark(box) {
  const scrolls = box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1;
  const needed = scrolls && !box.querySelector(FOCUSABLE);
  if (needed && !box.hasAttribute("tabindex")) {
    box.tabIndex = 0;
    box.dataset.scrolls = "";
    const name = box.dataset.scroll || box.querySelector("caption")?.textContent.trim();
    if (name && !box.hasAttribute("role")) {
      box.setAttribute("role", "region");
      box.setAttribute("aria-label", name);
    }
  } else if (!needed && "scrolls" in box.dataset) {
    box.removeAttribute("tabindex");
    delete box.dataset.scrolls;
  }
}

export function installScroll() {
  const all = () => document.querySelectorAll(BOXES).forEach(mark);
  all();
  window.addEventListener("resize", all);
  document.addEventListener("htmx:afterSettle", all);
  document.addEventListener("toggle", all, true);
}
