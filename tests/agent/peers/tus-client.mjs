// Other authors' client: tus-js-client uploads one file, with a camera's certificate, and remembers the upload's URL
// in a file.
//
//   node tus-client.mjs {"endpoint", "file", "cert", "key", "ca", "urls", "hold", "options"}
//
// It prints a line for each answer. Of the first PATCH it sends `hold` bytes, if that is given, and nothing more: it is
// there to be killed, or to lose its server. `options` are the library's own.

import { createReadStream, readFileSync } from "node:fs";
import { Agent } from "node:https";
import { Readable } from "node:stream";
import tus from "tus-js-client";

const { endpoint, file, cert, key, ca, urls, hold, options } = JSON.parse(process.argv[2]);
const [certificate, privateKey, authority] = [cert, key, ca].map((path) => readFileSync(path));

class HttpStack extends tus.DefaultHttpStack {
  #left = hold ?? Infinity;

  createRequest(method, url) {
    const request = super.createRequest(method, url);
    const send = request.send.bind(request);
    request.send = (body) => send(body instanceof Readable ? this.#held(body) : body);
    return request;
  }

  #held(body) {
    if (this.#left === Infinity) return body;
    return Object.assign(Readable.from(this.#upTo(body)), { size: body.size });
  }

  async *#upTo(body) {
    for await (const bytes of body) {
      yield bytes;
      this.#left -= bytes.length;
      if (this.#left > 0) continue;
      this.#left = Infinity;
      console.log("holds");
      await new Promise(() => {});
    }
  }
}

const upload = new tus.Upload(createReadStream(file), {
  endpoint,
  httpStack: new HttpStack({ agent: new Agent({ cert: certificate, key: privateKey, ca: authority }) }),
  urlStorage: new tus.FileUrlStorage(urls),
  retryDelays: Array(300).fill(100),
  onAfterResponse: (request, response) => {
    const from = request.getHeader("Upload-Offset") ?? "-";
    console.log(`${request.getMethod()} ${from}: ${response.getStatus()} ${response.getHeader("Upload-Offset") ?? "-"}`);
  },
  onSuccess: () => console.log(`uploaded ${upload.url}`),
  onError: (error) => {
    console.log(`failed: ${error.message.replaceAll("\n", " ")}`);
    process.exitCode = 1;
  },
  ...options,
});

const [former] = await upload.findPreviousUploads();
if (former) upload.resumeFromPreviousUpload(former);
upload.start();
