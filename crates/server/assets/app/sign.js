// The reader: documents, fields, guide, review, and the one act at the end.

import { makeAdoption } from "./adopt.js";
import { announce, element, openWork, readCeremony } from "./ceremony.js";
import { openDocuments } from "./documents.js";
import { Fields } from "./fields.js";
import { placeFilled } from "./filled.js";
import { loadHand } from "./mark.js";
import { Pages, pageKey } from "./pages.js";
import { fillReview } from "./review.js";
import { watchSeen } from "./seen.js";
import { Refused, post, timeZone } from "./server.js";
import { PasskeyFailure, usePasskey } from "./webauthn.js";

const ceremony = readCeremony();
const { work, keep, forget } = openWork(ceremony);
const seen = watchSeen(ceremony, work.seen, keep);
const act = /** @type {HTMLButtonElement} */ (element("act"));

/** @type {Pages | null} */
let pages = null;
/** @type {import("./documents.js").OpenDocument[]} */
let documents = [];

const adoption =
  ceremony.role === "signer"
    ? makeAdoption(ceremony, (mark) => {
        work.mark = mark;
        keep();
        fields.refresh();
        progress();
        announce("Your signature is placed.");
        afterAdoption();
      })
    : null;

/** What to do once a signature is adopted: stay at the field, or go on to the review. */
let afterAdoption = () => {};

const fields = new Fields(ceremony, work, {
  onChange() {
    keep();
    progress();
  },
  onMark() {
    const place = /** @type {HTMLElement} */ (document.activeElement);
    afterAdoption = () => place.focus();
    adoption?.ask(work.mark);
  },
});

function progress() {
  const needed = fields.needed();
  const open = needed.filter(({ field }) => !fields.isDone(field));
  const marks = adoption && !work.mark && !open.some(({ field }) => ["signature", "initials"].includes(field.kind.kind));
  const bar = /** @type {HTMLProgressElement} */ (element("guide-bar"));
  bar.max = Math.max(1, needed.length);
  bar.value = needed.length ? needed.length - open.length : 1;
  const texts = {
    fields: `${needed.length - open.length} of ${needed.length} required ${needed.length === 1 ? "field" : "fields"} done`,
    mark: "Your signature is still to be adopted",
    done: needed.length ? "All required fields are done" : "Read the documents, then go on",
  };
  element("guide-text").textContent = open.length ? texts.fields : marks ? texts.mark : texts.done;
  element("next").hidden = open.length === 0;
  element("to-review").classList.toggle("main", open.length === 0);
  element("next").classList.toggle("main", open.length > 0);
}

/**
 * Goes to a field: it is shown large enough, in the middle, and focused.
 * @param {import("./fields.js").Placed} placed
 */
function goTo({ control, field }) {
  pages?.zoomForFields();
  control.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
  control.focus({ preventScroll: true });
  announce(`${field.label}, page ${field.page}`);
}

function goToNext() {
  const open = fields.needed().filter(({ field }) => !fields.isDone(field));
  const at = fields.placed.findIndex(({ control }) => control === document.activeElement);
  const next = open.find((one) => fields.placed.indexOf(one) > at) ?? open[0];
  if (next) goTo(next);
}

function place() {
  const current = pages?.current();
  if (!current) return;
  const several = documents.length > 1 ? `${current.owner.about.name} · ` : "";
  element("place").textContent = `${several}Page ${current.number} of ${current.owner.pdf.numPages}`;
}

function showReview() {
  for (const { field } of fields.placed) fields.tell(field, fields.problemOf(field));
  const [wrong] = fields.wrong();
  if (wrong) {
    goTo(wrong);
    announce(`Before the review: ${fields.problemOf(wrong.field)}`);
    return;
  }
  if (adoption && !work.mark) {
    afterAdoption = showReview;
    adoption.ask(null);
    return;
  }
  if (location.hash !== "#review") history.pushState({ review: true }, "", "#review");
  showView();
}

function showView() {
  const reviewing = location.hash === "#review" && documents.length > 0 && fields.wrong().length === 0;
  element("reader").hidden = reviewing;
  element("review").hidden = !reviewing;
  const steps = document.querySelectorAll(".steps li");
  steps.forEach((step, index) => {
    const current = reviewing ? steps.length - 1 : steps.length - 2;
    step.classList.toggle("done", index < current);
    if (index === current) step.setAttribute("aria-current", "step");
    else step.removeAttribute("aria-current");
  });
  if (!reviewing) {
    pages?.fit();
    return;
  }
  fillReview(ceremony, work, documents, seen.count);
  element("review-error").textContent = "";
  seen.flush();
  scrollTo({ top: 0, behavior: "instant" });
  element("review-title").focus();
}

let acting = false;
async function submit() {
  if (acting) return;
  acting = true;
  act.setAttribute("aria-disabled", "true");
  element("review-error").textContent = "";
  announce("Sending …");
  try {
    await seen.flush();
    const body = {
      session: ceremony.session,
      nonce: ceremony.nonce,
      label: act.textContent,
      consent_sha256: ceremony.consent_sha256,
      documents: documents.map((owner) => ({
        document: owner.about.id,
        sha256: owner.sha256,
        page_count: owner.pdf.numPages,
      })),
      values: fields.values(),
      adopted: adoption ? work.mark : null,
      time_zone: timeZone(),
    };
    const answer = await post(`${ceremony.base}/sign`, { ...body, ...(await assertion(body)) });
    const { next } = await answer.json();
    forget();
    location.replace(next);
  } catch (error) {
    acting = false;
    act.removeAttribute("aria-disabled");
    showFailure(error);
  }
}

/**
 * The passkey's signature over what is handed in, where the recipient signs with one.
 * @param {object} body
 */
async function assertion(body) {
  if (!ceremony.passkey) return {};
  const answer = await post(`${ceremony.base}/sign/challenge`, body);
  const { challenge } = await answer.json();
  announce("Waiting for your passkey …");
  return { assertion: await usePasskey({ ...ceremony.passkey, challenge }) };
}

/** @param {unknown} error */
function showFailure(error) {
  if (error instanceof PasskeyFailure) {
    element("review-error").textContent = error.message;
    announce("");
    return;
  }
  if (!(error instanceof Refused)) throw error;
  if (error.code === "no_answer") {
    element("review-error").textContent =
      "The server did not answer, so we cannot tell whether this arrived. Press the button again: it counts once, however often you press it.";
    return;
  }
  const id = error.pointer?.startsWith("/values/") ? error.pointer.slice("/values/".length) : null;
  const placed = fields.placed.find(({ field }) => field.id === id);
  if (placed) {
    history.replaceState(null, "", location.pathname);
    showView();
    fields.tell(placed.field, error.message);
    goTo(placed);
    return;
  }
  const stays = ["invalid", "field_missing", "busy", "internal_error", "overloaded", "request_timeout", "seal_unavailable", "passkey_refused"];
  const whose = error.pointer?.startsWith("/adopted/") ? "Your signature: " : "";
  if (stays.includes(error.code)) element("review-error").textContent = whose + error.message;
  // The ceremony has moved on: the server knows which page is the right one.
  else location.reload();
}

/** @param {unknown} error */
function showOpenFailure(error) {
  const known = error instanceof Refused;
  if (known && error.hasMovedOn) {
    location.reload();
    return;
  }
  const sentence = known ? error.message : "This browser cannot show the documents. Please use a current version of Chrome, Edge, Firefox or Safari.";
  element("reader-error").textContent = sentence;
  element("place").textContent = "The documents cannot be shown";
  element("guide-text").textContent = "Nothing can be done until the documents are shown";
}

element("next").addEventListener("click", goToNext);
element("to-review").addEventListener("click", () => documents.length && showReview());
element("to-reader").addEventListener("click", () => {
  if (history.state?.review) {
    history.back();
    return;
  }
  history.replaceState(null, "", location.pathname);
  showView();
});
act.addEventListener("click", submit);
for (const [id, step] of /** @type {[string, number][]} */ ([["zoom-in", 1], ["zoom-out", -1]])) {
  element(id).addEventListener("click", () => {
    if (pages) announce(`${pages.zoomBy(step)} percent`);
  });
}
const STAY_EVERY_MS = 5 * 60_000;
let stayedAt = Date.now();
/** Somebody is here: the session must not end under the reader's hands. */
function stay() {
  const [first] = documents;
  if (!first || Date.now() - stayedAt < STAY_EVERY_MS) return;
  stayedAt = Date.now();
  seen.stay(first);
}

for (const sign of ["scroll", "keydown", "pointerdown"]) addEventListener(sign, stay, { passive: true });
addEventListener("popstate", showView);
addEventListener("scroll", place, { passive: true });
addEventListener("pagehide", () => void seen.flush());
addEventListener("pageshow", (event) => {
  // Out of the browser's memory: the act may be done by now, and the server knows.
  if (event.persisted) location.reload();
});

try {
  const [opened] = await Promise.all([openDocuments(ceremony), loadHand()]);
  documents = opened.documents;
  pages = new Pages(opened.pdfjs, documents, element("pages"), (page) => seen.saw(page.owner, page.number));
  const placed = [...ceremony.fields, ...ceremony.filled.map(({ field }) => field)];
  await pages.show(new Set(placed.map((field) => pageKey(field.document, field.page))));
  placeFilled(ceremony, pages);
  fields.place(pages);
  progress();
  place();
  showView();
  document.body.dataset.ready = "yes";
} catch (error) {
  showOpenFailure(error);
}
