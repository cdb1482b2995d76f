// The form that asks for the password.

import { signIn } from "./api.js";
import { byId } from "./dom.js";

/** Sets the form up; `onSignedIn` is called once the server took the password. Returns what shows the form. */
export function setUpSignIn(onSignedIn) {
  const form = byId("sign-in").querySelector("form");
  const [password, refusal, button] = [byId("password"), byId("refusal"), form.querySelector("button")];

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    refusal.textContent = "";
    button.disabled = true;
    try {
      // It is printed in groups; people paste it with a space before or after.
      await signIn(password.value.trim());
      password.value = "";
      onSignedIn();
    } catch (error) {
      refusal.textContent = error.message;
      password.select();
    } finally {
      button.disabled = false;
    }
  });

  return () => password.focus();
}
