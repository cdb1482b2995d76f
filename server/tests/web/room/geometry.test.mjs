// Where feeds go, as a table: the words of a room, what is on the screen, and the lengths that follow.

import assert from "node:assert/strict";
import { test } from "node:test";
import { parseGeometry, parsePrescale, place } from "../../../web/room/geometry.js";

const WINDOW = { width: 1000, height: 800 };
/** A picture of 1920 pixels, drawn half as large, with margins of 30 and 10 to the left and above. */
const CANVAS = { left: 30, top: 10, width: 960, height: 540, pixels: 1920 };
const to = (frame, ...params) => ({ command: `set_geometry_relative_to_${frame}`, params });
const onCanvas = { canvas: CANVAS };
const placed = (words, more) => place(parseGeometry(words), { window: WINDOW, ...more });

test("offsets count from the sides of the window", () => {
  const size = { width: 320, height: 240, zIndex: 100 };
  assert.deepEqual(placed(to("window", "lt", "5", "6", "320", "240")), { left: 5, top: 6, ...size });
  assert.deepEqual(placed(to("window", "rb", "5", "6", "320", "240")), { right: 5, bottom: 6, ...size });
  assert.deepEqual(placed(to("window", "lb", "-5", "0.5", "320", "240")), { left: -5, bottom: 0.5, ...size });
  assert.deepEqual(placed(to("window", "rt", "5", "6", "320", "240"), onCanvas), { right: 5, top: 6, ...size });
});

test("on a canvas everything is as large as the picture is drawn", () => {
  const size = { width: 160, height: 120, zIndex: 100 };
  assert.deepEqual(placed(to("canvas", "lt", "20", "40", "320", "240"), onCanvas), { left: 40, top: 30, ...size });
  // To the right of the canvas are 10 pixels, below it 250.
  assert.deepEqual(placed(to("canvas", "rb", "20", "40", "320", "240"), onCanvas), { right: 20, bottom: 270, ...size });
});

test("a picture that was scaled before it was sent scales its feeds, too", () => {
  const { width, left } = placed(to("canvas", "lt", "20", "0", "320", "240"), { canvas: CANVAS, prescale: 0.5 });
  assert.deepEqual([width, left], [80, 35]);
});

test("without a canvas the window takes its place", () => {
  const expected = { right: 0, bottom: 0, width: 320, height: 240, zIndex: 100 };
  assert.deepEqual(placed(to("canvas", "rb", "0", "0", "320", "240")), expected);
  assert.deepEqual(placed(to("canvas", "rb", "0", "0", "320", "240"), { canvas: { ...CANVAS, pixels: 0 } }), expected);
});

test("a sixth word is the order in depth", () => {
  assert.equal(placed(to("window", "lt", "0", "0", "1", "1", "7")).zIndex, 107);
  assert.equal(placed(to("window", "lt", "0", "0", "1", "1", "-7")).zIndex, 93);
});

test("words that are no geometry are none", () => {
  for (const words of [
    undefined, {}, { command: "show", params: [] }, to("canvas"), to("window", "lt", "0", "0", "1"),
    to("window", "tl", "0", "0", "1", "1"), to("window", "ltx", "0", "0", "1", "1"),
    to("window", "lt", "0", "0", "1", "wide"), to("window", "lt", "0", "0", "-1", "1"),
    to("window", "lt", "Infinity", "0", "1", "1"), { command: "set_geometry_relative_to_window", params: "lt 0 0 1 1" },
    to("window", "lt", "0", "0", "1", "1", "front"), to("__proto__", "lt", "0", "0", "1", "1"),
  ]) {
    assert.equal(parseGeometry(words), null, JSON.stringify(words));
  }
});

test("a prescale is a fraction, or 1", () => {
  assert.equal(parsePrescale("3/4"), 0.75);
  for (const text of [null, "", "3", "3/0", "0/4", "-3/4", "a/b", "3/4/5"]) assert.equal(parsePrescale(text), 1, text);
});
