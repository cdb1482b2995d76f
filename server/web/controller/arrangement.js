// Where a room's pictures are on a screen, as people drag them there. Pure: words and numbers in, boxes out.
//
// A box is {x, y, width, height, z}, counted from the screen's upper left in its pixels. The room keeps words: a corner
// and distances from it (geometry.js). The corner is the one that the picture is nearest to, so that it stays there on
// a screen of another size.

import { parseGeometry, place } from "../room/geometry.js";

/** Nobody sees anything in a smaller picture, or gets hold of it. */
export const LEAST_WIDTH = 80;

/** The box of a slot's geometry, `{relative_to, params}`. Without a canvas both frames are the screen. */
export function boxOf({ relative_to, params }, screen) {
  const geometry = parseGeometry({ command: `set_geometry_relative_to_${relative_to}`, params });
  const { left, right, top, bottom, width, height } = place(geometry, { window: screen });
  const [x, y] = [left ?? screen.width - right - width, top ?? screen.height - bottom - height];
  return { x, y, width, height, z: geometry.z };
}

/** The words of a box: corner, x, y, width, height, z. */
export function paramsOf({ x, y, width, height, z }, screen) {
  const [right, bottom] = [screen.width - x - width, screen.height - y - height];
  const corner = `${x <= right ? "l" : "r"}${y <= bottom ? "t" : "b"}`;
  const lengths = [Math.min(x, right), Math.min(y, bottom), width, height].map(Math.round);
  return [corner, ...lengths, z].map(String);
}

/** The box, moved by so many pixels, but never off the screen. One that is larger goes as far as its far edges. */
export function moved(box, across, down, screen) {
  const within = (length, room) => between(Math.min(0, room), length, Math.max(0, room));
  return {
    ...box,
    x: within(box.x + across, screen.width - box.width),
    y: within(box.y + down, screen.height - box.height),
  };
}

/** The box with its lower right corner moved along the diagonal of a picture of this ratio, width to height. */
export function resized(box, across, down, ratio, screen) {
  const wanted = box.width + (ratio * (ratio * across + down)) / (ratio * ratio + 1);
  const room = Math.min(screen.width - box.x, (screen.height - box.y) * ratio);
  const width = between(LEAST_WIDTH, wanted, room);
  return { ...box, width, height: width / ratio };
}

const between = (least, length, most) => Math.max(least, Math.min(length, most));
