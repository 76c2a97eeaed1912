// The client: queries, mutations, pages and subscriptions of one API.
import { type Document, type Operation, type Variables, textOf } from "./documents.js";
import { serverSentEvents } from "./events.js";
import { type Download, type FileContent, type NewFile, type Upload, addressOf, addressOfNew, disposition, download, upload } from "./files.js";
import { type PageVariables, type Connection, nodesOf, pagesOf } from "./pages.js";
import { type MakeHeaders, type Retries, type Sent, send, sentOf } from "./requests.js";
import { type Reconnects, type Transport, resumed } from "./streams.js";

export interface ClientOptions {
  /** The address of the API, such as `https://erp.example.com/graphql`. */
  readonly url: string;
  /** Headers of each request, or a function that makes them for each attempt: `Authorization` with a fresh token. */
  readonly headers?: HeadersInit | (() => HeadersInit | Promise<HeadersInit>);
  /** The companies (legal entities) in which operations run: `"usmf"`. */
  readonly companies?: string | readonly string[];
  readonly retries?: Partial<Retries>;
  readonly reconnects?: Reconnects;
  /** How subscriptions are made; default: server-sent events. */
  readonly transport?: Transport;
  /** Whether mutations have an `Idempotency-Key`, which needs a store in the gateway; default true. */
  readonly idempotencyKeys?: boolean;
  readonly fetch?: typeof fetch;
}

export interface RequestOptions {
  readonly signal?: AbortSignal;
  /** Further headers, such as `X-D365-Timeout`. */
  readonly headers?: HeadersInit;
}

export interface MutationOptions extends RequestOptions {
  /** The key under which it runs once; default: a new UUID. Store your own with your record before you send it. */
  readonly idempotencyKey?: string;
}

export interface UploadOptions extends MutationOptions {
  /** The version (`etag`) that the row must have. */
  readonly ifMatch?: string;
}

/** Data of `subscription { changes(…) { cursor … } }`. */
export interface ChangesData {
  readonly changes: { readonly cursor: string };
}

export interface Client {
  /** Returns the data of a query. Throws GatewayError or ConnectionError. */
  query<R, V>(document: Document<R, V>, variables: NoInfer<V>, options?: RequestOptions): Promise<R>;
  query<R, V>(document: Document<R, V>, ...variables: Variables<NoInfer<V>>): Promise<R>;
  /** Returns the data of a mutation, which runs once, however often it has to be sent. Throws as `query` does. */
  mutate<R, V>(document: Document<R, V>, variables: NoInfer<V>, options?: MutationOptions): Promise<R>;
  mutate<R, V>(document: Document<R, V>, ...variables: Variables<NoInfer<V>>): Promise<R>;
  /** Yields the pages of a connection. The document has a variable `$after` and selects `pageInfo { hasNextPage endCursor }`. */
  pages<R, V extends PageVariables, C extends Connection>(
    document: Document<R, V>, variables: NoInfer<Omit<V, "after">>, select: (data: R) => C, options?: RequestOptions,
  ): AsyncGenerator<C, void, undefined>;
  /** Yields the nodes of all pages of a connection that selects `nodes`. */
  nodes<R, V extends PageVariables, N>(
    document: Document<R, V>, variables: NoInfer<Omit<V, "after">>, select: (data: R) => Connection & { readonly nodes: readonly N[] },
    options?: RequestOptions,
  ): AsyncGenerator<N, void, undefined>;
  /** Yields the results of a subscription. It is made again if its connection breaks; what happens in between is lost. */
  subscribe<R, V>(document: Document<R, V>, variables: NoInfer<V>, options?: { signal?: AbortSignal }): AsyncGenerator<R, void, undefined>;
  /** Yields the answers of `changes`. If its connection breaks it goes on from the last cursor: nothing is lost. */
  follow<R extends ChangesData, V extends { since?: unknown }>(
    document: Document<R, V>, variables: NoInfer<V>, options?: { signal?: AbortSignal },
  ): AsyncGenerator<R["changes"], void, undefined>;
  /** Reads a file: `downloadPath` of an attachment, or `{id}/{field}` of a row. Throws as `query` does; so does its `body`. */
  download(path: string, options?: RequestOptions): Promise<Download>;
  /** Writes a file into its row, or creates a row with it. Throws as `query` does. */
  upload(to: string | NewFile, content: FileContent, options?: UploadOptions): Promise<Upload>;
}

const RETRIES: Retries = { attempts: 5, longestPause: 60 };

/** Returns a client of one API. It holds no connections that would have to be closed. */
export function createClient(options: ClientOptions): Client {
  const { url, transport = serverSentEvents(), reconnects = {}, idempotencyKeys = true } = options;
  const fetch = options.fetch ?? globalThis.fetch;
  const retries = { ...RETRIES, ...options.retries };

  function headersOf(more?: HeadersInit): MakeHeaders {
    return async () => {
      const own = typeof options.headers === "function" ? await options.headers() : options.headers;
      const headers = new Headers(own);
      if (options.companies !== undefined) headers.set("x-d365-company", [options.companies].flat().join(", "));
      new Headers(more).forEach((value, name) => headers.set(name, value));
      return headers;
    };
  }

  function attemptOf(url: string, sent: Sent, { headers, signal, idempotencyKey }: MutationOptions, repeatable: boolean) {
    return {
      url, fetch, retries, sent, repeatable,
      headers: headersOf(headers),
      ...(signal && { signal }),
      ...(idempotencyKey !== undefined && { idempotencyKey }),
    };
  }

  const keyed = <O extends MutationOptions>(options: O): O => {
    const idempotencyKey = options.idempotencyKey ?? (idempotencyKeys ? globalThis.crypto.randomUUID() : undefined);
    return idempotencyKey === undefined ? options : { ...options, idempotencyKey };
  };

  const query = (document: Document<never, never>, variables?: unknown, options: RequestOptions = {}) =>
    send(attemptOf(url, sentOf(operationOf(document, variables)), options, true));

  const mutate = (document: Document<never, never>, variables?: unknown, options: MutationOptions = {}) => {
    const all = keyed(options);
    return send(attemptOf(url, sentOf(operationOf(document, variables)), all, all.idempotencyKey !== undefined));
  };

  const read = async (path: string, options: RequestOptions = {}) =>
    download(attemptOf(addressOf(url, path), { method: "GET", headers: { accept: "*/*" } }, options, true));

  const write = async (to: string | NewFile, body: FileContent, options: UploadOptions = {}) => {
    const all = keyed(options);
    const repeatable = all.idempotencyKey !== undefined;
    const headers = { "content-type": "application/octet-stream", ...(all.ifMatch !== undefined && { "if-match": all.ifMatch }) };
    if (typeof to === "string") return await upload(attemptOf(addressOf(url, to), { method: "PUT", headers, body }, all, repeatable));
    const named = to.name === undefined ? headers : { ...headers, "content-disposition": disposition(to.name) };
    return await upload(attemptOf(addressOfNew(url, to), { method: "POST", headers: named, body }, all, repeatable));
  };

  async function* stream(next: () => Operation, signal?: AbortSignal): AsyncGenerator<unknown, void, undefined> {
    const ended = new AbortController();
    const end = () => ended.abort(signal?.reason);
    if (signal?.aborted) end();
    signal?.addEventListener("abort", end);
    const connect = (signal: AbortSignal) => transport({ url, fetch, signal, headers: headersOf(), operation: next() });
    try {
      yield* resumed(connect, reconnects, ended.signal);
    } finally {
      signal?.removeEventListener("abort", end);
      ended.abort();
    }
  }

  async function* follow(document: Document<never, never>, variables: object, { signal }: { signal?: AbortSignal } = {}) {
    let last = variables;
    for await (const data of stream(() => operationOf(document, last), signal)) {
      const { changes } = data as ChangesData;
      yield changes;
      last = { ...variables, since: changes.cursor };
    }
  }

  return {
    query,
    mutate,
    pages: (document: Document<never, never>, variables: object, select: (data: never) => Connection, options?: RequestOptions) =>
      pagesOf((after) => query(document, { ...variables, after }, options), select),
    nodes: (document: Document<never, never>, variables: object, select: (data: never) => Connection, options?: RequestOptions) =>
      nodesOf(pagesOf((after) => query(document, { ...variables, after }, options), select)),
    subscribe: (document: Document<never, never>, variables: object, { signal }: { signal?: AbortSignal } = {}) =>
      stream(() => operationOf(document, variables), signal),
    follow,
    download: read,
    upload: write,
  } as unknown as Client;
}

function operationOf(document: Document<never, never>, variables: unknown): Operation {
  const query = textOf(document);
  return variables === undefined ? { query } : { query, variables: variables as Record<string, unknown> };
}
