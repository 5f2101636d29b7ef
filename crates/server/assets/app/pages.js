// Pages on the screen: each is a box of the right shape at once; picture and words come when it is near the view and
// go when it is far, so that a thousand pages cost no more than a few.

/** @typedef {import("./documents.js").OpenDocument} OpenDocument */

const MOST_CANVAS_PIXELS = 12_000_000;
const WIDEST_PX = 900;
const ZOOMS = [1, 1.25, 1.5, 2, 2.5, 3];

/** One page of one document. */
class Page {
  /**
   * @param {any} pdfjs
   * @param {OpenDocument} owner
   * @param {number} number from 1
   */
  constructor(pdfjs, owner, number) {
    this.pdfjs = pdfjs;
    this.owner = owner;
    this.number = number;
    this.near = false;
    /** @type {any} */
    this.source = null;
    /** @type {any} */
    this.rendering = null;
    this.renderedScale = 0;
    this.box = document.createElement("section");
    this.box.className = "page";
    this.box.setAttribute("aria-label", `Page ${number} of ${owner.about.page_count}, ${owner.about.name}`);
  }

  /** Learns the shape of the page. @param {any} shape the viewport of another page, until the own one is known */
  async measure(shape) {
    if (shape && !this.source) {
      this.shape(shape);
      return;
    }
    this.source ??= await this.owner.pdf.getPage(this.number);
    this.shape(this.source.getViewport({ scale: 1 }));
  }

  /** @param {{width: number, height: number}} viewport points at scale 1, as displayed */
  shape({ width, height }) {
    this.width = width;
    this.height = height;
    this.box.style.setProperty("aspect-ratio", `${width} / ${height}`);
  }

  /** CSS pixels per point. */
  get scale() {
    return this.box.clientWidth / (this.width ?? 1);
  }

  async render() {
    if (!this.source) await this.measure(null);
    const scale = this.scale;
    this.box.style.setProperty("--total-scale-factor", String(scale));
    if (!this.near || this.rendering || Math.abs(scale - this.renderedScale) < 0.01) return;
    const sharp = Math.min(devicePixelRatio || 1, Math.sqrt(MOST_CANVAS_PIXELS / (this.width * this.height)) / scale);
    const canvas = document.createElement("canvas");
    canvas.setAttribute("aria-hidden", "true");
    const viewport = this.source.getViewport({ scale: scale * sharp });
    canvas.width = Math.max(1, Math.floor(viewport.width));
    canvas.height = Math.max(1, Math.floor(viewport.height));
    this.rendering = this.source.render({ canvas, viewport, annotationMode: this.pdfjs.AnnotationMode.ENABLE });
    try {
      await this.rendering.promise;
      this.clear();
      this.box.prepend(canvas);
      await this.renderWords(scale);
      this.renderedScale = scale;
      this.box.dataset.rendered = "yes";
    } finally {
      this.rendering = null;
    }
    if (this.near) await this.render();
    else this.release();
  }

  /** @param {number} scale */
  async renderWords(scale) {
    const words = document.createElement("div");
    words.className = "words";
    const layer = new this.pdfjs.TextLayer({
      textContentSource: this.source.streamTextContent(),
      container: words,
      viewport: this.source.getViewport({ scale }),
    });
    await layer.render();
    this.box.querySelector("canvas")?.after(words);
  }

  clear() {
    for (const old of this.box.querySelectorAll("canvas, .words")) {
      if (old instanceof HTMLCanvasElement) old.width = 0;
      old.remove();
    }
  }

  release() {
    this.clear();
    this.renderedScale = 0;
    delete this.box.dataset.rendered;
    this.source?.cleanup();
  }
}

/** All pages of all documents. */
export class Pages {
  /**
   * @param {any} pdfjs
   * @param {OpenDocument[]} documents
   * @param {HTMLElement} place
   * @param {(page: Page) => void} onSeen called when a rendered page is in view
   */
  constructor(pdfjs, documents, place, onSeen) {
    this.place = place;
    this.onSeen = onSeen;
    this.zoom = 0;
    /** @type {Page[]} */
    this.all = documents.flatMap((owner) =>
      Array.from({ length: owner.pdf.numPages }, (_, index) => new Page(pdfjs, owner, index + 1)),
    );
    /** @type {Map<Element, Page>} */
    this.byBox = new Map(this.all.map((page) => [page.box, page]));
  }

  /**
   * Puts the pages on the screen. The first page of each document and those that hold fields are measured first; the
   * others take the shape of the first until they come near.
   * @param {Set<string>} exact keys of pages whose shape must be right from the start
   */
  async show(exact) {
    /** @type {any} */
    let first = null;
    const several = new Set(this.all.map((page) => page.owner)).size > 1;
    for (const page of this.all) {
      const isFirst = page.number === 1;
      await page.measure(isFirst || exact.has(pageKey(page.owner.about.id, page.number)) ? null : first);
      if (isFirst) {
        first = { width: page.width, height: page.height };
        if (several) {
          const name = document.createElement("h2");
          name.className = "document-name";
          name.textContent = page.owner.about.name;
          this.place.append(name);
        }
      }
      this.place.append(page.box);
    }
    this.fit();
    new ResizeObserver(() => this.fit()).observe(this.place);
    const near = new IntersectionObserver((entries) => this.onNear(entries), { rootMargin: "150% 50%" });
    this.inView = new IntersectionObserver((entries) => this.onView(entries), { threshold: [0, 0.25, 0.5, 0.75, 1] });
    for (const page of this.all) {
      near.observe(page.box);
      this.inView.observe(page.box);
    }
  }

  /** @param {IntersectionObserverEntry[]} entries */
  onNear(entries) {
    for (const entry of entries) {
      const page = this.byBox.get(entry.target);
      if (!page) continue;
      page.near = entry.isIntersecting;
      if (page.near) this.render(page);
      else if (!page.rendering) page.release();
    }
  }

  /** @param {IntersectionObserverEntry[]} entries */
  onView(entries) {
    for (const entry of entries) {
      const page = this.byBox.get(entry.target);
      if (!page) continue;
      const tall = entry.intersectionRect.height >= innerHeight / 3;
      page.visible = entry.isIntersecting && (entry.intersectionRatio >= 0.25 || tall);
      if (page.visible && page.box.dataset.rendered) this.onSeen(page);
    }
  }

  /** @param {Page} page */
  async render(page) {
    try {
      await page.render();
      if (page.visible && page.box.dataset.rendered) this.onSeen(page);
    } catch (error) {
      if (/** @type {Error} */ (error).name === "RenderingCancelledException") return;
      const failed = document.createElement("p");
      failed.className = "page-failed";
      failed.textContent = "This page cannot be shown here. Do not sign what you cannot read: ask the sender.";
      page.box.append(failed);
    }
  }

  /** Sets the width of the pages from the room there is and the zoom. */
  fit() {
    const style = getComputedStyle(this.place);
    const room = this.place.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    if (room <= 0) return;
    const width = Math.min(room, WIDEST_PX) * (ZOOMS[this.zoom] ?? 1);
    this.place.style.setProperty("--page-width", `${Math.floor(width)}px`);
    for (const page of this.all) {
      page.box.style.setProperty("--total-scale-factor", String(page.scale));
      if (page.near) this.render(page);
    }
  }

  /**
   * @param {number} step +1 or -1
   * @returns {number} the zoom in percent of the fitting width
   */
  zoomBy(step) {
    this.zoom = Math.max(0, Math.min(ZOOMS.length - 1, this.zoom + step));
    this.fit();
    return (ZOOMS[this.zoom] ?? 1) * 100;
  }

  /** Makes fields large enough to read and to hit, where the screen is narrow. */
  zoomForFields() {
    while (this.zoom < ZOOMS.length - 1 && (this.all[0]?.scale ?? 1) < 0.95) this.zoomBy(1);
  }

  /**
   * @param {string} documentId
   * @param {number} number
   */
  find(documentId, number) {
    return this.all.find((page) => page.owner.about.id === documentId && page.number === number);
  }

  /** The page that fills most of the view. */
  current() {
    const middle = innerHeight / 2;
    return this.all.find((page) => page.box.getBoundingClientRect().bottom >= middle) ?? this.all.at(-1);
  }
}

/**
 * @param {string} documentId
 * @param {number} number
 */
export function pageKey(documentId, number) {
  return `${documentId} ${number}`;
}
