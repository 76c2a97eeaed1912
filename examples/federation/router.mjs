// A router over the gateway and the ratings: one graph for its clients.
import { ApolloGateway, IntrospectAndCompose, RemoteGraphQLDataSource } from "@apollo/gateway";
import { ApolloServer } from "@apollo/server";
import { startStandaloneServer } from "@apollo/server/standalone";

const { ERP_URL = "http://127.0.0.1:8000/graphql/purchasing", RATINGS_URL = "http://127.0.0.1:4001/" } = process.env;
const FORWARDED = ["authorization", "x-d365-company"];

// Callers are those of the gateway: it sees their tokens, and its roles, limits and audit log are theirs.
class Forwarding extends RemoteGraphQLDataSource {
  willSendRequest({ request, context }) {
    for (const name of FORWARDED) if (context.headers?.[name]) request.http.headers.set(name, context.headers[name]);
  }
}

// Composing blocks the router for longer than other ends keep an idle connection, so that it keeps none.
const fetcher = (url, init) => fetch(url, { ...init, headers: { ...init.headers, connection: "close" } });

const gateway = new ApolloGateway({
  // For production compose in CI: the SDL of the gateway is that of `d365-graphql schema print --federation`.
  supergraphSdl: new IntrospectAndCompose({
    subgraphs: [
      { name: "erp", url: ERP_URL },
      { name: "ratings", url: RATINGS_URL },
    ],
  }),
  buildService: ({ name, url }) => {
    const Source = name === "erp" ? Forwarding : RemoteGraphQLDataSource;
    return new Source({ url, fetcher });
  },
});
const server = new ApolloServer({ gateway });
const { url } = await startStandaloneServer(server, {
  listen: { host: "127.0.0.1", port: Number(process.env.PORT ?? 4000) },
  context: async ({ req }) => ({ headers: req.headers }),
});
console.log(`Router: ${url}`);
