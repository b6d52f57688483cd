// The buttons under a cell. The kernel sends the labels, a click sends the index of a button. See buttons.py.

function render({ model, el }) {
  const row = document.createElement("div");
  row.className = "snb-cell-buttons";
  row.setAttribute("role", "group");
  row.setAttribute("aria-label", "Buttons of the bot");
  const problem = document.createElement("div");
  problem.className = "snb-cell-problem";
  problem.setAttribute("role", "alert");
  el.append(row, problem);

  function show({ offer, labels, pressed }) {
    const hadFocus = row.contains(document.activeElement);
    row.replaceChildren(
      ...labels.map((label, index) => {
        const button = document.createElement("button");
        button.type = "button";
        button.className = index === pressed ? "snb-cell-button snb-cell-button-used" : "snb-cell-button";
        button.textContent = label;
        button.disabled = pressed !== null;
        button.onclick = () => {
          for (const other of row.children) other.disabled = true;
          button.classList.add("snb-cell-button-used");
          problem.textContent = "";
          model.send({ type: "press", index, offer });
        };
        return button;
      }),
    );
    if (hadFocus) row.querySelector("button:enabled")?.focus();
  }
  const onMessage = (message) => {
    if (message.type === "problem") problem.textContent = message.text;
    else if (message.type === "offer") show(message);
  };
  model.on("msg:custom", onMessage);
  model.send({ type: "ready" });
  return () => model.off("msg:custom", onMessage);
}

export default { render };
