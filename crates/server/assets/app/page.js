// Small comforts for plain pages: times in the reader's own zone, and forms that are sent once.

/**
 * Shows a moment in the reader's own time zone.
 * @param {HTMLTimeElement} element
 * @param {string} moment ISO 8601, UTC
 */
export function showTime(element, moment) {
  const date = new Date(moment);
  if (Number.isNaN(date.getTime())) return;
  element.dateTime = moment;
  element.textContent = new Intl.DateTimeFormat("en-GB", {
    day: "numeric",
    month: "long",
    year: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    timeZoneName: "short",
  }).format(date);
}

for (const element of document.querySelectorAll("time[datetime]")) {
  showTime(/** @type {HTMLTimeElement} */ (element), element.getAttribute("datetime") ?? "");
}

// Where the navigation is a strip, the page that is open is seen in it.
const here = document.querySelector(".nav [aria-current]");
const strip = here?.closest(".nav");
if (here && strip) strip.scrollLeft = here.getBoundingClientRect().left - strip.getBoundingClientRect().left - 48;

for (const form of document.querySelectorAll("form[data-once]")) {
  let sent = false;
  form.addEventListener("submit", (event) => {
    if (sent) {
      event.preventDefault();
      return;
    }
    sent = true;
    form.querySelector("button")?.setAttribute("aria-disabled", "true");
  });
  // A page that comes back from the browser's memory may be sent again.
  addEventListener("pageshow", () => {
    sent = false;
    form.querySelector("button")?.removeAttribute("aria-disabled");
  });
}
