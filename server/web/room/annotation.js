// What a room writes over a feed: HTML of the controller's, with a person's name in it. It is built anew from a list of
// what may be in it, and what may not is shown as the text that it is. So it can never run a script, nor load anything
// from elsewhere, whatever the server lets through.

const ELEMENTS = new Set([
  "b", "big", "blockquote", "br", "center", "code", "dd", "div", "dl", "dt", "em", "font", "h1", "h2", "h3", "h4", "h5",
  "h6", "hr", "i", "img", "li", "mark", "ol", "p", "pre", "s", "small", "span", "strong", "sub", "sup", "table",
  "tbody", "td", "th", "thead", "tr", "u", "ul",
]);
const ATTRIBUTES = new Set([
  "align", "alt", "class", "color", "colspan", "data-style", "dir", "height", "lang", "rowspan", "size", "src", "title",
  "width",
]);
/** What a style loads something by, or only says when it is used: until then it stands as it was written, escapes too. */
const LOADING = /(url|src|image|image-set|cross-fade|var|env|attr|if|inherit)\(|\\/i;
/** Deeper than anybody writes. */
const MAX_DEPTH = 32;

/** Attributes that a strict policy complains of as soon as they are parsed, also where nothing comes of it. */
const IN_TAGS = /<[^>]*>/g;
const COMPLAINED_OF = /\s(style|on\w+)(?=\s*=)/gi;
const asData = (tag) => tag.replace(COMPLAINED_OF, " data-$1");

/** The element that shows an annotation; null where there is nothing to show. */
export function buildAnnotation(html) {
  const { body } = new DOMParser().parseFromString(`<body>${String(html ?? "").replace(IN_TAGS, asData)}`, "text/html");
  const nodes = [...body.childNodes].flatMap((node) => built(node, 0));
  const shown = nodes.filter((node) => node.nodeType === Node.ELEMENT_NODE || node.textContent.trim());
  if (!shown.length) return null;
  if (shown.length === 1 && shown[0].nodeType === Node.ELEMENT_NODE) return shown[0];
  const all = document.createElement("div");
  all.append(...nodes);
  return all;
}

function built(node, depth) {
  if (node.nodeType === Node.TEXT_NODE) return [document.createTextNode(node.textContent)];
  if (node.nodeType !== Node.ELEMENT_NODE) return [];
  const name = node.localName;
  if (!ELEMENTS.has(name) || depth > MAX_DEPTH) return [document.createTextNode(node.outerHTML)];
  const copy = document.createElement(name);
  for (const { name, value } of node.attributes) copyAttribute(copy, name, value);
  copy.append(...[...node.childNodes].flatMap((child) => built(child, depth + 1)));
  return [copy];
}

function copyAttribute(copy, name, value) {
  if (!ATTRIBUTES.has(name)) return;
  // Set as an attribute it would be inline style, which the page's policy refuses.
  if (name === "data-style") setStyle(copy.style, value);
  else if (name !== "src" || isHarmless(value)) copy.setAttribute(name, value);
}

/** Whether a picture carries itself, or comes from this very server: as a browser reads its address, not as it looks. */
function isHarmless(address) {
  if (address.startsWith("data:image/")) return true;
  if (!address.startsWith("/") || !URL.canParse(address, document.baseURI)) return false;
  return new URL(address, document.baseURI).origin === location.origin;
}

/** A style without what it would load; properties of its own might carry that, too. */
function setStyle(style, text) {
  style.cssText = text;
  for (const name of Array.from(style)) {
    const value = style.getPropertyValue(name);
    // Of several properties that were written as one, such a value is told of none.
    if (name.startsWith("--") || !value || LOADING.test(value)) style.removeProperty(name);
  }
}
