// The approver's keyboard: J and K walk through the cards, A approves the one that has the focus, R asks why it is refused.

const cards = [...document.querySelectorAll("[data-inbox] article")];

function move(step) {
  const here = cards.findIndex((card) => card.contains(document.activeElement));
  const next = cards[Math.min(Math.max(here + step, 0), cards.length - 1)];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
  const key = event.key.toLowerCase();
  if (key === "j") move(1);
  else if (key === "k") move(-1);
  else if (key === "a" && !event.repeat) {
    document.activeElement.closest("[data-inbox] article")?.querySelector("[data-approve]").requestSubmit();
  } else if (key === "r") {
    const ask = document.activeElement.closest("[data-inbox] article")?.querySelector("[data-reject] details");
    if (!ask) return;
    event.preventDefault(); // the letter must not land in the field
    ask.open = true;
    ask.querySelector("textarea").focus();
  }
});
