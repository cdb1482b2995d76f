// Where the app puts a room's pictures: the pure part of dragging them.

import assert from "node:assert/strict";
import { test } from "node:test";
import { LEAST_WIDTH, boxOf, moved, paramsOf, resized } from "../../web/controller/arrangement.js";

const SCREEN = { width: 1280, height: 720 };
const box = (x, y, width, height, z = 0) => ({ x, y, width, height, z });

test("a geometry is a box from the upper left, and is the same words again", () => {
  for (const [params, expected] of [
    [["lt", "10", "20", "320", "240", "0"], box(10, 20, 320, 240)],
    [["rb", "0", "0", "320", "240", "7"], box(960, 480, 320, 240, 7)],
    [["rt", "10", "20", "320", "240", "-1"], box(950, 20, 320, 240, -1)],
    [["lb", "-10", "20", "320", "240", "0"], box(-10, 460, 320, 240)],
  ]) {
    for (const relative_to of ["canvas", "window"]) {
      assert.deepEqual(boxOf({ relative_to, params }, SCREEN), expected);
    }
    assert.deepEqual(paramsOf(expected, SCREEN), params);
  }
  assert.equal(boxOf({ relative_to: "canvas", params: ["rb", "0", "0", "320", "240"] }, SCREEN).z, 0, "z may be left out");
});

test("words are whole pixels, from the corner that is nearest", () => {
  assert.deepEqual(paramsOf(box(700.4, 100.6, 320.2, 240, 2), SCREEN), ["rt", "259", "101", "320", "240", "2"]);
  assert.deepEqual(paramsOf(box(480, 240, 320, 240), SCREEN), ["lt", "480", "240", "320", "240", "0"]);
});

test("a picture is moved up to the edges of the screen", () => {
  assert.deepEqual(moved(box(10, 20, 320, 240, 3), 5, -7, SCREEN), box(15, 13, 320, 240, 3));
  assert.deepEqual(moved(box(10, 20, 320, 240), -50, -50, SCREEN), box(0, 0, 320, 240));
  assert.deepEqual(moved(box(10, 20, 320, 240), 5000, 5000, SCREEN), box(960, 480, 320, 240));
  assert.deepEqual(moved(box(0, 0, 2000, 1000), 30, -30, SCREEN), box(0, -30, 2000, 1000));
  assert.deepEqual(moved(box(0, 0, 2000, 1000), -5000, -5000, SCREEN), box(-720, -280, 2000, 1000), "its far edges");
});

test("a picture is resized by its own shape, between what can be seen and the edges", () => {
  const ratio = 4 / 3;
  assert.deepEqual(resized(box(0, 0, 400, 300), 40, 30, ratio, SCREEN), box(0, 0, 440, 330));
  assert.deepEqual(resized(box(0, 0, 400, 300), -40, -30, ratio, SCREEN), box(0, 0, 360, 270));
  assert.deepEqual(resized(box(0, 0, 400, 300), 30, -40, ratio, SCREEN), box(0, 0, 400, 300), "across the diagonal is nothing");
  assert.deepEqual(resized(box(0, 0, 400, 300), -5000, -5000, ratio, SCREEN), box(0, 0, LEAST_WIDTH, LEAST_WIDTH / ratio));
  assert.deepEqual(resized(box(0, 180, 400, 300), 5000, 5000, ratio, SCREEN), box(0, 180, 720, 540));
  assert.deepEqual(resized(box(0, 0, 400, 300), 0, 0, 16 / 9, SCREEN), box(0, 0, 400, 225), "the shape is the camera's");
});
