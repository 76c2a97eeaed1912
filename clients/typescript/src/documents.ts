// Documents: as generated with their types, in either mode of the code generator.
import type { DocumentTypeDecoration } from "@graphql-typed-document-node/core";
import { type DocumentNode, print } from "graphql";

/** A typed document, as text (`documentMode: "string"`) or parsed. */
export type Document<R, V> = DocumentTypeDecoration<R, V> & (DocumentNode | { toString(): string });

/** The variables of an operation, which may be left out if none is required. */
export type Variables<V> = {} extends V ? [variables?: V] : [variables: V];

/** What is sent of an operation. */
export interface Operation {
  readonly query: string;
  readonly variables?: Record<string, unknown>;
}

export function textOf(document: Document<never, never> | Document<unknown, unknown>): string {
  return typeof document === "object" && "kind" in document ? print(document as DocumentNode) : document.toString();
}
