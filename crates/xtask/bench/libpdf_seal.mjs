// Peer of the bench: @libpdf/core seals the same PDF with one attachment and prints its CPU milliseconds per file.
// node libpdf_seal.mjs INPUT.pdf KEY.p12 TRAIL.json COUNT
import { readFileSync } from "node:fs";
import { P12Signer, PDF } from "@libpdf/core";

const [input, key, trail, count] = process.argv.slice(2);
const bytes = readFileSync(input);
const attachment = new Uint8Array(readFileSync(trail));
const signer = await P12Signer.create(readFileSync(key), "bench");

async function seal() {
  const pdf = await PDF.load(new Uint8Array(bytes));
  pdf.addAttachment("countersign-trail.json", attachment, { mimeType: "application/json" });
  const { bytes: sealed } = await pdf.sign({ signer, reason: "bench" });
  return sealed;
}

for (let warm = 0; warm < 5; warm += 1) await seal();
const before = process.cpuUsage();
let size = 0;
for (let round = 0; round < Number(count); round += 1) size = (await seal()).length;
const { user, system } = process.cpuUsage(before);
console.log(JSON.stringify({ cpu_ms_per_file: (user + system) / 1000 / Number(count), size_bytes: size }));
