// Which operation of a document is meant.
import { getOperationAST, parse } from "graphql";

// What GraphiQL says of the editor (its document, its operation's name) is a moment behind the text: who runs a tab as
// soon as it is open must not be told that it lacks the last tab's operation. The text itself decides.
// Gives the operation's `kind` and `name`; without a kind the document has errors or no such operation.
export function meant({ query, operationName }) {
  const document = parsed(query);
  const operation = document && ((operationName && getOperationAST(document, operationName)) || getOperationAST(document));
  return operation ? { kind: operation.operation, name: operation.name?.value } : { name: operationName ?? undefined };
}

function parsed(query) {
  try {
    return parse(query, { noLocation: true });
  } catch {
    return null;
  }
}
