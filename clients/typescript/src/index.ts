// A typed client for d365-graphql-gateway.
export { type ChangesData, type Client, type ClientOptions, type MutationOptions, type RequestOptions, type UploadOptions, createClient } from "./client.js";
export { type ErrorCode, isErrorCode } from "./codes.js";
export type { Document, Variables } from "./documents.js";
export { ConnectionError, GatewayError, type OperationError } from "./errors.js";
export { serverSentEvents } from "./events.js";
export type { Download, FileContent, NewFile, Upload } from "./files.js";
export { type Done, type Outcome, type Refused, type UserError, outcome } from "./outcomes.js";
export type { Connection, PageInfo } from "./pages.js";
export type { Retries } from "./requests.js";
export { type DateTime, type Day, type Decimal, type Long, dateTime, day, decimal, long } from "./scalars.js";
export { Interrupted, type Reconnects, type Transport } from "./streams.js";
