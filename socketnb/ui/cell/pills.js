// The buttons under a cell. The kernel says which there are; a click says which was pressed.

function render({ model, el }) {
  const row = document.createElement("div");
  row.className = "snb-pills";
  row.setAttribute("role", "group");
  row.setAttribute("aria-label", "What the bot offers");
  const problem = document.createElement("div");
  problem.className = "snb-pills-problem";
  problem.setAttribute("role", "alert");
  el.append(row, problem);

  function show({ offer, labels, pressed }) {
    const focused = row.contains(document.activeElement);
    row.replaceChildren(
      ...labels.map((label, n) => {
        const pill = document.createElement("button");
        pill.type = "button";
        pill.className = n === pressed ? "snb-pill snb-pill-used" : "snb-pill";
        pill.textContent = label;
        pill.disabled = pressed !== null;
        pill.onclick = () => {
          for (const other of row.children) other.disabled = true;
          pill.classList.add("snb-pill-used");
          problem.textContent = "";
          model.send({ press: n, of: offer });
        };
        return pill;
      }),
    );
    if (focused) row.querySelector("button:enabled")?.focus();
  }
  const hear = (message) => {
    if (message.problem) problem.textContent = message.problem;
    else if (message.labels) show(message);
  };
  model.on("msg:custom", hear);
  model.send({ ask: true });
  return () => model.off("msg:custom", hear);
}

export default { render };
