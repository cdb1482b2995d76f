// Where a feed goes, from the words in which a room says so. Pure: numbers in, lengths out.
//
//   origin x y width height [z]        origin: l or r, then t or b; offsets are inwards from these sides
//
// `relative to the window` counts in CSS pixels. `relative to the canvas` counts in the pixels of the picture that the
// canvas shows, so that a feed keeps its place in that picture however large it is drawn.

/** Feeds lie above what the page itself shows. */
const GROUND_Z = 100;

/** A geometry, or null where its words are no geometry. */
export function parseGeometry({ command, params } = {}) {
  const frame = { set_geometry_relative_to_window: "window", set_geometry_relative_to_canvas: "canvas" }[command];
  if (!frame || !Array.isArray(params) || !/^[lr][tb]$/.test(params[0])) return null;
  const [x, y, width, height, z] = params.slice(1, 6).map(Number);
  const areNumbers = [x, y, width, height, z ?? 0].every(Number.isFinite);
  if (!areNumbers || params.length < 5 || width < 0 || height < 0) return null;
  return { frame, origin: params[0], x, y, width, height, z: Math.trunc(z ?? 0) };
}

/**
 * The lengths in CSS pixels that put a feed in its place within the window. `window` is its size; `canvas` is where the
 * canvas is in it and how many pixels its picture is wide (`pixels`), null where there is none; `prescale` is the size
 * of that picture where the geometry counts in another, as a fraction of the other.
 */
export function place(geometry, { window, canvas = null, prescale = 1 }) {
  const isOnCanvas = geometry.frame === "canvas" && canvas !== null && canvas.pixels > 0;
  const scale = isOnCanvas ? (canvas.width / canvas.pixels) * prescale : 1;
  const bounds = isOnCanvas ? canvas : { left: 0, top: 0, ...window };
  const margins = {
    l: bounds.left,
    r: window.width - bounds.left - bounds.width,
    t: bounds.top,
    b: window.height - bounds.top - bounds.height,
  };
  const sides = { l: "left", r: "right", t: "top", b: "bottom" };
  const [across, down] = geometry.origin;
  return {
    [sides[across]]: margins[across] + geometry.x * scale,
    [sides[down]]: margins[down] + geometry.y * scale,
    width: geometry.width * scale,
    height: geometry.height * scale,
    zIndex: GROUND_Z + geometry.z,
  };
}

/** A fraction N/M, or 1 where the text is none. */
export function parsePrescale(text) {
  const [, over, under] = /^(\d{1,9})\/(\d{1,9})$/.exec(text ?? "") ?? [];
  return Number(over) > 0 && Number(under) > 0 ? over / under : 1;
}
