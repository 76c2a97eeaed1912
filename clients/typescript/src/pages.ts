// Pages of connections, one request after the other, as they are needed.

export interface PageInfo {
  readonly hasNextPage: boolean;
  readonly endCursor?: string | null | undefined;
}

/** A page of a list. */
export interface Connection {
  readonly pageInfo: PageInfo;
}

/** Variables of a document with pages. */
export interface PageVariables {
  after?: unknown;
}

type Read = (after: string | null) => Promise<unknown>;

/** Yields pages until there is no next one. */
export async function* pagesOf<C extends Connection>(read: Read, select: (data: never) => C): AsyncGenerator<C, void, undefined> {
  let after: string | null = null;
  for (;;) {
    const page = select((await read(after)) as never);
    yield page;
    if (!page.pageInfo.hasNextPage) return;
    const next = page.pageInfo.endCursor;
    if (next == null || next === after) throw new TypeError("select pageInfo { hasNextPage endCursor } for $after");
    after = next;
  }
}

/** Yields the nodes of pages. */
export async function* nodesOf(pages: AsyncIterable<Connection>): AsyncGenerator<unknown, void, undefined> {
  for await (const page of pages) yield* (page as unknown as { readonly nodes: readonly unknown[] }).nodes;
}
