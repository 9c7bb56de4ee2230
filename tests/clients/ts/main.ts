// Calls the greeter by code that protoc-gen-es generates: by connect-node over every protocol, both versions of HTTP and
// both codecs, in every shape; and by connect-web, as a page in a browser does. Prints what it does not expect, and in
// the end how much was as expected.
import { Code, ConnectError, createClient, type CallOptions, type Client, type Transport } from "@connectrpc/connect";
import * as node from "@connectrpc/connect-node";
import * as web from "@connectrpc/connect-web";

import { GreetService } from "./gen/greet/v1/greet_pb.js";

type Greeter = Client<typeof GreetService>;

// What a call came back with.
type Told = { version?: string | null; greetings: string[] };

const token = { "Acme-Token": "let-me-in" };
const people = ["Ann", "Bob"];
let checks = 0;
let failures = 0;

function same(what: string, got: unknown, want: unknown) {
  checks += 1;
  if (JSON.stringify(got) === JSON.stringify(want)) return;
  failures += 1;
  console.log(`${what}:\n  got  ${JSON.stringify(got)}\n  want ${JSON.stringify(want)}`);
}

async function* requests(names: string[]) {
  for (const name of names) yield { name };
}

const shapes: Record<string, (client: Greeter, options: CallOptions, told: Told) => Promise<void>> = {
  async unary(client, options, told) {
    told.greetings.push((await client.greetOnce({ name: "Ann" }, options)).greeting);
  },
  async "client stream"(client, options, told) {
    told.greetings.push((await client.greet(requests(people), options)).greeting);
  },
  async "server stream"(client, options, told) {
    for await (const { greeting } of client.greetMore({ name: "Ann" }, options)) told.greetings.push(greeting);
  },
  async bidi(client, options, told) {
    for await (const { greeting } of client.greetEach(requests(people), options)) told.greetings.push(greeting);
  },
};

const expected: Record<string, (hello: string) => string[]> = {
  unary: (hello) => [`${hello}, Ann!`],
  "client stream": (hello) => [`${hello}, Ann!\n${hello}, Bob!\n`],
  "server stream": (hello) => [`${hello}, Ann!`, "Nice to see you, Ann!", "Take care, Ann!"],
  bidi: (hello) => [`${hello}, Ann!`, `${hello}, Bob!`],
};

// Calls in these shapes, with a token, in another language, and without a token.
async function check(name: string, transport: Transport, inShapes: string[]) {
  const client = createClient(GreetService, transport);
  for (const shape of inShapes) {
    const what = `${name}, ${shape}`;
    const call = async (headers: Record<string, string>) => {
      const told: Told = { greetings: [] };
      const onHeader = (header: Headers) => { told.version = header.get("Greet-Version"); };
      await shapes[shape]!(client, { headers, onHeader }, told);
      return told;
    };
    for (const [language, hello] of [["en", "Hello"], ["fr", "Bonjour"]] as const) {
      const told = await call({ ...token, "Accept-Language": language }).catch((error) => error);
      same(what, told, { greetings: expected[shape]!(hello), version: "v1" });
    }
    const refused = await call({}).catch((error) => ConnectError.from(error));
    same(`${what} without a token`, refused instanceof ConnectError && [refused.code, refused.rawMessage], [
      Code.Unauthenticated,
      "send a valid Acme-Token",
    ]);
  }
}

// Speaks and listens in turns, which takes HTTP/2, and then runs into a deadline.
async function converse(name: string, transport: Transport) {
  const client = createClient(GreetService, transport);
  let answered = () => {};
  async function* inTurns() {
    for (const person of [...people, "Cleo"]) {
      const answer = new Promise<void>((resolve) => { answered = resolve; });
      yield { name: person };
      await answer;
    }
    await new Promise(() => {});
  }
  const heard: string[] = [];
  try {
    for await (const { greeting } of client.greetEach(inTurns(), { headers: token, timeoutMs: 1000 })) {
      heard.push(greeting);
      answered();
    }
  } catch (error) {
    same(`${name}, past the deadline`, ConnectError.from(error).code, Code.DeadlineExceeded);
  }
  same(`${name}, in turns`, heard, ["Hello, Ann!", "Hello, Bob!", "Hello, Cleo!"]);
}

// By GET, told by what is sent and not by what comes back.
async function byGet(baseUrl: string) {
  const sent: string[] = [];
  const spy: typeof fetch = (input, init) => {
    sent.push(init?.method ?? "GET");
    return fetch(input, init);
  };
  const transport = web.createConnectTransport({ baseUrl, useHttpGet: true, fetch: spy });
  await check("connect-web, Connect by GET", transport, ["unary"]);
  same("connect-web, Connect by GET", new Set(sent).size === 1 && sent[0], "GET");
}

const baseUrl = process.argv[2]!;
const every = Object.keys(shapes);
// A browser's fetch cannot send and receive at once.
const inBrowser = ["unary", "server stream"];
for (const useBinaryFormat of [true, false]) {
  const codec = useBinaryFormat ? "proto" : "json";
  for (const httpVersion of ["1.1", "2"] as const) {
    const options = { baseUrl, httpVersion, useBinaryFormat };
    const transports: [string, Transport][] = [
      ["Connect", node.createConnectTransport(options)],
      ["gRPC-Web", node.createGrpcWebTransport(options)],
    ];
    // Over HTTP/1.1 gRPC has no trailers to rely on.
    if (httpVersion === "2") transports.push(["gRPC", node.createGrpcTransport({ baseUrl, useBinaryFormat })]);
    for (const [protocol, transport] of transports) {
      const name = `connect-node, ${protocol}, HTTP/${httpVersion}, ${codec}`;
      await check(name, transport, every);
      if (httpVersion === "2") await converse(name, transport);
    }
  }
  const options = { baseUrl, useBinaryFormat };
  await check(`connect-web, Connect, ${codec}`, web.createConnectTransport(options), inBrowser);
  await check(`connect-web, gRPC-Web, ${codec}`, web.createGrpcWebTransport(options), inBrowser);
}
await byGet(baseUrl);
console.log(`${checks} checks, ${failures} failed`);
process.exit(failures === 0 ? 0 : 1);
