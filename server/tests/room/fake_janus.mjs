// What answers as Janus' HTTP API does, for what a real one can't be made to do at the right moment.

import { once } from "node:events";
import http from "node:http";
import https from "node:https";

export class FakeJanus {
  /** The requests to its plugin, without the looks whether the room is there. */
  asked = [];
  /** How often somebody looked. */
  looks = 0;
  /** Sessions that were ended. */
  ended = 0;
  /** What a request to the plugin waits for: nothing. */
  until = () => {};
  #ids = 0;
  #server;

  /** By TLS with these `certificates`, where there are some. */
  static async start(t, certificates) {
    const janus = new FakeJanus();
    const answer = (request, response) => janus.#read(request, response);
    janus.#server = certificates ? https.createServer(certificates, answer) : http.createServer(answer);
    await once(janus.#server.listen(0, "127.0.0.1"), "listening");
    janus.port = janus.#server.address().port;
    janus.url = `${certificates ? "https://localhost" : "http://127.0.0.1"}:${janus.port}/janus`;
    t.after(() => janus.#server.closeAllConnections() ?? janus.#server.close());
    return janus;
  }

  async #read(request, response) {
    let text = "";
    for await (const part of request) text += part;
    const { janus, transaction, body } = JSON.parse(text);
    if (body?.request === "exists") this.looks++;
    else if (body) this.asked.push(body);
    if (body) await this.until(body);
    if (janus === "destroy") this.ended++;
    const answer = { janus: "success", transaction };
    if (body) answer.plugindata = { data: { videoroom: "success", exists: true } };
    else if (janus !== "destroy") answer.data = { id: ++this.#ids };
    response.end(JSON.stringify(answer));
  }
}
