// The configuration of GraphQL Code Generator that fits the client.

const CLIENT = "d365-graphql-client";

/** The TypeScript types of the scalars, for a configuration of your own. */
export const scalars = {
  Decimal: `${CLIENT}#Decimal`,
  Long: `${CLIENT}#Long`,
  Date: `${CLIENT}#Day`,
  DateTime: `${CLIENT}#DateTime`,
  TimeOfDay: "string",
  Duration: "string",
  UUID: "string",
  Base64: "string",
  JSON: "unknown",
} as const;

export interface CodegenOptions {
  /** What `d365-graphql schema print` has written, or the address of the API. */
  readonly schema: string;
  /** Files with operations: `src/**\/*.ts`. */
  readonly documents: string | readonly string[];
  /** The folder of what is generated; default `src/gql/`. */
  readonly output?: string;
}

/** Returns a configuration of the preset `client`: documents as text, with the types of what they select. */
export function codegenConfig({ schema, documents, output = "src/gql/" }: CodegenOptions) {
  return {
    schema,
    documents: [...[documents].flat(), `!${output}**`],
    generates: {
      [output]: {
        preset: "client" as const,
        presetConfig: { fragmentMasking: false },
        config: {
          documentMode: "string",
          strictScalars: true,
          useTypeImports: true,
          emitLegacyCommonJSImports: false,
          enumsAsTypes: true,
          scalars,
        },
      },
    },
  };
}
