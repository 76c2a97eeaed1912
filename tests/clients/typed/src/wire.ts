// What crosses the wire, seen from the client.
declare const process: { argv: string[] };

export const endpoint = process.argv[2]!;

export interface Exchange {
  accept: string;
  status: number;
  contentType: string;
}

export function spied(exchanges: Exchange[]): typeof fetch {
  return async (input, init) => {
    const request = new Request(input, init);
    const response = await fetch(request);
    exchanges.push({
      accept: request.headers.get("accept") ?? "",
      status: response.status,
      contentType: response.headers.get("content-type") ?? "",
    });
    return response;
  };
}
