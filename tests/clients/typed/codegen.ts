import type { CodegenConfig } from "@graphql-codegen/cli";

const config: CodegenConfig = {
  schema: "schema.graphql", // d365-graphql schema print > schema.graphql
  documents: ["src/**/*.ts", "!src/gql/**"],
  generates: {
    "src/gql/": {
      preset: "client",
      presetConfig: { fragmentMasking: false },
      config: {
        strictScalars: true,
        scalars: {
          Decimal: "string", // exact
          Long: "string", // 64 bits
          Date: "string",
          DateTime: "string",
          TimeOfDay: "string",
          Duration: "string",
          UUID: "string",
          Base64: "string",
          JSON: "unknown",
        },
      },
    },
  },
};

export default config;
