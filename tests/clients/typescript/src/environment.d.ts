// What Node and ws bring, as far as the pages use it.
declare const process: { env: Record<string, string | undefined>; argv: string[] };
declare module "ws" {
  export class WebSocket {}
}
