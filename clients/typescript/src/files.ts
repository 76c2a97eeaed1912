// Files of rows, as bytes: they flow, a few at a time, whatever their size.
import { ConnectionError } from "./errors.js";
import { type Again, type Attempt, answered, resultOf } from "./requests.js";

/** A `Blob` is sent again if its answer is lost; a stream is sent once. Node makes one of a file with `openAsBlob`. */
export type FileContent = Blob | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array<ArrayBuffer>>;

/** A new row with a file, such as `{ list: "accounting.attachments", field: "content", values: { billReference } }`. */
export interface NewFile {
  readonly list: string;
  /** The field of the list's input that holds the bytes. */
  readonly field: string;
  readonly values?: Readonly<Record<string, string | number | boolean>>;
  /** The name of the file, for lists that have one. */
  readonly name?: string;
  /** The fields of a natural key: a row that is there is not written. */
  readonly uniqueBy?: readonly string[];
}

export interface Download {
  readonly name: string | undefined;
  /** Its media type. */
  readonly type: string;
  /** The version of its row, for `ifMatch`. */
  readonly etag: string | undefined;
  /** Its bytes. A connection that breaks off makes this throw ConnectionError. */
  readonly body: ReadableStream<Uint8Array<ArrayBuffer>>;
}

export interface Upload {
  readonly id: string;
  /** Whether a new row was created; undefined of a row that was changed. */
  readonly created: boolean | undefined;
  /** Where the file is, as `downloadPath` of an attachment; undefined if its caller may not read it. */
  readonly downloadPath: string | undefined;
}

/** Returns the address of the files of an API: `…/e/acme/graphql/ap` → `…/e/acme/files/ap`. */
export function filesOf(api: string): string {
  const files = api.replace(/(?<!\/)\/graphql(?=(\/[^/]+)?\/?$)/, "/files");
  if (files === api) throw new TypeError(`not the address of an API: ${api}`);
  return files.replace(/\/$/, "");
}

/** Returns the address of a file, `{id}/{field}`. Throws a TypeError if it is none, which would be another address. */
export function addressOf(api: string, path: string): string {
  const parts = path.split("/");
  if (parts.length !== 2 || parts.some((part) => /^\.{0,2}$/.test(part))) throw new TypeError(`not the path of a file: ${path}`);
  return [filesOf(api), ...parts.map(encodeURIComponent)].join("/");
}

/** Returns the address at which a row is created with its file. */
export function addressOfNew(api: string, { list, field, values = {}, uniqueBy }: NewFile): string {
  const parameters = new URLSearchParams(Object.entries(values).map(([name, value]) => [name, String(value)]));
  if (uniqueBy !== undefined) parameters.set("uniqueBy", uniqueBy.join(","));
  return `${addressOf(api, `${list}/${field}`)}?${parameters}`;
}

/** Returns a name as a header: RFC 6266, RFC 8187. */
export function disposition(name: string): string {
  const escaped = encodeURIComponent(name).replace(/['()*]/g, (character) => `%${character.charCodeAt(0).toString(16)}`);
  return `attachment; filename*=UTF-8''${escaped}`;
}

const ofReads: Again = ({ status }) => status === 429 || status === 503 || lost(status);
/** 409 is also a row that is there already, and 502 may be the gateway's own answer. */
const ofWrites: Again = ({ status, headers }, repeatable) =>
  status === 429 || status === 503 || (status === 409 && headers.has("retry-after")) || (repeatable && lost(status) && !isJson(headers));
const lost = (status: number) => status === 502 || status === 504;
const isJson = (headers: Headers) => /\bjson\b/.test(headers.get("content-type") ?? "");

/** Reads a file. Throws GatewayError or ConnectionError. */
export function download(attempt: Attempt): Promise<Download> {
  return answered(attempt, ofReads, async (response) => {
    if (!response.ok || response.body === null) return await refuse(response, attempt);
    const { headers, body } = response;
    return {
      name: nameIn(headers.get("content-disposition") ?? ""),
      type: headers.get("content-type") ?? "",
      etag: headers.get("etag") ?? undefined,
      body: whole(body, attempt),
    };
  });
}

/** Writes a file. Likewise. */
export function upload(attempt: Attempt): Promise<Upload> {
  return answered(attempt, ofWrites, async (response) => {
    if (!response.ok) return await refuse(response, attempt);
    const { id, created, path } = (await response.json()) as { id: string; created?: boolean; path?: string };
    return { id, created, downloadPath: path?.split("/").slice(-2).join("/") };
  });
}

async function refuse(response: Response, attempt: Attempt): Promise<never> {
  await resultOf(response, attempt);
  throw new ConnectionError(`status ${response.status} without errors`, response.status, attempt.idempotencyKey);
}

function nameIn(header: string): string | undefined {
  const extended = /filename\*=UTF-8''([^;\s]+)/i.exec(header)?.[1];
  return extended === undefined ? /filename="((?:[^"\\]|\\.)*)"/i.exec(header)?.[1]?.replace(/\\(.)/g, "$1") : decodeURIComponent(extended);
}

/** Returns the bytes of a response, whose end before its time is an error of this client. */
function whole(body: ReadableStream<Uint8Array<ArrayBuffer>>, { url, signal }: Attempt): ReadableStream<Uint8Array<ArrayBuffer>> {
  const reader = body.getReader();
  return new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (done) controller.close();
        else controller.enqueue(value);
      } catch (error) {
        const reason: unknown = signal?.aborted ? signal.reason : new ConnectionError(`${url} broke off`, undefined, undefined, { cause: error });
        controller.error(reason);
      }
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
}
