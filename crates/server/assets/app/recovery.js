// Recovery codes: to a file, or to paper.

import "./page.js";

const list = document.getElementById("recovery-codes");
const download = document.getElementById("download");

function save() {
  const codes = Array.from(list?.querySelectorAll("code") ?? [], (code) => code.textContent ?? "");
  const head = `Countersign recovery codes of ${download?.dataset.email ?? ""}\n${location.host}\nEach works once.\n\n`;
  const file = new Blob([head, codes.join("\n"), "\n"], { type: "text/plain" });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = "countersign-recovery-codes.txt";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1_000);
}

if (list) {
  const keeping = document.getElementById("keeping");
  if (keeping) keeping.hidden = false;
  download?.addEventListener("click", save);
  document.getElementById("print")?.addEventListener("click", () => print());
}
