// What became of a mutation: done, or refused for reasons that are told apart by their code.
import { type ErrorCode, isErrorCode } from "./codes.js";

interface SelectedError {
  readonly code: string;
  readonly message: string;
}

interface Payload {
  readonly userErrors: readonly SelectedError[];
}

type Reason<E, C> = Omit<E, "code" | (C extends "CONFLICT" ? never : "conflicts")> & { readonly code: C };

/** Why a row was not written: a union by `code`. Only `CONFLICT` has `conflicts`; a code that is newer is `OTHER`. */
export type UserError<E extends SelectedError> =
  | { [C in ErrorCode]: Reason<E, C> }[ErrorCode]
  | (Reason<E, "OTHER"> & { readonly otherCode: string });

/** A payload whose mutation was done. */
export type Done<P extends Payload, F extends keyof P = never> = Omit<P, "userErrors" | F> & {
  readonly [Field in F]: NonNullable<P[Field]>;
} & { readonly done: true };

/** A mutation that was refused. After a conflict, `payload` has the row as it is now. */
export interface Refused<P extends Payload> {
  readonly done: false;
  readonly userErrors: readonly [UserError<P["userErrors"][number]>, ...UserError<P["userErrors"][number]>[]];
  readonly payload: P;
}

export type Outcome<P extends Payload, F extends keyof P = never> = Done<P, F> | Refused<P>;

/**
 * Returns a payload, or a result of a list, as one of two: `done`, or refused with its reasons.
 *
 * With the name of a field, such as that of the row, the field is not null if it is done. Throws a TypeError if it is
 * nevertheless, which only happens for rows that are deleted, or that the caller may not read.
 */
export function outcome<P extends Payload, F extends keyof P = never>(
  payload: P | null | undefined,
  field?: F,
): Outcome<P, F> {
  if (payload == null) throw new TypeError("there is no payload");
  const [first, ...others] = payload.userErrors;
  if (first !== undefined) {
    return { done: false, userErrors: [reason(first), ...others.map(reason)], payload } as Refused<P>;
  }
  if (field !== undefined && payload[field] == null) throw new TypeError(`done, but ${String(field)} is null`);
  const { userErrors: _, ...rest } = payload;
  return { ...rest, done: true } as unknown as Done<P, F>;
}

function reason(error: SelectedError): SelectedError {
  return isErrorCode(error.code) ? error : ({ ...error, code: "OTHER", otherCode: error.code } as SelectedError);
}
