// The page: signed out it asks for the password, signed in it shows cameras and captures, or rooms, which the server's
// events keep true. Its address says which: #captures, #rooms, #rooms/NUMBER.

import * as api from "./api.js";
import { Cameras } from "./cameras.js";
import { Captures } from "./captures.js";
import { announce, byId, showText } from "./dom.js";
import { Events } from "./events.js";
import { Rooms } from "./rooms.js";
import { setUpSignIn } from "./signin.js";

const LINKS = { live: "Live", away: "Reconnecting…", refused: "Not connected" };

const cameras = new Cameras();
const captures = new Captures((capture) => cameras.captureChanged(capture), failed);
const rooms = new Rooms(failed);
let isSignedIn = false;
/** While the state is read, events wait: an answer that was made before them must not undo them. */
let reading = Promise.resolve();
const read = () => (reading = readAll());
const afterReading = (handle) => async (data) => {
  await reading;
  handle(data);
};

const events = new Events(
  {
    open: read,
    reload: read,
    camera: afterReading(showCamera),
    alarm: afterReading((camera) => {
      showCamera(camera);
      announce(`Alarm of ${camera.name}`);
    }),
    capture: afterReading((capture) => {
      captures.live(capture);
      cameras.captureChanged(capture);
    }),
    gone: afterReading(({ ids }) => captures.drop(ids)),
    request: afterReading((settled) => cameras.requestSettled(settled)),
    room: afterReading((room) => rooms.changed(room)),
    room_gone: afterReading(({ number }) => rooms.drop(number)),
  },
  showLink,
);
const focusSignIn = setUpSignIn(enter);

addEventListener("hashchange", showView);
byId("sign-out").addEventListener("click", async () => {
  try {
    await api.signOut();
    leave();
  } catch (error) {
    failed(error);
  }
});

enter();

/** Shows what the address asks for if the server lets us in. */
async function enter() {
  if (!(await readCameras())) return;
  isSignedIn = true;
  showView();
  events.start();
}

/** Asks for the password. What was shown is forgotten with the document. */
function leave() {
  if (isSignedIn) return location.reload();
  show("sign-in");
  focusSignIn();
}

async function readAll() {
  if (!(await readCameras())) return;
  await captures.refresh();
  await rooms.refresh();
}

async function readCameras() {
  try {
    cameras.show(await api.cameras());
    captures.offer(cameras.names);
    showText(byId("notice"), null);
    return true;
  } catch (error) {
    failed(error);
    return false;
  }
}

function showCamera(camera) {
  cameras.update(camera);
  captures.offer(cameras.names);
}

function failed(error) {
  if (!(error instanceof api.ApiError)) throw error;
  if (error.isSignedOut) leave();
  else showText(byId("notice"), error.message);
}

function showView() {
  if (!isSignedIn) return;
  const [isOfRooms, , number] = /^#rooms(\/(\d{1,15}))?$/.exec(location.hash) ?? [];
  show(isOfRooms ? "rooms" : "home");
  for (const link of byId("views").children) {
    link.setAttribute("aria-current", link.hash === (isOfRooms ? "#rooms" : "#captures") ? "page" : "false");
  }
  if (isOfRooms) rooms.open(number ? Number(number) : null);
  else rooms.open(undefined);
}

function show(screen) {
  for (const id of ["sign-in", "home", "rooms"]) byId(id).hidden = id !== screen;
  for (const id of ["link", "sign-out", "views"]) byId(id).hidden = screen === "sign-in";
}

function showLink(link) {
  byId("link").textContent = LINKS[link];
  byId("link").classList.toggle("live", link === "live");
  // The stream's refusal has no status: an ordinary request learns whether we are signed out.
  if (link === "refused") readCameras();
}
