// A proxy before the gateway that answers in its stead, loses answers, cuts streams, and remembers what was sent.
import { createServer, request as open } from "node:http";
import { connect } from "node:net";
import { buffer } from "node:stream/consumers";

/** Starts it before `target`. Each of `faults` befalls one request: a status with headers, "lose", or "break". */
export async function proxy(target) {
  const { hostname, port } = new URL(target);
  const faults = [];
  const seen = [];
  const server = createServer(async (incoming, outgoing) => {
    const body = await buffer(incoming);
    const { headers, url: path, method } = incoming;
    const fault = faults.shift();
    const one = { key: headers["idempotency-key"] ?? null, token: headers.authorization ?? null, body: /json/.test(headers["content-type"]) ? JSON.parse(body) : body };
    seen.push(one);
    if (fault?.stream !== undefined) {
      outgoing.writeHead(200, { "content-type": "text/event-stream" }).write(fault.stream);
      if (!fault.open) outgoing.end();
      return;
    }
    if (fault?.status !== undefined) {
      outgoing.writeHead(fault.status, fault.headers).end(fault.body ?? "");
      return;
    }
    const forwarded = open({ hostname, port, path, method, headers }, (answer) => {
      if (fault === "lose") {
        answer.resume().on("end", () => outgoing.destroy());
        return;
      }
      one.replayed = answer.headers["idempotent-replayed"] ?? null;
      outgoing.writeHead(answer.statusCode, answer.headers);
      one.cut = () => outgoing.destroy();
      if (fault === "break") {
        answer.once("data", (some) => outgoing.write(some.subarray(0, 4), () => outgoing.destroy()));
        return;
      }
      answer.pipe(outgoing);
      outgoing.on("close", () => forwarded.destroy());
    });
    forwarded.on("error", () => outgoing.destroy());
    forwarded.end(body);
  });
  const sockets = new Set();
  server.on("upgrade", (incoming, socket, head) => {
    const lines = incoming.rawHeaders.map((text, at) => (at % 2 ? `${text}\r\n` : `${text}: `)).join("");
    const upstream = connect(port, hostname, () => {
      upstream.write(`GET ${incoming.url} HTTP/1.1\r\n${lines}\r\n`);
      upstream.write(head);
      socket.pipe(upstream).pipe(socket);
    });
    upstream.on("error", () => socket.destroy()).on("close", () => socket.destroy());
    socket.on("error", () => upstream.destroy()).on("close", () => upstream.destroy());
    sockets.add(socket);
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  const url = new URL(target);
  url.port = server.address().port;
  return {
    url: url.href,
    faults,
    seen,
    /** Breaks all WebSockets. */
    cutSockets() {
      sockets.forEach((socket) => socket.destroy());
      sockets.clear();
    },
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
