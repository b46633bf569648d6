"use strict";
const make = (name, words) => Object.assign(document.createElement(name), {textContent: words});
const order = new Intl.Collator(undefined, {numeric: true});
const number = cell => parseFloat(cell.replaceAll(",", ""));
for (const table of document.querySelectorAll("table.sorted")) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells], rows = [...body.rows];
  const texts = new Map(rows.map(row => [row, row.textContent.toLowerCase()]));
  const said = make("span", "");
  said.setAttribute("role", "status");
  heads.forEach((head, place) => {
    const button = make("button", head.textContent), numeric = head.classList.contains("n");
    button.type = "button";
    head.replaceChildren(button);
    button.onclick = () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach(each => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const value = row => row.cells[place].textContent;
      const compare = (a, b) => {
        if (!value(a) || !value(b)) return !value(a) - !value(b);
        const found = numeric ? number(value(a)) - number(value(b)) : order.compare(value(a), value(b));
        return (up ? 1 : -1) * (found || 0);
      };
      body.replaceChildren(...rows.slice().sort(compare));
    };
  });
  const field = make("input", ""), label = make("label", "Show rows with "), line = make("div", "");
  field.type = "search";
  label.append(field);
  line.className = "filter";
  line.append(label, said);
  field.oninput = () => {
    const wanted = field.value.toLowerCase();
    let count = 0;
    for (const row of rows) count += !(row.hidden = !texts.get(row).includes(wanted));
    said.textContent = wanted ? `${count} of ${rows.length} rows` : "";
  };
  table.parentElement.before(line);
}
for (const log of document.querySelectorAll(".end")) log.scrollTop = log.scrollHeight;
for (const command of document.querySelectorAll("pre.command")) {
  const button = make("button", "Copy");
  button.type = "button";
  button.className = "copy";
  button.onclick = async () => {
    getSelection().selectAllChildren(command);
    try {
      await navigator.clipboard.writeText(command.textContent);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Selected: copy it with the keyboard";
    }
  };
  command.after(button);
}
