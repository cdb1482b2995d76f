// The few things that every part of the page does to the document. Texts enter it by textContent alone, so that a
// camera's name can never be markup.

/** The element of this id in index.html. */
export const byId = (id) => document.getElementById(id);

/** A copy of a template in index.html: its element, and those inside that have a data-part, by that name. */
export function fromTemplate(id) {
  const node = byId(id).content.firstElementChild.cloneNode(true);
  const named = [...node.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part]);
  return { node, ...Object.fromEntries(named) };
}

/** A new element with this text. */
export function element(name, text) {
  const node = document.createElement(name);
  node.textContent = text;
  return node;
}

/** Shows a text where there is one, else hides its place. What stays the same is not read out again. */
export function showText(node, text) {
  if (node.textContent !== (text ?? "")) node.textContent = text ?? "";
  node.hidden = !text;
}

/** What is to be read in HTML. */
export const textOf = (html) => new DOMParser().parseFromString(html, "text/html").body.textContent;

/** HTML in which nothing but this text is to be read. */
export const htmlOf = (text) => new XMLSerializer().serializeToString(document.createTextNode(text));

/** Tells who can't see the page what it has just shown. */
export function announce(text) {
  byId("news").textContent = text;
}
