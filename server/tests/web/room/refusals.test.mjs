// What a sender's page says where it can't send, and what becomes of hostile words.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually } from "./browser.mjs";
import { Stage, TOKEN, feed, live, moves, record, said, says } from "./stage.mjs";
import { Wire } from "./wire.mjs";

const PIN = "1234";
/** Not loopback: a page of this address is no secure one. */
const LAN = "192.0.2.1";

let stage;

before(async () => {
  stage = await Stage.open({ janusRoomPin: PIN, args: ["--trust_annotations"] });
  stage.server.order(`activate_slot 0 ${TOKEN}`);
});

after(() => stage?.close());

test("without HTTPS there is no camera, and the page says why", async () => {
  const page = await stage.browser.page(stage.server.url("sender.html", { token: TOKEN }, LAN));
  await says(page, "Browsers give a camera only to pages that came by HTTPS");
  assert.ok(await page.getByRole("button", { name: "Start camera" }).isDisabled());
});

test("a link without a token says so", async () => {
  await says(await stage.browser.page(stage.server.url("sender.html")), "This link lacks its token.");
});

test("without numbers a link means the usual room and its first slot, and the bare address its receiver", async () => {
  const at = (path, parameters) => `http://127.0.0.1:${stage.server.port}/${path}?${new URLSearchParams(parameters)}`;
  const sender = await stage.browser.page(at("sender.html", { token: TOKEN, pin: PIN }));
  await sender.getByRole("button", { name: "Start camera" }).click();
  await live(sender);
  for (const path of ["receiver.html", ""]) {
    const receiver = await stage.browser.page(at(path, { pin: PIN }));
    await moves(receiver, 0);
    await receiver.context().close();
  }
  await sender.context().close();
});

test("a link whose numbers are none says which, and leads nowhere else", async () => {
  const sender = await stage.browser.page(stage.server.url("sender.html", { token: TOKEN, slot: "O" }));
  await says(sender, "This link’s slot is “O”, and should be a whole number.");
  assert.ok(await sender.getByRole("button", { name: "Start camera" }).isDisabled());
  const receiver = await stage.receiver({ room: "1000x" });
  await receiver.getByText("This link’s room is “1000x”, and should be a whole number.").waitFor();
  for (const page of [sender, receiver]) {
    assert.doesNotMatch(await page.locator("body").innerText(), /NaN|Connecting/);
    await page.context().close();
  }
});

test("a camera that the person denied may be allowed and tried again", async () => {
  const page = await stage.sender({ pin: PIN }, { hasCamera: false });
  await says(page, "The browser was told not to give this page the camera.");
  await page.context().grantPermissions(["camera"]);
  await page.getByRole("button", { name: "Start camera" }).click();
  await live(page);
  await page.context().close();
});

test("a wrong token and a closed slot are refused in the server's words", async () => {
  for (const parameters of [{ token: "guess" }, { slot: 1 }, { slot: 99 }]) {
    const page = await stage.sender({ pin: PIN, ...parameters });
    await page.locator("#status.refusal").waitFor();
    assert.notEqual(await page.locator("#status").textContent(), "");
    await page.getByRole("button", { name: "Start camera" }).waitFor();
    await page.context().close();
  }
});

test("a room's PIN is asked for where it is not in the link, or not the room's", async () => {
  for (const [pin, asks] of [[undefined, null], ["none", "The room has a PIN."], ["0000", "That is not the room’s PIN."]]) {
    const page = await stage.senderPage({ pin: PIN });
    await page.goto(stage.server.url("sender.html", { slot: 0, token: TOKEN, ...(pin && { pin }) }));
    if (asks) {
      await page.getByRole("button", { name: "Start camera" }).click();
      await says(page, asks);
    }
    await page.getByLabel("Room PIN").fill("4321");
    await page.keyboard.press("Enter");
    await says(page, "That is not the room’s PIN.");
    await page.getByLabel("Room PIN").fill(PIN);
    await page.keyboard.press("Enter");
    await live(page);
    await page.context().close();
  }
});

test("a receiver asks for the PIN, and again for a wrong one, also where that is in its link", async () => {
  const [sender, receiver] = [await stage.sender({ pin: PIN }), await stage.receiver()];
  await receiver.getByRole("heading", { name: "This room has a PIN" }).waitFor();
  await receiver.getByLabel("Room PIN").fill("4321");
  await receiver.keyboard.press("Enter");
  await receiver.getByText("That is not the room’s PIN.").waitFor();
  await receiver.getByLabel("Room PIN").fill(PIN);
  await receiver.keyboard.press("Enter");
  await moves(receiver, 0);
  await receiver.context().close();
  const linked = await stage.receiver({ pin: "4321" });
  await linked.getByText("That is not the room’s PIN.").waitFor();
  await linked.context().close();
  await sender.context().close();
});

test("a PIN that comes while another one is tried is tried next", async () => {
  stage.server.order("activate_slot 1 second");
  const first = await stage.sender({ pin: PIN });
  await live(first);
  const receiver = await stage.receiver({ pin: "4321" });
  const janus = await Wire.tap(receiver, /\/janus/);
  await receiver.reload();
  await receiver.getByLabel("Room PIN").waitFor();
  const release = janus.hold();
  const second = await stage.sender({ slot: 1, token: "second", pin: PIN });
  await feed(receiver, 1).waitFor();
  await receiver.getByLabel("Room PIN").fill(PIN);
  await receiver.keyboard.press("Enter");
  release();
  for (const slot of [0, 1]) await moves(receiver, slot);
  for (const page of [first, second, receiver]) await page.context().close();
  stage.server.order("deactivate_slot 1");
});

test("a slot that somebody has is waited for", async () => {
  const [first, second] = [await stage.sender({ pin: PIN }), await stage.senderPage({ pin: PIN })];
  await live(first);
  await second.getByRole("button", { name: "Start camera" }).click();
  await says(second, "Trying again as soon as the slot is free…");
  await first.getByRole("button", { name: "Stop camera" }).click();
  await live(second);
  await second.context().close();
});

test("script in names and annotations is shown as the text that it is", async () => {
  const hostile = "<script>window.stolen = 1</script><img src=x onerror='window.stolen = 2'>";
  const sender = await stage.sender({ pin: PIN, customNameAllowed: hostile });
  const receiver = await stage.receiver({ pin: PIN });
  await moves(receiver, 0);
  const notified = (line) => line.startsWith("custom_name 0 ") && line.includes("&lt;script&gt;");
  const lines = await eventually(() => stage.server.notifications(), (lines) => lines.some(notified));
  const name = lines.find(notified).slice("custom_name 0 ".length);
  assert.doesNotMatch(name, /[<>"']/);

  // As a controller wraps a name, and as a hostile one would write.
  stage.server.order(`set_annotation 0 <div>${name}</div>`);
  await feed(receiver, 0).getByText("<script>window.stolen = 1</script>").waitFor();
  stage.server.order(`set_annotation 0 <div>Hello ${hostile}<iframe src=javascript:alert(1)></iframe></div>`);
  await feed(receiver, 0).getByText("Hello <script>window.stolen = 1</script>").waitFor();
  assert.equal(await feed(receiver, 0).locator("script, iframe, [onerror], [src]").count(), 0);
  assert.equal(await receiver.evaluate(() => window.stolen), undefined);
  await sender.context().close();
});

test("beside somebody who guesses, a wrong token is looked at later", async () => {
  const page = await stage.senderPage({ token: "old", pin: PIN });
  // So many are answered at once or wait; whoever comes next is turned away.
  const guess = () => page.evaluate(async () => {
    const { io } = await import(new URL("vendor/socket.io.esm.min.js", document.baseURI));
    const guesser = io(location.origin, { path: "/socket.io/5000", transports: ["websocket"], reconnection: false });
    const isTurnedAway = new Promise((resolve) => guesser.on("disconnect", resolve));
    for (let number = 0; number < 40; number += 1) guesser.emit("sender_init", { slot: 0, token: `guess ${number}` }, () => {});
    await isTurnedAway;
  });
  await record(page);
  await guess();
  await page.getByRole("button", { name: "Start camera" }).click();
  const later = "The server looks at no more tokens from here for a moment.";
  // One of those that wait is answered every few seconds.
  const heard = () => guess().then(() => said(page));
  await eventually(heard, (texts) => texts.some((text) => text.startsWith(later)));
  await page.context().close();
});

test("no page tells its own address, which may hold a PIN or a token", async () => {
  for (const path of ["receiver.html", "sender.html"]) {
    const page = await stage.browser.page("about:blank");
    const requests = [];
    page.on("request", (request) => requests.push(request));
    await page.goto(stage.server.url(path, { pin: PIN, token: TOKEN }));
    const headers = await Promise.all(requests.map((request) => request.allHeaders()));
    assert.ok(headers.length > 5, "its modules are among them");
    // A module that imports another one tells its own address, which holds nothing.
    assert.deepEqual(headers.map(({ referer }) => referer).filter((referer) => referer?.includes(path)), []);
    await page.context().close();
  }
});

test("nothing failed, and no page broke its policy", () => assert.deepEqual(stage.browser.offences, []));
