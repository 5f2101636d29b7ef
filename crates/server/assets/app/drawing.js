// Drawing a signature: strokes of whole-numbered points in a fixed box, which is also what is sent and sealed.

const LONGEST_BYTES = 58_000;

/**
 * @typedef {object} Drawing
 * @property {number} width
 * @property {number} height
 * @property {[number, number][][]} strokes
 */

/**
 * @param {HTMLCanvasElement} canvas
 * @param {() => void} onChange
 */
export function makePad(canvas, onChange) {
  const context = canvas.getContext("2d");
  /** @type {[number, number][][]} */
  let strokes = [];
  /** @type {number | null} */
  let pointer = null;

  /** @param {PointerEvent} event @returns {[number, number]} */
  const point = (event) => {
    const box = canvas.getBoundingClientRect();
    const within = (/** @type {number} */ value, /** @type {number} */ most) => Math.round(Math.max(0, Math.min(most, value)));
    return [
      within(((event.clientX - box.left) / box.width) * canvas.width, canvas.width),
      within(((event.clientY - box.top) / box.height) * canvas.height, canvas.height),
    ];
  };

  function paint() {
    if (!context) return;
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.lineWidth = 6;
    context.lineCap = "round";
    context.lineJoin = "round";
    context.strokeStyle = "#102a6b";
    for (const stroke of strokes) {
      context.beginPath();
      stroke.forEach(([x, y], index) => (index === 0 ? context.moveTo(x, y) : context.lineTo(x, y)));
      context.stroke();
    }
  }

  function changed() {
    paint();
    canvas.setAttribute("aria-label", `Area to draw your signature, ${strokes.length ? "drawn" : "empty"}`);
    onChange();
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (pointer !== null) return;
    pointer = event.pointerId;
    canvas.setPointerCapture(pointer);
    strokes.push([point(event)]);
    changed();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerId !== pointer) return;
    const stroke = strokes.at(-1);
    for (const moved of event.getCoalescedEvents?.() ?? [event]) {
      const next = point(moved);
      const last = stroke?.at(-1);
      // Points closer than two units add size and no shape.
      if (last && Math.hypot(next[0] - last[0], next[1] - last[1]) >= 2) stroke?.push(next);
    }
    paint();
  });
  const end = (/** @type {PointerEvent} */ event) => {
    if (event.pointerId !== pointer) return;
    pointer = null;
    const stroke = strokes.at(-1);
    // A tap is a dot: two points, so that it has a line to draw.
    const [only] = stroke ?? [];
    if (stroke?.length === 1 && only) stroke.push([Math.min(canvas.width, only[0] + 1), only[1]]);
    changed();
  };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);

  return {
    clear() {
      strokes = [];
      changed();
    },
    isEmpty: () => strokes.length === 0,
    /** @returns {string | null} the strokes as JSON, or nothing if they are too many */
    json() {
      const text = JSON.stringify({ width: canvas.width, height: canvas.height, strokes });
      return text.length <= LONGEST_BYTES ? text : null;
    },
    /** @param {string} json */
    load(json) {
      strokes = JSON.parse(json).strokes;
      changed();
    },
  };
}

/**
 * A drawing as a picture.
 * @param {string} json
 * @returns {SVGSVGElement}
 */
export function pictureOf(json) {
  /** @type {Drawing} */
  const drawing = JSON.parse(json);
  const space = "http://www.w3.org/2000/svg";
  const picture = document.createElementNS(space, "svg");
  // The whole pad, as in the sealed document: a signature keeps its place and its size on it.
  picture.setAttribute("viewBox", `0 0 ${drawing.width} ${drawing.height}`);
  picture.setAttribute("class", "mark-drawn");
  picture.setAttribute("aria-hidden", "true");
  for (const stroke of drawing.strokes) {
    const line = document.createElementNS(space, "polyline");
    line.setAttribute("points", stroke.map(([x, y]) => `${x},${y}`).join(" "));
    line.setAttribute("fill", "none");
    line.setAttribute("stroke", "currentColor");
    line.setAttribute("stroke-width", "6");
    line.setAttribute("stroke-linecap", "round");
    line.setAttribute("stroke-linejoin", "round");
    picture.append(line);
  }
  return picture;
}
