"""The addresses of the gateway: GraphQL over HTTP, SSE and WebSocket, health, search."""
